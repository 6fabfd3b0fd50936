import { describe, expect, it } from 'vitest'
import { RotationError } from '../../lib/base/rotation-error.ts'
import { awaitPropagation } from '../../lib/dns/propagation.ts'
import { START } from '../solvers/rig.ts'
import {
  A,
  acme,
  B,
  CHILD,
  cname,
  delegated,
  errorOf,
  example,
  hurry,
  IPV6,
  lame,
  NAME,
  NOBODY,
  ns,
  OTHER,
  R,
  start,
  TARGET,
  txt,
  type Zone,
} from './rig.ts'

describe('awaitPropagation', () => {
  it('asks every address of every name server once when all agree', async () => {
    const { wait, dns, clock } = await start([example([txt(NAME, 'v')])])
    expect(await wait(`${NAME}.`, 'v')).toEqual({ kind: 'seen' })
    for (const address of [A, B]) expect(dns.count({ address, name: NAME, type: 'TXT' })).toBe(1)
    expect(dns.count({ address: R, name: NAME, type: 'TXT' })).toBe(0)
    expect(clock.waits).toEqual([])
  })

  const addresses = (...of: readonly string[]) => of.map(address => ({ name: 'ns1.example.com', address }))
  it.each([
    ['a server that lags, and asks only that one again', ns(A, B), 5_000],
    ['every address of one name', addresses(A, B), 1_000],
    ['the IPv6 address of a name server as well', addresses(A, IPV6), 3_000],
  ])('waits for %s', async (_, servers, lagMs) => {
    const { wait, dns, clock } = await start([example([], servers)])
    const late = servers[1]?.address ?? ''
    dns.setNode(late, { lagMs })
    dns.zones.add(NAME, 'TXT', 'v')
    expect(await wait(NAME, 'v')).toEqual({ kind: 'seen' })
    const rounds = Math.ceil(lagMs / 2_000)
    expect(clock.waits).toEqual(Array(rounds).fill(2_000))
    expect(dns.count({ address: A, type: 'TXT' })).toBe(1)
    expect(dns.count({ address: late, type: 'TXT' })).toBe(rounds + 1)
  })

  it('does not pass over an IPv6 address that lags when the IPv4 address has the value', async () => {
    const { wait, dns } = await start([example([], addresses(A, IPV6))])
    dns.setNode(IPV6, { lagMs: 3_600_000 })
    dns.zones.add(NAME, 'TXT', 'v')
    const { code, message } = await errorOf(wait(NAME, 'v'))
    expect(code).toBe('propagation-timeout')
    expect(message).toContain(`ns1.example.com (${IPV6})`)
    expect(message).not.toContain(`(${A})`)
  })

  it('wants the value itself, among whatever others', async () => {
    const { wait, dns } = await start([example([txt(NAME, 'before', 'vv', 'V')])])
    const { message } = await errorOf(wait(NAME, 'v'))
    expect(message).toContain('other values only')
    dns.zones.add(NAME, 'TXT', 'v')
    expect(await wait('_Acme-Challenge.EXAMPLE.com.', 'v')).toEqual({ kind: 'seen' })
  })

  it('joins the strings of a long value, and asks over TCP for a long answer', async () => {
    const long = 'x'.repeat(700)
    const { wait, dns } = await start([example([txt(NAME, long, 'y'.repeat(2_000))])])
    expect(await wait(NAME, long)).toEqual({ kind: 'seen' })
    expect(dns.count({ address: A, type: 'TXT', transport: 'tcp' })).toBe(1)
  })

  it('awaits several values of one name and names in several zones together', async () => {
    const child: Zone = { name: 'sub.example.com', ns: [{ name: 'ns.sub.example.com', address: CHILD }] }
    const { access, dns, clock } = await start([example(), child])
    const deep = '_acme-challenge.a.sub.example.com'
    const records = [
      { fqdn: `${NAME}.`, value: 'apex' },
      { fqdn: `${NAME}.`, value: 'wildcard' },
      { fqdn: `${deep}.`, value: 'deep' },
    ]
    dns.zones.add(NAME, 'TXT', 'apex')
    clock.onSleep = () => {
      dns.zones.add(NAME, 'TXT', 'wildcard')
      if (clock.waits.length === 1) dns.zones.add(deep, 'TXT', 'deep')
    }
    expect(await awaitPropagation(records, access())).toEqual({ kind: 'seen' })
    expect(clock.waits).toEqual([2_000, 2_000])
    expect(dns.count({ address: CHILD, name: deep, type: 'TXT' })).toBe(3)
    expect(dns.count({ address: A, name: NAME, type: 'TXT' })).toBe(2)
  })

  it('looks at the end of an alias', async () => {
    const { wait, dns } = await start([example([cname(NAME, TARGET)]), acme])
    dns.zones.add(TARGET, 'TXT', 'v')
    expect(await wait(NAME, 'v')).toEqual({ kind: 'seen' })
    expect(dns.count({ address: OTHER, name: TARGET, type: 'TXT' })).toBe(1)
  })

  it('asks the servers a name is itself delegated to', async () => {
    const { wait, dns, clock } = await start([example(), delegated(NAME), acme])
    expect(await wait(NAME, 'v')).toEqual({ kind: 'seen' })
    expect(clock.waits).toEqual([])
    expect(dns.count({ address: OTHER, name: NAME, type: 'TXT' })).toBe(1)
    expect(dns.count({ address: A, name: NAME, type: 'TXT' })).toBe(0)
  })

  it('asks the given servers instead', async () => {
    const { dns, access } = await start([example([txt(NAME, 'v')])])
    const given = access({ nameservers: [`${A}:${dns.port}`] })
    expect(await awaitPropagation([{ fqdn: NAME, value: 'v' }], given)).toEqual({ kind: 'seen' })
    expect(dns.count({ address: A, type: 'TXT' })).toBe(1)
    expect(dns.count({ address: B }) + dns.count({ address: R })).toBe(0)
  })

  it('waits a last time when every server agrees', async () => {
    const { wait, clock } = await start([example([txt(NAME, 'v')])], { settleMs: 4_000 })
    expect(await wait(NAME, 'v')).toEqual({ kind: 'seen' })
    expect(clock.waits).toEqual([4_000])
  })
})

