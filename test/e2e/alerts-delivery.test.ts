/** Whatever becomes of an alert, the run's result is the same; and it arrives when it can. */
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { createJsonReceiver, createPagerduty, createSlack } from '../../sandbox/alerts/chat.ts'
import { createMail } from '../../sandbox/alerts/mail.ts'
import type { AlertService, AnswerMode } from '../../sandbox/alerts/service.ts'
import { createSmn, createSns } from '../../sandbox/alerts/topics.ts'
import { createRoot, issueLeaf } from '../../sandbox/kit/pki.ts'
import { AWS_KEY, AWS_SECRET, AWS_TOKEN, awsKeys, PROJECT, REGION } from '../stores/cloud.ts'
import { receiveAlerts } from '../support/alert-receiver.ts'
import { cleanups } from '../support/cleanups.ts'
import { untilInTurn } from '../support/clock.ts'
import { put } from '../support/put.ts'
import { DAY_MS, HOUR_MS, openDue, openScenario, type Scenario } from '../support/scenario.ts'

const ROUTING_KEY = randomBytes(16).toString('hex')
const HOOK = 'TEST_HOOK_URL'
const root = await createRoot()
const leaf = await issueLeaf({ names: ['127.0.0.1'], issuer: root })

type Kind = readonly [
  name: string,
  start: (s: Scenario) => Promise<AlertService>,
  settings: (service: AlertService) => object,
]

const kinds: readonly Kind[] = [
  ['webhook', () => createJsonReceiver(), ({ url }) => ({ type: 'webhook', url })],
  ['slack', () => createSlack(), ({ url }) => ({ type: 'webhook', url, format: 'slack' })],
  [
    'pagerduty',
    () => createPagerduty(ROUTING_KEY),
    ({ url }) => ({ type: 'pagerduty', routingKey: ROUTING_KEY, endpoint: url }),
  ],
  [
    'sns',
    s =>
      createSns({
        keys: awsKeys,
        region: REGION,
        topicArn: `arn:aws:sns:${REGION}:123456789012:a`,
        now: s.clock.now,
      }),
    ({ url }) => ({
      ...{ type: 'sns', topicArn: `arn:aws:sns:${REGION}:123456789012:a`, region: REGION, endpoint: url },
      ...{ accessKeyId: AWS_KEY, secretAccessKey: AWS_SECRET, sessionToken: AWS_TOKEN },
    }),
  ],
  [
    'smn',
    s => {
      const topicUrn = `urn:smn:cn-north-4:${PROJECT}:alerts`
      const keys = s.rig.sandbox.accessKeys
      return createSmn({ keys, region: 'cn-north-4', projectId: PROJECT, topicUrn, now: s.clock.now })
    },
    ({ url }) => ({
      ...{ type: 'smn', credentials: 'cn', endpoint: new URL(url).origin },
      topicUrn: `urn:smn:cn-north-4:${PROJECT}:alerts`,
    }),
  ],
  [
    'smtp',
    () =>
      createMail({ username: 'ops', password: 'pass word', tls: { key: leaf.keyPem, cert: leaf.chainPem } }),
    ({ url }) => ({
      ...{ type: 'smtp', host: '127.0.0.1', port: Number(new URL(url).port), caCertificates: root.certPem },
      ...{ username: 'ops', password: 'pass word', from: 'a@example.com', to: ['b@example.com'] },
    }),
  ],
]

const MODES: readonly AnswerMode[] = ['good', 'refused', 'down', 'throttled', 'silent', 'garbage']

async function openFailing([, start, settings]: Kind) {
  const { s } = await openDue()
  const service = await start(s)
  cleanups.push(service.dispose)
  await s.configure(put({ notifiers: [settings(service)] }))
  s.faults.add({ operations: ['httpreq.Present'], status: 500, times: 99 })
  return { s, service }
}

