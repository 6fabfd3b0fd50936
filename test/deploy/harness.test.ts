/** The zips as they are deployed, unpacked in an empty folder and driven as the platforms drive them. */
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { createRoot, issueLeaf } from '../../sandbox/kit/pki.ts'
import { receiveAlerts } from '../support/alert-receiver.ts'
import { type Built, sharedBuild } from '../support/built.ts'
import { type FunctionRig, openFunctionRig } from '../support/function-rig.ts'
import { type Invocation, type Invoked, type Runtime, startRuntime } from '../support/runtime.ts'

let built: Built
beforeAll(async () => {
  built = await sharedBuild()
}, 120_000)

const SCHEDULES = {
  lambda: { source: 'aws.scheduler' },
  functiongraph: {
    version: 'v1.0',
    time: '2026-06-15T12:00:00+08:00',
    trigger_type: 'TIMER',
    trigger_name: 'iotda-cert',
    user_event: '',
  },
} as const
type Kind = keyof typeof SCHEDULES
const KINDS = ['lambda', 'functiongraph'] as const

interface Deployed {
  readonly rig: FunctionRig
  readonly invoke: (invocation: Invocation) => Promise<Invoked>
  readonly schedule: (more?: Partial<Invocation>) => Promise<Invoked>
  readonly runtime: Runtime
}

type Change = Parameters<FunctionRig['config']>[0]

/** The settings are in the environment of Lambda, and in the user data of FunctionGraph. */
async function deploy(
  kind: Kind,
  daysLeft?: number,
  change: Change = () => {},
  more: Readonly<Record<string, string>> = {},
): Promise<Deployed> {
  const rig = await openFunctionRig(daysLeft)
  const config = rig.config(settings => {
    if (kind === 'functiongraph') settings.credentials.cn = { type: 'functiongraph' }
    change(settings)
  })
  const env = { IOTDA_CERT_CONFIG: config }
  const own = { ...more, ...(kind === 'lambda' ? env : {}) }
  const runtime = await startRuntime(kind, built.zip(kind), own)
  const { accessKey, secretKey } = rig.sandbox.keys
  rig.sandbox.accessKeys.set(accessKey, { secretKey, securityToken: 'token' })
  if (kind === 'lambda') rig.sandbox.accessKeys.set(accessKey, { secretKey })
  const of =
    kind === 'lambda' ? {} : { userData: env, keys: { accessKey, secretKey, securityToken: 'token' } }
  const invoke = (invocation: Invocation) => runtime.invoke({ ...of, ...invocation })
  return { rig, runtime, invoke, schedule: more => invoke({ event: SCHEDULES[kind], ...more }) }
}

const outcomes = ({ ok, answer, message }: Invoked): readonly string[] =>
  ok ? answer.results.map(it => it.outcome) : [message]
const LONG = `\u001b[2J${'x'.repeat(300_000)}`
const noStack = ({ stack }: Invoked): void => expect(stack).not.toMatch(/\n\s+at /)

