/** Somebody can write the state: what it would have us bind, hold, wait for and send, and what comes of it. */
import { X509Certificate } from 'node:crypto'
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { receiveAlerts } from '../support/alert-receiver.ts'
import { cleanups } from '../support/cleanups.ts'
import { forge } from '../support/forge.ts'
import { BIND, DAY_MS, HOUR_MS, openScenario, type Scenario } from '../support/scenario.ts'

const stateOf = (s: Scenario): string => join(s.rig.folder, 'state')

/** Ours is bound and settled; in the other slot stands a certificate of another name. */
async function openTwoNames() {
  const s = await openScenario()
  const bound = await s.bindOne(60)
  expect(await s.run()).toMatchObject({ outcome: 'idle' })
  const other = await s.upload(-1, 80, ['other.example.org'])
  const print = (id: string) => s.iotda.certificates().find(c => c.id === id)?.fingerprint
  return { s, bound, other, print }
}

type World = Awaited<ReturnType<typeof openTwoNames>>

const replaces = ({ other, print }: World) => ({
  serverCertificateId: other,
  serverCertificateConfig: null,
  fingerprint: print(other),
  served: true,
  reachable: true,
})

/** A document that has us put another name's certificate back. */
const putBack =
  (world: World, more: object = {}) =>
  (document: Record<string, unknown>) => {
    document.pending = {
      fingerprint: world.print(world.bound),
      specHash: 'x',
      serverCertificateId: world.bound,
      replaces: replaces(world),
      boundAt: world.s.clock.now() - 1_000,
      failedWhy: 'devices refuse it',
      ...more,
    }
  }

const REFUSED = { outcome: 'failed', error: { code: 'store-unreadable' } }

describe("another name's certificate is not put back by a forged failedWhy and replaces", () => {
  test('without the seal key nothing of it is read', async () => {
    const world = await openTwoNames()
    const { s, bound } = world
    await forge(stateOf(s), 'targets/', putBack(world), { signed: false })
    s.changes()
    await s.runTo(REFUSED)
    await s.runTo(REFUSED, { force: true })
    await s.runTo(REFUSED, { action: 'rollback' })
    expect(s.changes()).toEqual([])
    expect(s.boundId()).toBe(bound)
  })

  test.each([
    ['failed', {}],
    ['not verified', { failedWhy: null }],
    ['of a leaf that is not served', { failedWhy: null, fingerprint: 'f'.repeat(64) }],
  ])('with it (%s), devices are asked, and the bound one stays, not held', async (_, more) => {
    const world = await openTwoNames()
    const { s, bound } = world
    await forge(stateOf(s), 'targets/', putBack(world, more), { signed: true })
    s.changes()
    await s.run()
    await s.run()
    expect(s.changes()).toEqual([])
    expect(s.boundId()).toBe(bound)
    const status = await s.run({ action: 'status' })
    expect(status.decision.reason).not.toBe('held')
  })

  test.each([
    ['as previous', null],
    ['as previous, and accepted', 'accept'],
  ])('nor by hand, %s', async (_, accept) => {
    const world = await openTwoNames()
    const { s, bound, other, print } = world
    const previous = { serverCertificateId: other, fingerprint: print(other) }
    await forge(stateOf(s), 'targets/', d => Object.assign(d, { previous }), { signed: true })
    s.changes()
    const event = { action: 'rollback', accept: accept && (print(other) ?? null) } as const
    await s.runTo({ error: { code: 'nothing-to-roll-back' } }, event)
    expect(s.changes()).toEqual([])
    expect(s.boundId()).toBe(bound)
  })

  test('a good predecessor is put back all the same', async () => {
    const world = await openTwoNames()
    const { s } = world
    s.iotda.deleteCertificate(world.other)
    const good = await s.upload(-2, 50)
    const own = { ...world, other: good }
    await forge(stateOf(s), 'targets/', putBack(own), { signed: true })
    await s.runTo({ outcome: 'rolled-back' })
    expect(s.boundId()).toBe(good)
  })
})