describe.each(kinds.map(kind => [kind[0], kind] as const))('%s', (_, kind) => {
  test.each(MODES)('%s', async mode => {
    const { s, service } = await openFailing(kind)
    service.mode = mode
    // Silence is waited for on the system's clock: until the end of this run.
    const result = await s.runTo(
      { outcome: 'failed', error: { code: 'unavailable' } },
      {},
      mode === 'silent' ? { budgetMs: 6_000 } : {},
    )
    expect(result.warnings.map(w => w.code)).toEqual(mode === 'silent' ? ['too-little-time'] : [])
    const told = service.taken.length
    if (mode === 'good') expect(told).toBe(1)
    else expect(told).toBe(0)
    expect(service.requests.length).toBeGreaterThan(0)

    // The next run, although it has nothing new to say.
    service.mode = 'good'
    expect(await s.later(HOUR_MS / 4)).toMatchObject({
      outcome: 'suspended',
      decision: { reason: 'backing-off' },
    })
    const isTaken = mode === 'garbage' && ['webhook', 'pagerduty', 'sns'].includes(kind[0])
    expect(service.taken).toHaveLength(isTaken ? 0 : 1)
    await s.later(HOUR_MS / 4)
    expect(service.taken).toHaveLength(isTaken ? 0 : 1)
    expect(service.complaints).toEqual([])
  })
})

test('a notifier that hangs for every target costs a run no more than its share', async () => {
  const { s, service } = await openFailing(kinds[0] as Kind)
  service.mode = 'silent'
  const startedAt = Date.now()
  await s.run({}, { budgetMs: 8_000 })
  expect(Date.now() - startedAt).toBeLessThan(8_000)
})

test('quiet on success; told when asked, with before and after', async () => {
  const [quiet, asked] = [await receiveAlerts(), await receiveAlerts()]
  const { s } = await openDue({
    change: it => {
      it.notifiers = [
        { type: 'webhook', url: quiet.url },
        { type: 'webhook', url: asked.url, events: ['rotated', 'slot-deleted'] },
      ]
    },
  })
  quiet.alerts.length = 0
  const result = await s.run()
  expect(quiet.alerts).toEqual([])
  expect(asked.alerts).toMatchObject([
    {
      ...{ event: 'rotated', severity: 'info', target: 'factory-1', domain: s.domain, daysLeft: 89 },
      before: { fingerprint: result.before?.fingerprint },
      after: { fingerprint: result.after?.fingerprint, issuer: result.after?.issuer },
    },
  ])
})

