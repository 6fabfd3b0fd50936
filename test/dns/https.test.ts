/** DNS over HTTPS (RFC 8484): where names lead, and whether a value is seen, by a resolver that remembers. */
import { describe, expect, it } from 'vitest'
import type { Run } from '../../lib/contracts.ts'
import { locate } from '../../lib/dns/locate.ts'
import { awaitPropagation } from '../../lib/dns/propagation.ts'
import { START } from '../solvers/rig.ts'
import {
  A,
  acme,
  cname,
  delegated,
  errorOf,
  example,
  hurry,
  NAME,
  R,
  startHttps,
  TARGET,
  txt,
} from './rig.ts'

type Bench = Awaited<ReturnType<typeof startHttps>>
const record = [{ fqdn: `${NAME}.`, value: 'v' }]
const wait = ({ access }: Bench, more?: Partial<Run>) => awaitPropagation(record, access({}, more))

describe('where a name leads', () => {
  it('stays at a name without an alias, and knows its zone and servers', async () => {
    const { access, dns } = await startHttps()
    expect(await locate('_acme-challenge.iot.example.com.', access())).toEqual({
      name: '_acme-challenge.iot.example.com',
      aliases: [],
      delegation: [],
      zone: 'example.com',
      nameServers: ['ns1.example.com', 'ns2.example.com'],
      servers: [],
    })
    expect(new Set(dns.queries.map(it => it.transport))).toEqual(new Set(['https']))
  })

  it('follows aliases into another zone', async () => {
    const { access } = await startHttps([example([cname(NAME, 'X.Acme.test')]), acme])
    expect(await locate(NAME, access())).toMatchObject({ name: TARGET, aliases: [NAME], zone: 'acme.test' })
  })

  it('knows a name that is a zone of its own', async () => {
    const { access } = await startHttps([example(), delegated(NAME), acme])
    expect(await locate(NAME, access())).toMatchObject({ zone: NAME, nameServers: ['ns.acme.test'] })
  })

  it('goes past an alias above the name that leads to the top of another zone', async () => {
    const { access } = await startHttps([example([cname('www.example.com', 'acme.test')]), acme])
    expect(await locate('_acme-challenge.www.example.com', access())).toMatchObject({ zone: 'example.com' })
  })

  it('asks the second resolver when the first does not answer', async () => {
    const bench = await startHttps()
    const resolvers = [`${bench.https.url}/elsewhere`, bench.https.queryUrl]
    expect(await locate(NAME, bench.access({ resolvers }))).toMatchObject({ zone: 'example.com' })
  })
})

describe('a value', () => {
  it('is seen at the resolver, and at no other server', async () => {
    const bench = await startHttps([example([txt(NAME, 'other', 'v')])])
    expect(await wait(bench)).toEqual({ kind: 'seen' })
    const { address, transport } = bench.dns.queries[0] ?? {}
    expect([bench.dns.queries.length, address, transport]).toEqual([1, R, 'https'])
  })

  it('of several strings is seen, behind an alias', async () => {
    const value = 'x'.repeat(600)
    const bench = await startHttps([
      example([cname(NAME, TARGET)]),
      { ...acme, records: [txt(TARGET, value)] },
    ])
    expect(await awaitPropagation([{ fqdn: NAME, value }], bench.access())).toEqual({ kind: 'seen' })
  })

  it('must be at every resolver', async () => {
    const bench = await startHttps([example([txt(NAME, 'v')])])
    const second = await startHttps()
    const resolvers = [bench.https.queryUrl, second.https.queryUrl]
    const { message, code } = await errorOf(awaitPropagation(record, bench.access({ resolvers })))
    expect(code).toBe('propagation-timeout')
    expect(message).toContain(`${second.https.queryUrl} for ${NAME}: no such name`)
    expect(message).not.toContain(bench.https.queryUrl)
  })

  it('is waited for a last time when it is seen', async () => {
    const bench = await startHttps([example([txt(NAME, 'v')])], { settleMs: 10_000 })
    await wait(bench)
    expect(bench.clock.waits).toEqual([10_000])
  })
})

describe('what the resolver remembers', () => {
  it('from before the write is waited for, and not asked for all the time', async () => {
    const bench = await startHttps()
    await locate(NAME, bench.access())
    bench.dns.zones.add(NAME, 'TXT', 'v')
    bench.dns.clearQueries()
    expect(await wait(bench)).toEqual({ kind: 'seen' })
    // The SOA of the zone says five minutes.
    expect(bench.clock.now() - START).toBe(300_000)
    expect(bench.dns.queries).toHaveLength(1)
    expect(bench.clock.waits).toEqual(Array(10).fill(30_000))
  })

  it('may be old values', async () => {
    const bench = await startHttps([example([{ ...txt(NAME, 'old'), ttl: 120 }])])
    await wait(bench, { deadline: START })
    bench.dns.zones.add(NAME, 'TXT', 'v')
    expect(await wait(bench)).toEqual({ kind: 'seen' })
    expect(bench.clock.now() - START).toBe(120_000)
  })

  it('is waited for by a later run when this one has no time for it', async () => {
    const bench = await startHttps()
    await locate(NAME, bench.access())
    bench.dns.zones.add(NAME, 'TXT', 'v')
    expect(await wait(bench, { deadline: START + 60_000 })).toMatchObject({
      kind: 'suspended',
      until: START + 300_000,
      why: expect.stringContaining('no such name'),
    })
    expect(bench.clock.now()).toBeLessThan(START + 60_000)
  })

  it('counts once: what is never written is given up', async () => {
    const bench = await startHttps()
    const { code, message } = await errorOf(wait(bench))
    expect(code).toBe('propagation-timeout')
    expect(message).toContain('not everywhere after 6m')
    expect(bench.clock.now() - START).toBe(360_000)
  })

  it('for longer than three hours is not believed', async () => {
    const bench = await startHttps([{ ...example([{ ...txt(NAME, 'old'), ttl: 604_800 }]) }])
    const { message } = await errorOf(wait(bench, { deadline: START + 24 * 3_600_000 }))
    expect(message).toContain('not everywhere after 3h 1m')
  })
})