test('nor where a person asks again for what is bound already, and devices are served something else', async () => {
  const s = await openScenario({
    change: settings => {
      settings.sources.bought = {
        ...{ type: 'file', certificate: 'file:chain.pem', privateKey: 'file:key.pem' },
      }
      settings.certificates.iot.source = 'bought'
    },
  })
  const bought = await s.issue(-1, 60)
  await writeFile(join(s.rig.folder, 'chain.pem'), bought.certPem)
  await writeFile(join(s.rig.folder, 'key.pem'), bought.keyPem)
  const bound = s.iotda.upload(bought.certPem, bought.keyPem)
  s.iotda.createConfiguration(s.domain, bound)
  expect(await s.run()).toMatchObject({ outcome: 'idle' })
  const other = await s.upload(-1, 80, ['other.example.org'])
  const print = (id: string) => s.iotda.certificates().find(c => c.id === id)?.fingerprint
  const world = { s, bound, other, print }
  const boundAt = s.clock.now() - 2 * HOUR_MS
  await forge(stateOf(s), 'targets/', putBack(world, { failedWhy: null, boundAt }), { signed: true })
  s.device.switches.serve = await s.issue(-2, 30)
  // Neither look can read what is bound; what asks later can.
  const unreadable = { operations: ['iotda.ShowServerCertificate'], status: 404, body: '{}', times: 1 }
  for (const skip of [0, 2]) s.faults.add({ ...unreadable, skip })
  s.changes()
  await s.runTo({ error: { code: 'not-served' } }, { force: true })
  expect(s.changes()).not.toContain(BIND)
  expect(s.boundId()).toBe(bound)
})

test.each([
  ["another origin's directory", (url: string, at: string) => ({ url, at })],
  ["the settings' own directory with URLs of another origin", (_: string, at: string) => ({ url: null, at })],
])('by a forged memory of %s no request goes elsewhere', async (_, forged) => {
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(request.url ?? '')
    response.writeHead(500).end()
  })
  await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve))
  cleanups.push(() => new Promise<void>(resolve => void server.close(() => resolve())))
  const elsewhere = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const s = await openScenario()
  await s.bindOne(20)
  expect(await s.run()).toMatchObject({ outcome: 'rotated' })
  s.clock.advance(2 * HOUR_MS)
  const { url, at } = forged(`${elsewhere}/directory`, elsewhere)
  const change = ({ notes: { directory } }: { readonly notes: { readonly directory: Remembered } }) => {
    directory.url = url ?? directory.url
    directory.fetchedAt = s.clock.now()
    for (const [name, value] of Object.entries(directory.body))
      if (typeof value === 'string') directory.body[name] = value.replace(/^https?:\/\/[^/]+/, at)
  }
  await forge(stateOf(s), 'sources/', change, { signed: true })
  await s.runTo({ outcome: 'rotated' }, { force: true })
  expect(asked).toEqual([])
})

interface Remembered {
  url: string
  fetchedAt: number
  readonly body: Record<string, unknown>
}

test('a revoked predecessor is not put back, by hand either', async () => {
  const s = await openScenario()
  await s.bindOne(20)
  expect(await s.run()).toMatchObject({ outcome: 'rotated' })
  const bound = s.boundId()
  const [older] = s.iotda.certificates().filter(c => c.id !== bound)
  expect(older).toBeDefined()
  await forge(
    stateOf(s),
    'certificates/',
    d => {
      d.revoked = [{ fingerprint: older?.fingerprint, at: s.clock.now(), reason: 'superseded' }]
    },
    { signed: true },
  )
  s.changes()
  await s.runTo({ error: { code: 'nothing-to-roll-back' } }, { action: 'rollback' })
  expect(s.changes()).toEqual([])
  expect(s.boundId()).toBe(bound)
})

test('what version 0.1.0 left is taken over once, and said so', async () => {
  const s = await openScenario()
  await s.bindOne(60)
  expect(await s.run()).toMatchObject({ outcome: 'idle' })
  const none = { signed: false }
  for (const prefix of ['targets/', 'runs/last']) await forge(stateOf(s), prefix, () => {}, none)
  const files = await readdir(stateOf(s))
  for (const name of files.filter(it => it.startsWith('state.'))) await rm(join(stateOf(s), name))
  for (const folder of ['certificates', 'sources'])
    await rm(join(stateOf(s), folder), { recursive: true, force: true })

  const answer = await s.rig.run({}, { clock: s.clock })
  expect(answer.warnings).toMatchObject([{ code: 'state-taken-over' }])
  const again = await s.rig.run({}, { clock: s.clock })
  expect(again.warnings ?? []).toEqual([])
  await forge(stateOf(s), 'targets/', d => Object.assign(d, { failures: 9 }), none)
  await s.runTo(REFUSED)
})