describe.concurrent.each(KINDS)('%s', kind => {
  test('a schedule rotates, the next finds nothing to do, a person forces', async () => {
    const { rig, invoke, schedule } = await deploy(kind)
    const before = rig.boundId()
    expect(outcomes(await schedule({ initialize: kind === 'functiongraph' }))).toEqual(['rotated'])
    expect(rig.boundId()).not.toBe(before)
    expect(outcomes(await schedule())).toEqual(['idle'])
    const looked = await invoke({ event: { action: 'status' } })
    expect(looked).toMatchObject({ ok: true, answer: { trigger: 'manual', ok: true } })
    const planned = await invoke({ event: { action: 'plan', force: true } })
    expect(planned.answer.results[0]).toMatchObject({ outcome: 'planned', decision: { reason: 'forced' } })
    const narrowed = await invoke({ event: { action: 'rotate', targets: ['factory-1'] } })
    expect(outcomes(narrowed)).toEqual(['idle'])
  }, 60_000)

  test('every line of a rotation is in the log of the function, with the id of the run', async () => {
    const { schedule, runtime } = await deploy(kind)
    const { answer } = await schedule()
    const lines = runtime
      .log()
      .split('\n')
      .filter(it => it.includes('"level"'))
      .map(it => JSON.parse(it))
    expect(lines.length).toBeGreaterThan(3)
    expect(lines.filter(it => it.runId !== answer.runId)).toEqual([])
    expect(new Set(lines.map(it => it.level))).toContain('info')
  }, 60_000)

  test('a force that is delivered twice is done once', async () => {
    const { rig, invoke } = await deploy(kind, 60)
    const force = { event: { action: 'rotate', force: true }, requestId: 'one request' }
    expect(outcomes(await invoke(force))).toEqual(['rotated'])
    const bound = rig.boundId()
    const again = await invoke(force)
    expect(outcomes(again)).toEqual(['idle'])
    expect(again.answer.results[0]?.warnings.map(it => it.code)).toContain('delivered-again')
    expect(rig.boundId()).toBe(bound)
  }, 60_000)

  test('a whole rotation takes less than 128 MB', async () => {
    const { schedule } = await deploy(kind)
    const said = await schedule()
    expect(outcomes(said)).toEqual(['rotated'])
    expect(said.peakMb).toBeGreaterThan(20)
    expect(said.peakMb).toBeLessThan(128)
  }, 60_000)

  test('NODE_TLS_REJECT_UNAUTHORIZED=0 lets no stranger be the CA', async () => {
    const strange: Change = settings => Object.assign(settings.sources.sandbox, { caCertificates: null })
    const { rig, schedule } = await deploy(kind, undefined, strange, { NODE_TLS_REJECT_UNAUTHORIZED: '0' })
    const said = await schedule()
    expect(said.message).toContain('TLS with')
    expect(rig.changes()).toEqual([])
    expect(rig.sandbox.faults.calls.filter(it => it.operation.startsWith('acme.'))).toEqual([])
  }, 60_000)

  test('two at once: one rotates, the other makes room', async () => {
    const { rig, schedule } = await deploy(kind)
    const both = await Promise.all([schedule(), schedule()])
    expect(both.flatMap(outcomes).toSorted()).toEqual(['busy', 'rotated'])
    expect(rig.changes().filter(it => it === 'CreateServerCertificate')).toHaveLength(1)
  }, 60_000)

  test('15 s left: it suspends in time, and goes on at the next tick', async () => {
    const { rig, schedule } = await deploy(kind)
    rig.sandbox.faults.add({ operations: ['acme.Finalize'], delayMs: 20_000 })
    const cut = await schedule({ remainingMs: 15_000 })
    expect(cut.durationMs).toBeLessThan(15_000)
    expect(outcomes(cut)).toEqual(['suspended'])
    rig.sandbox.faults.clear()
    expect(outcomes(await schedule())).toEqual(['rotated'])
    expect(rig.sandbox.ca.issued.filter(it => it.accountUrl !== null)).toHaveLength(1)
  }, 60_000)

  test('a failed run throws its answer; a bad event and bad settings say what is wrong', async () => {
    const { rig, invoke, schedule, runtime } = await deploy(kind)
    rig.sandbox.faults.add({ operations: ['iotda.ListDomainConfigurations'], status: 403, times: 10 })
    const failed = await schedule()
    expect(failed).toMatchObject({ ok: false, name: 'RotationFailed' })
    expect(JSON.parse(failed.message)).toMatchObject({ ok: false, results: [{ outcome: 'failed' }] })
    noStack(failed)
    rig.sandbox.faults.clear()
    for (const event of [
      { action: 'delete' },
      { actoin: 'rotate' },
      'rotate',
      42,
      [],
      { targets: ['none'] },
      { [LONG]: 1 },
      { targets: [LONG] },
    ]) {
      const bad = await invoke({ event })
      expect(bad).toMatchObject({ ok: false, name: 'IotdaCertError[usage]' })
      // A destination of failures takes 256 KB and drops what is longer.
      expect(bad.message.length).toBeLessThan(500)
      expect(bad.message).not.toContain('\u001b')
      noStack(bad)
    }
    expect(rig.changes()).toEqual([])
    expect(runtime.log()).not.toMatch(/\n\s+at /)
  }, 60_000)
})

