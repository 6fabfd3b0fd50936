/** What is known before an order is placed: the CA is asked for none that cannot succeed. */
import { describe, expect, test } from 'vitest'
import { type AcmeCa, createAcmeCa } from '../../sandbox/acme-ca/ca.ts'
import { createFaults, type Faults } from '../../sandbox/kit/faults.ts'
import type { SandboxSettings } from '../../sandbox/sandbox.ts'
import { cleanups } from '../support/cleanups.ts'
import { put } from '../support/put.ts'
import { DAY_MS, HOUR_MS, openScenario, type Scenario, type ScenarioOptions } from '../support/scenario.ts'

const DNS = '127.0.0.1'
const IDENTITY = 'sandbox-ca.test'
const orders = (faults: Faults): number => faults.calls.filter(c => c.operation === 'acme.NewOrder').length

/** The bound certificate ends in 20 days, so that the next run asks for another. */
const open = async (options: ScenarioOptions = {}): Promise<Scenario> => {
  const s = await openScenario(options)
  await s.bindOne(20)
  return s
}
const allow = ({ rig, domain }: Scenario, ...values: string[]): void =>
  rig.sandbox.dns.zones.set({ name: domain, type: 'CAA', values })

/** The solver of Huawei Cloud, which tells its zone. */
const withHuawei = (settings: SandboxSettings, url: string): void => {
  const { propagation } = settings.solvers.dns
  settings.solvers.dns = { type: 'huaweicloud', credentials: 'cn', endpoint: url, propagation }
}
const openHuawei = async (options: ScenarioOptions = {}): Promise<Scenario> => {
  const s = await open(options)
  await s.configure(settings => withHuawei(settings, s.rig.sandbox.huaweiDns.url))
  return s
}

const refused = async (s: Scenario, code: string, ...says: readonly string[]) => {
  const { outcome, error } = await s.run()
  expect([outcome, error?.code], JSON.stringify(error)).toEqual(['failed', code])
  for (const text of says) expect(`${error?.message} ${error?.hint}`).toContain(text)
  expect(orders(s.faults)).toBe(0)
  expect(s.changes()).toEqual([])
}
const rotates = async (s: Scenario) => {
  expect(await s.later(25 * HOUR_MS)).toMatchObject({ outcome: 'rotated', error: null })
  expect(s.ca.orders).toHaveLength(1)
}

describe('CAA', () => {
  test.each([
    ['another CA', ['0 issue "other.test"'], 'allows other.test, but not sandbox-ca.test'],
    ['nobody', ['0 issue ";"'], 'allows nobody'],
    ['another way to validate', [`0 issue "${IDENTITY}; validationmethods=http-01"`], 'by http-01'],
    ['something that no CA knows', ['128 tbs "x"'], 'the critical property "tbs"'],
  ])('that allows %s: no order, until it is mended', async (_, values, why) => {
    const s = await open()
    allow(s, ...values)
    await refused(s, 'caa-forbids', `${s.domain}: CAA of ${s.domain} `, why)
    allow(s, `0 issue "${IDENTITY}"`)
    await rotates(s)
  })

  test('that is tied to another account: the remedy names ours, and with it an order is placed', async () => {
    const s = await open()
    allow(s, `0 issue "${IDENTITY}; accounturi=https://elsewhere.test/1"`)
    await refused(s, 'caa-forbids', 'only for the account https://elsewhere.test/1', 'Add a CAA record to')
    const { error } = await s.run({ force: true })
    const [, record] = /(0 issue "[^"]*")/.exec(error?.hint ?? '') ?? []
    expect(record).toContain(`accounturi=${s.ca.url}/accounts/`)
    allow(s, record ?? '')
    await rotates(s)
  })

  test('that forbids the wildcard alone', async () => {
    const s = await open({
      change: put({ 'certificates.iot.names': ['example.com', '*.example.com'] }),
    })
    s.rig.sandbox.dns.zones.set({
      name: 'example.com',
      type: 'CAA',
      values: [`0 issue "${IDENTITY}"`, '0 issuewild ";"'],
    })
    await refused(s, 'caa-forbids', '*.example.com: CAA of example.com allows for wildcards nobody')
  })

  test('that cannot be read: no order, but a later run and at last the emergency', async () => {
    const s = await open()
    const { dns } = s.rig.sandbox
    dns.setNode(DNS, { servfail: ['CAA'] })
    await refused(s, 'unavailable', 'the CAA records of', 'cannot be read: SERVFAIL', 'CAs do not issue')
    expect(await s.run()).toMatchObject({ decision: { reason: 'backing-off' } })
    s.clock.advance(2 * HOUR_MS)
    await refused(s, 'unavailable', 'SERVFAIL')
    // It is our resolver that cannot: the one of the CA can.
    s.faults.onCall(({ operation }) => {
      if (operation === 'acme.NewOrder') dns.setNode(DNS, { servfail: false })
    })
    expect(await s.later(16 * DAY_MS)).toMatchObject({
      outcome: 'rotated',
      decision: { reason: 'emergency' },
    })
    expect(s.rig.logged.some(line => line.includes('going on without CAA'))).toBe(true)
  })

  test('that can be read again: the next run orders', async () => {
    const s = await open()
    const { dns } = s.rig.sandbox
    dns.setNode(DNS, { servfail: ['CAA'] })
    await refused(s, 'unavailable')
    dns.setNode(DNS, { servfail: false })
    await rotates(s)
  })
})

