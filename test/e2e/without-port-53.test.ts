/** A rotation where DNS cannot be asked by its port, as in a function: the CA alone reaches a DNS server so. */
import { describe, expect, test } from 'vitest'
import { doctor } from '../../lib/app/doctor.ts'
import { silentLog } from '../../lib/base/log.ts'
import { fillSlots, type SandboxSettings } from '../../sandbox/sandbox.ts'
import { cleanups } from '../support/cleanups.ts'
import { cli } from '../support/command.ts'
import { createRig } from '../support/rig.ts'
import { HOUR_MS, openScenario, type Scenario } from '../support/scenario.ts'

const open = async (
  propagation: object,
  change: (settings: SandboxSettings, s: Scenario) => void = () => {},
) => {
  const s = await openScenario({ port53: 'closed' })
  const { queryUrl, caPem } = s.rig.sandbox.dnsHttps
  await s.configure(settings => {
    settings.solvers.dns.propagation = { resolvers: [queryUrl], caCertificates: caPem, ...propagation }
    change(settings, s)
  })
  await s.bindOne(20)
  return s
}

/** What the CA itself looks up (RFC 8555 section 8.4, RFC 8659 section 3). */
const OF_THE_CA = new Set(['TXT', 'CAA'])
/** Who asked by the port of DNS, and for what. */
const byPort = ({ rig }: Pick<Scenario, 'rig'>): ReadonlySet<string> =>
  new Set(rig.sandbox.dns.queries.filter(it => it.transport !== 'https').map(it => it.type))
const overHttps = ({ rig }: Scenario, type: string): number =>
  rig.sandbox.dns.count({ transport: 'https', type })
const startedAt = ({ clock }: Scenario) => clock.now()

