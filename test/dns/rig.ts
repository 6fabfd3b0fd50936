/** A DNS of several zones and servers, and what the propagation tests ask of it. */
import { expect, onTestFinished, vi } from 'vitest'
import { RotationError } from '../../lib/base/rotation-error.ts'
import type { PropagationSettings, Run } from '../../lib/contracts.ts'
import { locate } from '../../lib/dns/locate.ts'
import { awaitPropagation } from '../../lib/dns/propagation.ts'
import type { DnsAccess } from '../../lib/dns/resolve/lookup.ts'
import { createHttp } from '../../lib/http/client.ts'
import { createDnsHttps } from '../../sandbox/dns/https.ts'
import { createDns, type DnsOptions } from '../../sandbox/dns/server.ts'
import { createFaults } from '../../sandbox/kit/faults.ts'
import { createRun, createTestClock, createTestLog } from '../solvers/rig.ts'
import { cleanups } from '../support/cleanups.ts'

/** Two name servers of example.com, a resolver, the server of a child and of another zone. */
export const A = '127.0.0.1'
export const B = '127.0.0.2'
export const R = '127.0.0.3'
export const CHILD = '127.0.0.4'
export const OTHER = '127.0.0.5'
/** Nobody listens there. */
export const NOBODY = '127.0.0.9'
export const NAME = '_acme-challenge.example.com'
export const TARGET = 'x.acme.test'

export const IPV6 = '::1'
const servesIpv6 = ({ ns }: Zone): boolean => ns.some(({ address }) => address === IPV6)

export type Zone = DnsOptions['zones'][number]
export const ns = (...addresses: readonly string[]) =>
  addresses.map((address, at) => ({ name: `ns${at + 1}.example.com`, address }))
export const example = (records: Zone['records'] = [], servers = ns(A, B)): Zone => ({
  name: 'example.com',
  ns: servers,
  records,
})
export const acme: Zone = { name: 'acme.test', ns: [{ name: 'ns.acme.test', address: OTHER }] }
export const cname = (name: string, target: string) => ({ name, type: 'CNAME' as const, values: [target] })
export const txt = (name: string, ...values: string[]) => ({ name, type: 'TXT' as const, values })

export const start = async (
  zones: readonly Zone[] = [example(), acme],
  over: Partial<PropagationSettings> = {},
) => {
  const clock = createTestClock()
  const { log, entries } = createTestLog()
  const dns = await createDns({
    zones,
    addresses: [A, B, R, CHILD, OTHER, ...(zones.some(servesIpv6) ? [IPV6] : [])],
    resolvers: [R],
    now: clock.now,
  })
  cleanups.push(dns.dispose)
  const settings: PropagationSettings = {
    check: 'authoritative',
    caCertificates: null,
    resolvers: [`${R}:${dns.port}`],
    nameservers: [],
    port: dns.port,
    withinMs: 60_000,
    everyMs: 2_000,
    settleMs: 0,
    ...over,
  }
  const run = (more?: Partial<Run>): Run => createRun(clock, log, more)
  const http = createHttp()
  cleanups.push(http.close)
  const access = (given: Partial<PropagationSettings> = {}, more?: Partial<Run>): DnsAccess => ({
    propagation: { ...settings, ...given },
    http: () => http,
    run: run(more),
  })
  return {
    clock,
    dns,
    settings,
    run,
    access,
    warnings: () => entries.filter(({ level }) => level === 'warn'),
    follow: async (fqdn: string, given: Partial<PropagationSettings> = {}) =>
      `${(await locate(fqdn, access(given))).name}.`,
    wait: (fqdn: string, value: string, more?: Partial<Run>) =>
      awaitPropagation([{ fqdn, value }], access({}, more)),
  }
}

/** The same with a resolver over HTTPS, and settings that ask nobody else. */
export const startHttps = async (zones?: readonly Zone[], over: Partial<PropagationSettings> = {}) => {
  const bench = await start(zones)
  const { dns, clock } = bench
  const faults = createFaults(clock.now)
  const https = await createDnsHttps({ dns, faults, resolver: R, now: clock.now })
  cleanups.push(https.dispose)
  const settings = { ...bench.settings, check: 'https', resolvers: [https.queryUrl], ...over } as const
  const access = (given: Partial<PropagationSettings> = {}, more?: Partial<Run>) =>
    bench.access({ ...settings, ...given }, more)
  return { ...bench, faults, https, settings, access }
}

/** Lets the program's own timers run twenty times as fast as the rest of the world, until the test ends. */
export const hurry = (): void => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const ticking = setInterval(() => vi.advanceTimersByTime(100), 5)
  onTestFinished(() => {
    clearInterval(ticking)
    vi.useRealTimers()
  })
}

/** A name that is delegated to the server of another zone. */
export const delegated = (name: string): Zone => ({
  name,
  ns: [{ name: 'ns.acme.test', address: OTHER }],
  records: [txt(name, 'v')],
})

export const errorOf = async (promise: Promise<unknown>): Promise<RotationError> => {
  const error = await promise.then(
    () => null,
    thrown => thrown as RotationError,
  )
  expect(error).toBeInstanceOf(RotationError)
  return error as RotationError
}

/** Says that CHILD serves the zone too, which it does not. */
export const lame: NonNullable<Zone['records']> = [
  { name: 'example.com', type: 'NS', values: ['ns1.example.com', 'ns2.example.com'] },
  { name: 'ns2.example.com', type: 'A', values: [CHILD] },
]