describe('errors before there is a target', () => {
  async function open() {
    const receiver = await receiveAlerts()
    const s = await openScenario()
    await s.bindOne(60)
    const hook = { type: 'webhook', url: receiver.url }
    await s.configure(put({ notifiers: [hook] }))
    await s.run()
    receiver.alerts.length = 0
    const said = () =>
      receiver.alerts.splice(0).map(a => `${a.kind} ${a.event} ${a.error?.code ?? ''}`.trim())
    return { s, receiver, hook, said }
  }

  test('settings with mistakes: told once, then that it is over', async () => {
    const { s, said, hook } = await open()
    const break_ = () => s.configure(put({ notifiers: [hook], 'certificates.iot.keyType': 'dsa' }))
    await break_()
    for (let i = 0; i < 3; i += 1) {
      await expect(s.run()).rejects.toMatchObject({ code: 'settings-invalid' })
      s.clock.advance(HOUR_MS)
    }
    expect(said()).toEqual(['new settings-invalid settings-invalid'])
    await expect(s.later(DAY_MS)).rejects.toMatchObject({ code: 'settings-invalid' })
    expect(said()).toEqual(['reminder settings-invalid settings-invalid'])
    await s.configure(put({ notifiers: [hook] }))
    await s.run()
    expect(said()).toEqual(['recovered recovered'])
  })

  test('a mistake in one notifier does not silence another', async () => {
    const { s, said, hook } = await open()
    await s.configure(put({ notifiers: [{ type: 'webhook', url: 'env:NOT_SET' }, hook] }))
    await expect(s.run()).rejects.toMatchObject({ code: 'settings-invalid' })
    expect(said()).toEqual(['new settings-invalid settings-invalid'])
  })

  test('credentials that are refused are told for the target', async () => {
    const { s, said, hook } = await open()
    await s.configure(put({ notifiers: [hook], 'credentials.cn.secretKey': 'another' }))
    expect(await s.run()).toMatchObject({ outcome: 'failed', error: { code: 'unauthorized' } })
    expect(said()).toEqual(['new failed unauthorized'])
  })

  test('credentials that are refused for five targets are told once, and once that they are taken again', async () => {
    const { s, receiver, hook } = await open()
    const five = (secretKey?: string) =>
      s.configure(it => {
        it.notifiers = [hook]
        const [one] = it.targets
        it.targets = [1, 2, 3, 4, 5].map(i => ({
          ...one,
          name: `factory-${i}`,
          // Each its own instance; the sandbox has one, and refuses the keys before it looks which.
          instance: {
            ...one.instance,
            ...(i === 1 ? {} : { instanceId: `${i}${one.instance.instanceId.slice(1)}` }),
          },
        }))
        if (secretKey) it.credentials.cn.secretKey = secretKey
      })
    await five('another')
    for (let i = 0; i < 3; i += 1) {
      const { results } = await s.rig.run({}, { clock: s.clock })
      expect(results).toHaveLength(5)
      s.clock.advance(HOUR_MS)
    }
    expect(receiver.alerts).toMatchObject([
      { kind: 'new', event: 'failed', error: { code: 'unauthorized' }, targets: { count: 5 } },
    ])
    expect(receiver.alerts[0]?.dedupKey).toMatch(/^iotda-cert\/\*\/failed\/unauthorized\/iotda/)
    await s.configure(put({ notifiers: [hook] }))
    await s.rig.run({}, { clock: s.clock })
    expect(receiver.alerts.slice(1)).toMatchObject([
      { kind: 'recovered', dedupKey: receiver.alerts[0]?.dedupKey, targets: { count: 5 } },
    ])
  })

  test('a list that cannot be had is told for the target', async () => {
    const { s, said } = await open()
    s.faults.add({ operations: ['iotda.List*'], status: 500, times: 99 })
    expect(await s.run()).toMatchObject({ outcome: 'failed' })
    expect(said()).toEqual(['new failed unavailable'])
  })

  test('a document of the state that cannot be read is told once', async () => {
    const { s, said } = await open()
    const { folder } = s.rig
    const { readdir } = await import('node:fs/promises')
    const [file = ''] = (await readdir(join(folder, 'state/targets'))).filter(name => name.endsWith('.json'))
    await writeFile(join(folder, 'state/targets', file), 'no JSON')
    for (let i = 0; i < 3; i += 1) {
      expect(await s.run()).toMatchObject({ outcome: 'failed', error: { code: 'store-unreadable' } })
      s.clock.advance(HOUR_MS)
    }
    expect(said()).toEqual(['new failed store-unreadable'])
  })

  test('where nothing can be remembered, four times a day', async () => {
    const { s, said } = await open()
    await writeFile(join(s.rig.folder, 'state', 'runs'), '', { flag: 'a' }).catch(() => {})
    const { rm } = await import('node:fs/promises')
    await rm(join(s.rig.folder, 'state'), { recursive: true })
    await writeFile(join(s.rig.folder, 'state'), 'a file where a folder was')
    s.clock.advance(untilInTurn(s.clock.now()))
    for (let i = 0; i < 48; i += 1) {
      await s.run().catch(() => {})
      s.clock.advance(HOUR_MS / 2)
    }
    expect(said().length).toBe(4)
  })
})

describe('the dead man’s switch', () => {
  async function open() {
    const receiver = await receiveAlerts()
    vi.stubEnv(HOOK, `${receiver.url}/uuid-1`)
    cleanups.push(async () => void vi.unstubAllEnvs())
    const s = await openScenario({
      change: put({ heartbeat: { url: `env:${HOOK}` } }),
    })
    await s.bindOne(60)
    const pings = () =>
      receiver.requests.splice(0).map(({ path }) => path.replace(/rid=[0-9a-f-]{36}$/, 'rid'))
    return { s, receiver, pings }
  }

  test('hears of the start and of success', async () => {
    const { s, pings } = await open()
    await s.run()
    expect(pings()).toEqual(['/uuid-1/start?rid', '/uuid-1?rid'])
  })

  test('hears of failure, also of settings with mistakes; and nothing of what a person asks', async () => {
    const { s, pings } = await open()
    s.faults.add({ operations: ['iotda.List*'], status: 500, times: 99 })
    await s.run()
    expect(pings()).toEqual(['/uuid-1/start?rid', '/uuid-1/fail?rid'])
    await s.run({ action: 'status' })
    await s.run({ targets: ['factory-1'] })
    expect(pings()).toEqual([])
    await s.configure(put({ 'certificates.iot.keyType': 'dsa' }))
    await expect(s.run()).rejects.toMatchObject({ code: 'settings-invalid' })
    expect(pings()).toEqual(['/uuid-1/fail?rid'])
  })

  test('that it does not answer changes nothing', async () => {
    const { s, receiver } = await open()
    receiver.status = 500
    expect(await s.run()).toMatchObject({ outcome: 'idle', warnings: [{ code: 'adopted' }] })
    expect(await s.run()).toMatchObject({ outcome: 'idle', warnings: [], error: null })
  })
})