describe('servers that do not help', () => {
  it.each([
    ['a dead one', NOBODY, 'no server there (ECONNREFUSED)', example([txt(NAME, 'v')], ns(A, NOBODY))],
    ['a lame one', CHILD, 'REFUSED', example([txt(NAME, 'v'), ...lame], ns(A))],
    ['one that fails', B, 'SERVFAIL', example([txt(NAME, 'v')])],
  ])('goes on without %s after three rounds, with a warning', async (_, address, said, zone) => {
    const { wait, dns, clock, warnings } = await start([zone])
    dns.setNode(B, { servfail: ['TXT'] })
    expect(await wait(NAME, 'v')).toEqual({ kind: 'seen' })
    expect(clock.waits).toEqual([2_000, 2_000])
    expect(warnings().map(({ fields }) => fields)).toEqual([
      { name: NAME, server: `ns2.example.com (${address})`, said },
    ])
  })

  it('goes on without a silent one', async () => {
    const { wait, dns, warnings } = await start([example([txt(NAME, 'v')])])
    dns.setNode(B, { down: true })
    hurry()
    expect(await wait(NAME, 'v')).toEqual({ kind: 'seen' })
    expect(warnings()[0]?.fields).toMatchObject({ said: 'no answer' })
  })

  it('does not go on without one that has answered before', async () => {
    const { wait, dns, clock } = await start([example([txt(NAME, 'v')])])
    dns.zones.set({ name: NAME, type: 'TXT', values: [] })
    dns.setNode(B, { lagMs: 3_600_000 })
    dns.zones.set({ name: NAME, type: 'TXT', values: ['w'] })
    clock.onSleep = () => dns.setNode(B, { servfail: ['TXT'] })
    const { code, message } = await errorOf(wait(NAME, 'w'))
    expect(code).toBe('propagation-timeout')
    expect(message).toContain(`ns2.example.com (${B})`)
    expect(message).not.toContain(`(${A})`)
  })

  it('does not go on when nobody has the value', async () => {
    const { wait } = await start([example([], ns(A, NOBODY))])
    expect(await errorOf(wait(NAME, 'v'))).toMatchObject({ code: 'propagation-timeout' })
  })

  it('does not count an IPv6 address without a route', async () => {
    // A link-local address without a zone never has one.
    const records = [txt(NAME, 'v'), { name: 'ns1.example.com', type: 'AAAA' as const, values: ['fe80::1'] }]
    const { wait, dns, warnings, clock } = await start([example(records)])
    expect(await wait(NAME, 'v')).toEqual({ kind: 'seen' })
    expect(dns.count({ address: R, name: 'ns1.example.com', type: 'AAAA' })).toBe(1)
    expect(clock.waits).toEqual([])
    expect(warnings()).toEqual([])
  })

  it('says so when no server has a reachable address', async () => {
    const server = { name: 'ns.nowhere.test', address: A }
    const { wait, dns } = await start([example([], [server])])
    dns.setNode(R, { servfail: ['A'] })
    const { code, message } = await errorOf(wait(NAME, 'v'))
    expect(code).toBe('unavailable')
    expect(message).toBe('DNS: no name server of the zone example.com can be reached')
  })
})