test('a broken DNSSEC chain of trust: no order until it is mended, but in the emergency', async () => {
  const s = await open()
  const { dns } = s.rig.sandbox
  dns.setNode(DNS, { bogus: true })
  await refused(
    s,
    'dnssec-broken',
    `the chain of trust to ${s.domain} is broken`,
    'CAs see nothing in the zone',
  )
  dns.setNode(DNS, { bogus: false })
  await rotates(s)

  const pressed = await open()
  pressed.rig.sandbox.dns.setNode(DNS, { bogus: true })
  await refused(pressed, 'dnssec-broken')
  // It is our resolver that is wrong: the one of the CA validates.
  pressed.faults.onCall(({ operation }) => {
    if (operation === 'acme.NewOrder') pressed.rig.sandbox.dns.setNode(DNS, { bogus: false })
  })
  expect(await pressed.later(16 * DAY_MS)).toMatchObject({
    outcome: 'rotated',
    decision: { reason: 'emergency' },
  })
})

describe('several CAs', () => {
  const openTwo = async (): Promise<{ s: Scenario; second: AcmeCa; faults: Faults }> => {
    const s = await open()
    const faults = createFaults()
    const second = await createAcmeCa({
      ...{ faults, dnsServer: s.ca.options.dnsServer, now: s.clock.now, keyAlgorithm: 'ec-256' },
      caaIdentities: ['second.test'],
    })
    cleanups.push(second.dispose)
    await s.configure(settings => {
      const { sandbox } = settings.sources
      settings.sources.second = {
        ...sandbox,
        directory: second.directoryUrl,
        caCertificates: second.caPem,
      }
      settings.certificates.iot.source = ['sandbox', 'second']
      settings.targets[0].trustedRoots = `${s.ca.rootPem}${second.rootPem}`
    })
    return { s, second, faults }
  }

  test('CAA forbids the first: the second is asked in the same run, and the first for no order', async () => {
    const { s, second } = await openTwo()
    allow(s, '0 issue "second.test"')
    expect(await s.run()).toMatchObject({ outcome: 'rotated', error: null })
    expect([orders(s.faults), second.orders.length, second.issued.length]).toEqual([0, 1, 1])
  })

  test('CAA forbids both: no order at either', async () => {
    const { s, faults } = await openTwo()
    allow(s, '0 issue ";"')
    await refused(s, 'caa-forbids', 'but not second.test')
    expect(orders(faults)).toBe(0)
  })
})

describe('delegation', () => {
  const foreign = (name: string) => ({ name, ns: [{ name: `ns.${name}`, address: DNS }] })

  test('the healthy way: the solver tells its zone and name servers', async () => {
    const s = await openHuawei()
    expect(await s.run()).toMatchObject({ outcome: 'rotated', error: null })
  })

  test('a wildcard alias that leads to where the solver cannot write', async () => {
    const s = await openHuawei({ foreignZones: [foreign('cdn.test')] })
    const { zones } = s.rig.sandbox.dns
    const set = (name: string, type: 'CNAME' | 'TXT', ...values: string[]) =>
      zones.set({ name, type, values })
    set('*.example.com', 'CNAME', 'edge.cdn.test')
    const name = `_acme-challenge.${s.domain}`
    await refused(
      s,
      'delegation-mismatch',
      `the wildcard *.example.com answers for ${name} with an alias (CNAME) of edge.cdn.test`,
      `Give ${name} a record of its own`,
    )
    // What the hint says.
    set(name, 'TXT', 'placeholder')
    await rotates(s)
  })

  test('a challenge name that is delegated to others', async () => {
    const name = '_acme-challenge.iot.example.com'
    const s = await openHuawei({
      foreignZones: [{ ...foreign(name), records: [{ name, type: 'TXT', values: ['theirs'] }] }],
    })
    await refused(
      s,
      'delegation-mismatch',
      `${name} is in the zone ${name}`,
      'the solver writes to example.com',
    )
  })

  test('a zone of the solver that nobody delegates to', async () => {
    const s = await openHuawei()
    const { faults } = s
    const zones = [{ id: 'z1', name: 'iot.example.com.', status: 'ACTIVE' }]
    const body = JSON.stringify({ zones, metadata: { total_count: 1 } })
    faults.add({ operations: ['huaweidns.ListZones'], times: 100, status: 200, body })
    const recordsets = JSON.stringify({ recordsets: [], metadata: { total_count: 0 } })
    faults.add({ operations: ['huaweidns.ListRecordSets'], times: 100, status: 200, body: recordsets })
    await refused(s, 'delegation-mismatch', 'the zone iot.example.com, which no NS record in example.com')
    faults.clear()
    await rotates(s)
  })

  test('name servers that do not serve the zone', async () => {
    const s = await openHuawei({
      foreignZones: [{ name: 'lame.test', ns: [{ name: 'ns.lame.test', address: DNS }] }],
    })
    const { zones } = s.rig.sandbox.dns
    zones.set({ name: 'example.com', type: 'NS', values: ['ns.nowhere.test'] })
    await refused(s, 'unavailable', 'no name server of the zone example.com can be reached')
    zones.set({ name: 'example.com', type: 'NS', values: ['ns1.example.com'] })
    await rotates(s)
  })
})