test.each(['targets/', 'runs/last'])(
  'a message of their own in the outbox of %s is not delivered',
  async prefix => {
    const receiver = await receiveAlerts()
    const s = await openScenario({
      change: settings => Object.assign(settings, { notifiers: [{ type: 'webhook', url: receiver.url }] }),
    })
    await s.bindOne(60)
    expect(await s.run()).toMatchObject({ outcome: 'idle' })
    const alert = { event: 'failed', severity: 'critical', reason: 'pay here', dedupKey: 'x', at: 'now' }
    const outbox = [{ notifier: 'webhook-1', since: s.clock.now(), alert }]
    await forge(stateOf(s), prefix, d => Object.assign(d.alerts, { outbox }), { signed: false })
    await s.run()
    await s.run()
    expect(JSON.stringify(receiver.requests)).not.toContain('pay here')
    expect(receiver.alerts.map(it => it.event)).toContain(prefix === 'targets/' ? 'failed' : 'adopted')
  },
)

test.each(['targets/', 'runs/last'])(
  'nor where they emptied the store, and %s looks as if version 0.1.0 had left it',
  async prefix => {
    const receiver = await receiveAlerts()
    const s = await openScenario({
      change: settings => Object.assign(settings, { notifiers: [{ type: 'webhook', url: receiver.url }] }),
    })
    await s.bindOne(60)
    expect(await s.run()).toMatchObject({ outcome: 'idle' })
    const alert = { event: 'failed', severity: 'critical', reason: 'pay here', dedupKey: 'x', at: 'now' }
    const outbox = [{ notifier: 'webhook-1', since: s.clock.now(), alert }]
    const held = { since: s.clock.now(), why: 'pay here', specHash: 'x' }
    await forge(stateOf(s), prefix, d => Object.assign(d, { held, alerts: { ...d.alerts, outbox } }), {
      signed: false,
    })
    const [kept = ''] = prefix.split('/')
    for (const name of await readdir(stateOf(s)))
      if (![kept, 'seal.key'].includes(name)) await rm(join(stateOf(s), name), { recursive: true })
    const answer = await s.rig.run({}, { clock: s.clock })
    expect(answer.warnings).toMatchObject([{ code: 'state-taken-over' }])
    await s.run()
    expect(JSON.stringify(receiver.requests)).not.toContain('pay here')
  },
)

test('a wiped key that somebody puts back is not used again', async () => {
  const s = await openScenario({
    change: settings => Object.assign(settings.certificates.iot, { reuseKey: true, keyType: 'ec-256' }),
  })
  await s.bindOne(20)
  expect(await s.run()).toMatchObject({ outcome: 'rotated' })
  const keys = join(stateOf(s), 'certificates', 'iot')
  const kept = join(s.rig.folder, 'kept')
  await cp(keys, kept, { recursive: true })
  const revoke = { certificate: null, reason: 'keyCompromise' as const }
  const fingerprint = s.iotda.certificates().find(c => c.id === s.boundId())?.fingerprint ?? null
  await s.runTo(
    { outcome: 'revoked' },
    { action: 'revoke', force: true, revoke: { ...revoke, certificate: fingerprint } },
  )
  const compromised = spkiOf(s)
  await cp(kept, keys, { recursive: true })
  s.clock.advance(2 * DAY_MS)
  await s.runTo({ outcome: 'rotated' })
  expect(spkiOf(s)).not.toBe(compromised)
  expect(await readFile(join(keys, (await readdir(keys))[0] ?? ''), 'utf8')).toMatch(/^v1\./)
})

const spkiOf = (s: Scenario): string => {
  const pem = s.iotda.certificates().find(c => c.id === s.boundId())?.certificatePem ?? ''
  return new X509Certificate(pem).publicKey.export({ type: 'spki', format: 'der' }).toString('hex')
}