describe('limits', () => {
  it('fails after withinMs and names who lacks the value', async () => {
    const { wait, dns, clock } = await start()
    dns.setNode(B, { lagMs: 3_600_000 })
    dns.zones.add(NAME, 'TXT', 'v')
    const error = await errorOf(wait(`${NAME}.`, 'v'))
    expect(error).toMatchObject({
      code: 'propagation-timeout',
      message: `DNS propagation: not everywhere after 1m: ns2.example.com (${B}) for ${NAME}: no such name`,
    })
    for (const word of ['delegation', 'wrong zone', 'wrong account']) expect(error.hint).toContain(word)
    expect(clock.now()).toBe(START + 60_000)
  })

  it('suspends before the deadline of the run', async () => {
    const { wait, clock } = await start([example([txt(NAME, 'other')])])
    const deadline = START + 20_000
    const answer = await wait(NAME, 'v', { deadline })
    expect(answer).toMatchObject({ kind: 'suspended', until: clock.now() + 2_000 })
    expect(answer).toMatchObject({ why: expect.stringContaining('other values only') })
    expect(clock.now()).toBeLessThan(deadline - 2_000)
    expect(clock.waits.length).toBeGreaterThan(0)
  })

  it('suspends when the last wait is longer than the run', async () => {
    const { wait, clock } = await start([example([txt(NAME, 'v')])], { settleMs: 30_000 })
    const answer = await wait(NAME, 'v', { deadline: START + 20_000 })
    expect(answer).toMatchObject({ kind: 'suspended', until: START + 30_000 })
    expect(clock.waits).toEqual([])
  })

  it('stops with the run: before, in a wait, in a question', async () => {
    const { wait, clock, dns } = await start()
    expect(await errorOf(wait(NAME, 'v', { signal: AbortSignal.abort() }))).toMatchObject({
      code: 'out-of-time',
    })
    const waiting = new AbortController()
    clock.onSleep = () => waiting.abort()
    expect(await errorOf(wait(NAME, 'v', { signal: waiting.signal }))).toMatchObject({ code: 'out-of-time' })
    const reason = new RotationError('lease-lost', 'another run took over')
    const asking = new AbortController()
    dns.setNode(B, { down: true })
    dns.clearQueries()
    const asked = errorOf(wait(NAME, 'v', { signal: asking.signal }))
    await expect.poll(() => dns.count({ address: B, type: 'TXT' })).toBe(1)
    asking.abort(reason)
    expect(await asked).toBe(reason)
    expect(dns.count({ address: B, type: 'TXT' })).toBe(1)
  })
})