describe.concurrent.each(KINDS)('%s, by hand or with a runtime that is not well', kind => {
  async function open() {
    const rig = await openFunctionRig(60)
    const runtime = await startRuntime(kind, built.zip(kind), { IOTDA_CERT_CONFIG: rig.config() })
    return { rig, look: (more: Partial<Invocation>) => runtime.invoke({ event: SCHEDULES[kind], ...more }) }
  }

  test('no context, an empty one, or a time that cannot be true: as long as the deployment sets', async () => {
    const { look } = await open()
    for (const context of ['none', 'empty'] as const) {
      expect(outcomes(await look({ context })), context).toEqual(['idle'])
      expect(outcomes(await look({ context, initialize: kind === 'functiongraph' })), context).toEqual([
        'idle',
      ])
    }
    for (const remaining of ['1e12', 'Infinity', 'NaN', '2147483648'])
      expect(outcomes(await look({ remaining })), remaining).toEqual(['idle'])
  }, 60_000)

  test('no time left: says so, and touches nothing', async () => {
    const { rig, look } = await open()
    for (const remaining of ['-1', '-1e12', '-Infinity', '0', '9999']) {
      const said = await look({ remaining })
      expect(said, remaining).toMatchObject({ ok: false, name: 'IotdaCertError[out-of-time]' })
      expect(said.message, remaining).toContain('Set the timeout of the function to 900 seconds')
      noStack(said)
    }
    expect(rig.sandbox.faults.calls).toEqual([])
  }, 60_000)
})

test.concurrent('a function without an agency says that it has none', async () => {
  const { rig, schedule } = await deploy('functiongraph')
  const keys = { accessKey: '', secretKey: '', securityToken: '' }
  const said = await schedule({ keys })
  expect(said).toMatchObject({ ok: false, name: 'IotdaCertError[settings-invalid]' })
  expect(said.message).toContain(
    'credentials.cn: the function has no keys: the runtime gives it none, since it has no agency',
  )
  expect(said.message).toContain('permissions --cloud huawei')
  expect(said.message).not.toMatch(/accessKey|HUAWEICLOUD_SDK|mistakes/)
  const userData = {
    IOTDA_CERT_CONFIG: 'csms:settings',
    HUAWEICLOUD_SDK_REGION: 'cn-north-4',
    HUAWEICLOUD_SDK_PROJECT_ID: 'p',
  }
  const remote = await schedule({ keys, userData })
  expect(remote.message).toContain('the function has no keys')
  expect(rig.changes()).toEqual([])
}, 60_000)

describe.concurrent('the watchdog beside it', () => {
  async function watching(kind: Kind) {
    const { rig, schedule } = await deploy(kind, 60)
    const receiver = await receiveAlerts()
    const { device, ca, domain, faults } = rig.sandbox
    const { store } = JSON.parse(rig.config())
    const { sealKey: _, ...place } = store
    const settings = JSON.stringify({
      version: 1,
      targets: [
        {
          name: 'factory-1',
          host: domain,
          port: device.port,
          addresses: device.addresses,
          roots: ca.rootPem,
        },
      ],
      notifiers: [{ type: 'webhook', url: receiver.url }],
      store: { ...place, prefix: 'watch/' },
      rotator: { store: place },
    })
    const env = { IOTDA_CERT_WATCH: settings }
    const zip = built.zip(kind === 'lambda' ? 'lambda' : 'functiongraph-watch')
    const runtime = await startRuntime(kind, zip, kind === 'lambda' ? env : {}, 'watch.mjs')
    const look = () =>
      runtime.invoke({ event: SCHEDULES[kind], ...(kind === 'lambda' ? {} : { userData: env }) })
    const s3Calls = (method: string) =>
      faults.calls.filter(it => it.operation.startsWith('s3.') && it.method === method).map(it => it.path)
    return { rig, schedule, receiver, look, s3Calls }
  }

  test.each(KINDS)(
    '%s: looks, reads one document of the rotator, writes only its own, and tells',
    async kind => {
      const { rig, schedule, receiver, look, s3Calls } = await watching(kind)
      expect(outcomes(await schedule())).toEqual(['idle'])
      rig.sandbox.faults.clearCalls()
      expect(await look()).toMatchObject({
        ok: true,
        answer: {
          ok: true,
          results: [
            { target: 'factory-1', ok: true },
            { target: 'rotator', ok: true },
          ],
        },
      })
      expect(s3Calls('GET').filter(path => !path.startsWith('/state/watch/'))).toEqual([
        '/state/iotda-cert/runs/last',
      ])
      // Nobody renews, and the store of the rotator is gone with all that was in it.
      const { chainPem, keyPem } = await issueLeaf({
        names: [rig.sandbox.domain],
        issuer: await createRoot(),
      })
      rig.sandbox.device.switches.serve = { certPem: chainPem, keyPem }
      for (const key of [...rig.bucket.objects.keys()])
        if (!key.startsWith('watch/')) rig.bucket.objects.delete(key)
      for (let i = 0; i < 2; i += 1) expect(await look()).toMatchObject({ ok: true, answer: { ok: false } })
      expect(receiver.alerts.map(a => `${a.kind} ${a.event}`).toSorted()).toEqual([
        'new watch-rotator-silent',
        'new watch-untrusted',
      ])
      expect(s3Calls('PUT').filter(path => !path.startsWith('/state/watch/'))).toEqual([])
      expect(rig.changes()).toEqual([])
    },
    60_000,
  )
})