describe('a resolver that does not help', () => {
  const bytes = (...values: number[]) => Buffer.from(values).toString('latin1')
  const of = (body: string, type = 'application/dns-message') => ({
    status: 200,
    headers: { 'content-type': type },
    body,
  })
  it.each([
    ['HTTP 500', { status: 500, body: 'oops' }],
    ['HTTP 429', { status: 429 }],
    ['HTTP 302', { status: 302, headers: { location: 'https://elsewhere.test/' } }],
    ['text/html instead of application/dns-message', of('<html>', 'text/html; charset=utf-8')],
    ['an answer without a type instead of application/dns-message', { status: 200 }],
    ['no DNS answer to this question', of('no DNS at all, but long enough')],
    ['no DNS answer to this question', of('')],
    // The header of an answer that announces a record, and ends.
    ['no DNS answer to this question', of(bytes(0, 0, 0x01, 0, 0, 0, 0, 1, 0, 0, 0, 0))],
    ['the answer is larger than 65535 bytes', of('x'.repeat(65_536))],
    ['the connection to', { drop: 'before' as const }],
    ['the connection to', { cut: 10 }],
  ])('is named: %s', async (why, fault) => {
    const bench = await startHttps()
    bench.faults.add({ operations: ['dns-https.Query'], times: 1_000, ...fault })
    expect(await errorOf(locate(NAME, bench.access()))).toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining(`SOA of example.com: ${bench.https.queryUrl}: ${why}`),
      hint: expect.stringContaining('propagation.resolvers'),
    })
    expect(bench.faults.calls).toHaveLength(2)
  })

  it('is asked once more', async () => {
    const bench = await startHttps([example([txt(NAME, 'v')])])
    bench.faults.add({ operations: ['dns-https.Query'], status: 502 })
    expect(await wait(bench)).toEqual({ kind: 'seen' })
    expect(bench.faults.calls).toHaveLength(2)
  })

  it('that says SERVFAIL is named', async () => {
    const bench = await startHttps()
    bench.dns.setNode(R, { servfail: ['SOA'] })
    expect(await errorOf(locate(NAME, bench.access()))).toMatchObject({
      message: `DNS resolver, SOA of example.com: ${bench.https.queryUrl}: SERVFAIL`,
    })
  })

  it('that is not there is named', async () => {
    const bench = await startHttps()
    await bench.https.dispose()
    expect(await errorOf(locate(NAME, bench.access()))).toMatchObject({
      message: expect.stringContaining('no connection to'),
    })
  })

  it('that never answers is given up after a while', async () => {
    const bench = await startHttps()
    bench.faults.add({ operations: ['dns-https.Query'], times: 1_000, delayMs: 20_000 })
    hurry()
    expect(await errorOf(locate(NAME, bench.access()))).toMatchObject({
      message: expect.stringContaining('no complete answer from'),
    })
  })

  it('beside one that answers is passed over after three rounds, with a warning', async () => {
    const bench = await startHttps([example([txt(NAME, 'v')])])
    const resolvers = [`${bench.https.url}/elsewhere`, bench.https.queryUrl]
    expect(await awaitPropagation(record, bench.access({ resolvers }))).toEqual({ kind: 'seen' })
    expect(bench.warnings().map(it => it.fields)).toEqual([
      { name: NAME, server: resolvers[0], said: 'HTTP 404' },
    ])
  })

  it('is left when the run is stopped', async () => {
    const bench = await startHttps()
    bench.faults.add({ operations: ['dns-https.Query'], times: 1_000, delayMs: 20_000 })
    const stop = new AbortController()
    const asked = errorOf(wait(bench, { signal: stop.signal }))
    await expect.poll(() => bench.faults.calls.length).toBe(1)
    stop.abort()
    expect(await asked).toMatchObject({ code: 'out-of-time' })
    expect(bench.faults.calls).toHaveLength(1)
  })
})

describe('the word of the service', () => {
  it('is enough with a wait: nobody is asked', async () => {
    const { access, dns, clock, faults } = await startHttps()
    expect(await awaitPropagation(record, access({ check: 'provider', settleMs: 60_000 }))).toEqual({
      kind: 'seen',
    })
    expect(clock.waits).toEqual([60_000])
    expect([dns.queries, faults.calls]).toEqual([[], []])
  })

  it('waits in a later run when this one has no time for it', async () => {
    const { access } = await startHttps()
    const short = access({ check: 'provider', settleMs: 60_000 }, { deadline: START + 30_000 })
    expect(await awaitPropagation(record, short)).toEqual({
      kind: 'suspended',
      until: START + 60_000,
      why: 'DNS propagation: the DNS service has taken it; waiting a little longer',
    })
  })

  it('follows aliases all the same', async () => {
    const { access } = await startHttps([example([cname(NAME, TARGET)]), acme])
    expect(await locate(NAME, access({ check: 'provider' }))).toMatchObject({ name: TARGET })
  })

  it('takes a name as it is when DNS cannot be asked at all, with a warning', async () => {
    const { access, dns, warnings } = await startHttps()
    const resolvers = [`${A}:${dns.port}`]
    dns.setNode(A, { servfail: true })
    expect(await locate(NAME, access({ check: 'provider', resolvers }))).toMatchObject({
      name: NAME,
      zone: null,
    })
    expect(warnings()[0]?.message).toContain('aliases of the name are not known')
  })
})