describe('DNS over HTTPS', () => {
  test('finds the zone, reads CAA, and sees the value, though the resolver remembers that there was none', async () => {
    const s = await open({ check: 'https', settle: '0s' })
    const start = startedAt(s)
    expect(await s.run()).toMatchObject({ outcome: 'rotated', error: null })
    // The CA's own questions.
    expect(byPort(s)).toEqual(OF_THE_CA)
    // That there is no such name at all, the resolver knows since the zone was looked for.
    expect(overHttps(s, 'CAA')).toBe(1)
    expect(overHttps(s, 'TXT')).toBe(1)
    // As long as the zone says that nothing may be remembered.
    expect(s.clock.now() - start).toBeGreaterThanOrEqual(300_000)
  })

  test('a run that has not the time for it suspends, and the next one goes on with the same order', async () => {
    const s = await open({ check: 'https' })
    expect(await s.run({}, { budgetMs: 120_000 })).toMatchObject({ outcome: 'suspended' })
    expect(s.obtained()).toBe(0)
    expect(await s.later(HOUR_MS / 2)).toMatchObject({ outcome: 'rotated', error: null })
    expect(s.ca.orders).toHaveLength(1)
    expect(byPort(s)).toEqual(OF_THE_CA)
  })

  test('is enough for the built command', async () => {
    const rig = await createRig({ port53: 'closed' })
    cleanups.push(rig.dispose)
    await fillSlots(rig.sandbox)
    const { dns, dnsHttps } = rig.sandbox
    const soa = 'ns1.example.com hostmaster.example.com 1 7200 900 1209600 1'
    dns.zones.set({ name: 'example.com', type: 'SOA', values: [soa] })
    await rig.configure(settings => {
      const { queryUrl, caPem } = dnsHttps
      settings.solvers.dns.propagation = {
        ...{ check: 'https', resolvers: [queryUrl], caCertificates: caPem },
        ...{ settle: '0s', every: '200ms' },
      }
    })
    const { code, stdout } = await cli(rig, ['rotate', '--json'])
    expect(code, stdout).toBe(0)
    expect(JSON.parse(stdout).results).toMatchObject([{ outcome: 'rotated' }])
    expect(byPort({ rig })).toEqual(OF_THE_CA)
  })

  test('CAA that forbids the CA is seen: no order', async () => {
    const s = await open({ check: 'https' })
    s.rig.sandbox.dns.zones.set({ name: 'example.com', type: 'CAA', values: ['0 issue ";"'] })
    expect(await s.run()).toMatchObject({ outcome: 'failed', error: { code: 'caa-forbids' } })
    expect(s.ca.orders).toHaveLength(0)
  })

  test.each([
    ['that fails', { status: 500 }, 'HTTP 500'],
    ['that is a web page', { status: 200, headers: { 'content-type': 'text/html' } }, 'text/html instead of'],
    [
      'that talks rubbish',
      { status: 200, headers: { 'content-type': 'application/dns-message' }, body: 'rubbish' },
      'no DNS answer',
    ],
  ])('a resolver %s: no order, and a message that names it', async (_, fault, why) => {
    const s = await open({ check: 'https' })
    s.faults.add({ operations: ['dns-https.Query'], times: 1_000, ...fault })
    const { outcome, error } = await s.run()
    expect([outcome, error?.code]).toEqual(['failed', 'unavailable'])
    expect(error?.message).toContain(s.rig.sandbox.dnsHttps.queryUrl)
    expect(error?.message).toContain(why)
    expect(s.ca.orders).toHaveLength(0)
    s.faults.clear()
    expect(await s.later(2 * HOUR_MS)).toMatchObject({ outcome: 'rotated', error: null })
  })

  test('a certificate that is not trusted: no order', async () => {
    const s = await open({ check: 'https', caCertificates: null })
    const { error } = await s.run()
    expect(error).toMatchObject({ code: 'unavailable', message: expect.stringContaining('TLS with') })
    expect(s.ca.orders).toHaveLength(0)
  })

  test('doctor looks at everything that way', async () => {
    const s = await open({ check: 'https' })
    const { findings } = await doctor({
      ...{ config: s.rig.settingsFile, write: false, notify: false, log: silentLog },
      deadline: Date.now() + 60_000,
    })
    const about = findings.filter(it => /^(dns|caa)/.test(it.check))
    expect(about.map(it => `${it.check} ${it.verdict}`)).toEqual(['dns-zone ok', 'dns-solver ok', 'caa ok'])
    expect(about[0]?.message).toBe('the zone example.com at ns1.example.com')
    expect(byPort(s)).toEqual(new Set())
  })
})

describe('the word of the DNS service', () => {
  const huawei = (settings: SandboxSettings, { rig }: Scenario): void => {
    const { propagation } = settings.solvers.dns
    const { url: endpoint, switches } = rig.sandbox.huaweiDns
    switches.pendingMs = 4_000
    settings.solvers.dns = { type: 'huaweicloud', credentials: 'cn', endpoint, propagation }
  }

  test('is waited for, then a while more; no server is asked for the value', async () => {
    const s = await open({ check: 'provider', settle: '90s' }, huawei)
    const start = startedAt(s)
    expect(await s.run()).toMatchObject({ outcome: 'rotated', error: null })
    expect(s.clock.now() - start).toBeGreaterThanOrEqual(94_000)
    expect(overHttps(s, 'TXT')).toBe(0)
    // That there is no such name at all, the resolver knows since the zone was looked for.
    expect(overHttps(s, 'CAA')).toBe(1)
    expect(byPort(s)).toEqual(OF_THE_CA)
  })

  test('is enough for the built command where no DNS answers at all', async () => {
    const s = await open({ check: 'provider', settle: '1s', resolvers: ['127.0.0.9:1'] })
    const { code, stdout } = await cli(s.rig, ['rotate', '--json'])
    expect(code, stdout).toBe(0)
    expect(JSON.parse(stdout).results).toMatchObject([{ outcome: 'rotated' }])
    expect(byPort(s)).toEqual(OF_THE_CA)
    expect(s.rig.sandbox.dns.count({ transport: 'https' })).toBe(0)
  })
})