test.concurrent('temporary keys that have ended are asked for again', async () => {
  const { rig, schedule } = await deploy('functiongraph')
  const { accessKeys } = rig.sandbox
  const temporary = (n: number) => ({
    accessKey: `TEMPORARYKEY${n}`,
    secretKey: `temporary/secret${n}`,
    securityToken: `token ${n}`,
  })
  const allow = (n: number) => {
    accessKeys.clear()
    const { accessKey, ...key } = temporary(n)
    accessKeys.set(accessKey, key)
  }
  allow(1)
  expect(outcomes(await schedule({ keys: temporary(1) }))).toEqual(['rotated'])
  allow(2)
  const ended = await schedule({ keys: temporary(1) })
  expect(ended.ok).toBe(false)
  expect(ended.message).toContain('unauthorized')
  expect(ended.message).not.toContain('temporary/secret')
  expect(outcomes(await schedule({ keys: temporary(2) }))).toEqual(['idle'])
}, 60_000)

describe.concurrent('whatever comes in, a message comes out, and never a stack', () => {
  const SETTINGS = [
    ...[
      '',
      ' ',
      '{',
      '{}',
      '[]',
      'null',
      '"text"',
      '{"version":2}',
      'nowhere.json',
      's3://',
      's3:',
      'csms:x',
    ],
    ...['awssm:x', 's3://bucket/key', '{"version":1,"targets":{}}', '{"version":1,"targets":[null]}'],
    '{"version":1,"targets":[{}],"certificates":[],"sources":1,"credentials":"","store":{"type":"file"}}',
  ]

  test.each(KINDS)(
    'settings: %s',
    async kind => {
      const plain = await startRuntime(kind, built.zip(kind))
      for (const config of SETTINGS) {
        const userData = { IOTDA_CERT_CONFIG: config }
        const runtime =
          kind === 'functiongraph' || config === ''
            ? plain
            : await startRuntime(kind, built.zip(kind), { IOTDA_CERT_CONFIG: config })
        const said = await runtime.invoke({ event: SCHEDULES[kind], userData })
        expect(said.ok, config).toBe(false)
        expect(said.name, config).toMatch(
          /^IotdaCertError\[(usage|settings-invalid|unreachable|unavailable)\]$/,
        )
        expect(said.message.length).toBeGreaterThan(20)
        noStack(said)
      }
    },
    120_000,
  )

  test.each(KINDS)(
    'events: %s',
    async kind => {
      const { invoke, rig } = await deploy(kind, 60)
      const words = fc.constantFrom(
        'rotate',
        'plan',
        'status',
        'delete',
        '__proto__',
        'factory-1',
        'TIMER',
        '',
      )
      const event = fc.oneof(
        fc.jsonValue({ maxDepth: 3 }),
        fc.record(
          {
            ...{
              action: fc.oneof(words, fc.jsonValue()),
              targets: fc.oneof(fc.array(words), fc.jsonValue()),
            },
            until: fc.oneof(words, fc.jsonValue()),
            accept: fc.oneof(words, fc.jsonValue()),
            trigger_type: words,
            user_event: fc.oneof(words, fc.string(), fc.json()),
            source: words,
          },
          { requiredKeys: [] },
        ),
      )
      await fc.assert(
        fc.asyncProperty(event, async given => {
          const said = await invoke({ event: given })
          if (said.ok) return
          expect(said.name).toMatch(/^IotdaCertError\[usage\]$/)
          expect(said.message).toMatch(/[a-z]{3}/)
          noStack(said)
        }),
        { numRuns: 150 },
      )
      expect(rig.changes()).toEqual([])
    },
    120_000,
  )
})
