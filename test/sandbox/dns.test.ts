import { describe, expect, it } from 'vitest'
import { A, askUdp, B, CHILD, failure, R, resolverAt, start, texts } from '../support/sandbox-dns.ts'

describe('records', () => {
  it('are served to node:dns by every name server', async () => {
    const dns = await start()
    for (const address of [A, B, R]) {
      const resolver = resolverAt(dns, address)
      expect((await resolver.resolve4('www.example.com')).sort()).toEqual(['192.0.2.1', '192.0.2.2'])
      expect(await resolver.resolve6('www.example.com')).toEqual(['2001:db8::1'])
      expect((await resolver.resolveNs('example.com')).sort()).toEqual(['ns1.example.com', 'ns2.example.com'])
      expect(await resolver.resolveSoa('example.com')).toMatchObject({
        nsname: 'ns1.example.com',
        hostmaster: 'hostmaster.example.com',
        minttl: 60,
      })
      expect(await resolver.resolveCaa('example.com')).toMatchObject([
        { critical: 0, issue: 'ca.test; accounturi=https://ca.test/1' },
      ])
      expect(await resolver.resolveCname('alias.example.com')).toEqual(['www.example.com'])
    }
  })

  it('include the addresses of the name servers, wherever their own zone is', async () => {
    const dns = await start()
    const resolver = resolverAt(dns, R)
    expect(await resolver.resolve4('ns2.example.com')).toEqual([B])
    expect(await resolver.resolveNs('acme.test')).toEqual(['ns1.provider.test'])
    expect(await resolver.resolve4('ns1.provider.test')).toEqual([A])
  })

  it('are found whatever the case, and the question keeps its case', async () => {
    const dns = await start()
    const reply = await askUdp(dns, A, 'wWw.ExAmPlE.com', 'A')
    expect(reply.questions?.[0]?.name).toBe('wWw.ExAmPlE.com')
    expect(reply.answers?.map(answer => answer.name)).toEqual(['wWw.ExAmPlE.com', 'wWw.ExAmPlE.com'])
    expect(reply).toMatchObject({ id: 4711, flag_qr: true, flag_aa: true, flag_ra: false, rcode: 'NOERROR' })
  })

  it('of TXT are cut into strings of 255 bytes', async () => {
    const dns = await start()
    const long = 'x'.repeat(300)
    dns.zones.set({ name: 'long.example.com', type: 'TXT', values: [long] })
    const [strings = []] = await resolverAt(dns, A).resolveTxt('long.example.com')
    expect(strings.map(string => string.length)).toEqual([255, 45])
    expect(strings.join('')).toBe(long)
  })

  it('of TXT keep the other values of their name', async () => {
    const dns = await start()
    const resolver = resolverAt(dns, A)
    dns.zones.add('T.example.com.', 'TXT', 'one')
    dns.zones.add('t.example.com', 'TXT', 'two')
    dns.zones.add('t.example.com', 'TXT', 'two')
    expect(await resolver.resolveTxt('t.example.com')).toEqual([['one'], ['two']])
    dns.zones.remove('t.example.com', 'TXT', 'one')
    dns.zones.remove('t.example.com', 'TXT', 'never there')
    expect(await resolver.resolveTxt('t.example.com')).toEqual([['two']])
    dns.zones.remove('t.example.com', 'TXT', 'two')
    expect(await failure(resolver.resolveTxt('t.example.com'))).toBe('ENOTFOUND')
  })

  it('cannot stand beside a CNAME', async () => {
    const dns = await start()
    expect(() => dns.zones.add('alias.example.com', 'TXT', 'x')).toThrow(/CNAME/)
    expect(() => dns.zones.set({ name: 'www.example.com', type: 'CNAME', values: ['a.test'] })).toThrow(
      /CNAME/,
    )
    expect(() => dns.zones.add('foreign.invalid', 'TXT', 'x')).toThrow(/no zone/)
  })

  it('raise the serial of their zone', async () => {
    const dns = await start()
    const serial = async (): Promise<number> => (await resolverAt(dns, A).resolveSoa('acme.test')).serial
    const before = await serial()
    dns.zones.add('x.acme.test', 'TXT', 'v')
    expect(await serial()).toBe(before + 1)
  })
})

describe('names without records', () => {
  it.each([
    ['nothing.example.com', 'TXT', 'NXDOMAIN'],
    ['www.example.com', 'TXT', 'NOERROR'],
    ['empty.example.com', 'TXT', 'NOERROR'],
    ['www.example.com', 'UNKNOWN_65', 'NOERROR'],
  ])('%s %s: %s with the SOA in authority', async (name, type, rcode) => {
    const dns = await start()
    const reply = await askUdp(dns, A, name, type)
    expect(reply).toMatchObject({ rcode, flag_aa: true, answers: [] })
    expect(reply.authorities).toMatchObject([{ type: 'SOA', name: 'example.com', ttl: 60 }])
  })

  it.each([
    [A, 'foreign.invalid'],
    [B, 'x.acme.test'],
    [R, 'foreign.invalid'],
  ])('%s refuses %s', async (address, name) => {
    const dns = await start()
    const reply = await askUdp(dns, address, name, 'A', { rd: true })
    expect(reply).toMatchObject({ rcode: 'REFUSED', flag_aa: false, answers: [], authorities: [] })
  })

  it('may be covered by a wildcard', async () => {
    const dns = await start()
    const reply = await askUdp(dns, A, '_acme-challenge.a.wild.example.com', 'A')
    expect(reply.answers?.map(answer => answer.type)).toEqual(['CNAME', 'A', 'A'])
    expect(reply.answers?.[0]?.name).toBe('_acme-challenge.a.wild.example.com')
  })
})

describe('aliases', () => {
  it('are followed across the zones of one server', async () => {
    const dns = await start()
    dns.zones.add('x.acme.test', 'TXT', 'token')
    const reply = await askUdp(dns, A, '_acme-challenge.example.com', 'TXT')
    expect(reply.answers?.map(answer => [answer.name, answer.type])).toEqual([
      ['_acme-challenge.example.com', 'CNAME'],
      ['x.acme.test', 'TXT'],
    ])
    expect(await resolverAt(dns, R).resolveTxt('_acme-challenge.example.com')).toEqual([['token']])
  })

  it('end where the zones of an authoritative server end', async () => {
    const dns = await start()
    dns.zones.add('x.acme.test', 'TXT', 'token')
    const reply = await askUdp(dns, B, '_acme-challenge.example.com', 'TXT', { rd: true })
    expect(reply.rcode).toBe('NOERROR')
    expect(reply.answers?.map(answer => answer.type)).toEqual(['CNAME'])
  })

  it('to nothing say so: NXDOMAIN', async () => {
    const dns = await start()
    const reply = await askUdp(dns, R, '_acme-challenge.example.com', 'TXT', { rd: true })
    expect(reply).toMatchObject({ rcode: 'NXDOMAIN', flag_ra: true, flag_aa: false })
    expect(reply.authorities).toMatchObject([{ type: 'SOA', name: 'acme.test' }])
  })

  it.each(['loop1.example.com', 'away.example.com', 'x.lame.example.com'])(
    'and delegations that lead nowhere fail at a resolver: %s',
    async name => {
      const dns = await start()
      const reply = await askUdp(dns, R, name, 'A', { rd: true })
      expect(reply).toMatchObject({ rcode: 'SERVFAIL', answers: [] })
    },
  )

  it('in a loop end at an authoritative server', async () => {
    const dns = await start()
    const reply = await askUdp(dns, A, 'loop1.example.com', 'A')
    expect(reply.answers?.map(answer => answer.name)).toEqual(['loop1.example.com', 'loop2.example.com'])
  })
})

describe('delegations', () => {
  it('are referrals with glue at the parent and answers at the child', async () => {
    const dns = await start()
    dns.zones.add('_acme-challenge.sub.example.com', 'TXT', 'v')
    const referral = await askUdp(dns, A, '_acme-challenge.sub.example.com', 'TXT', { rd: true })
    expect(referral).toMatchObject({ rcode: 'NOERROR', flag_aa: false, answers: [] })
    expect(referral.authorities).toMatchObject([
      { type: 'NS', name: 'sub.example.com', data: 'ns.sub.example.com' },
    ])
    expect(referral.additionals).toMatchObject([{ type: 'A', name: 'ns.sub.example.com', data: CHILD }])
    const answer = await askUdp(dns, CHILD, '_acme-challenge.sub.example.com', 'TXT')
    expect(answer).toMatchObject({ flag_aa: true })
    expect(texts(answer)).toEqual(['v'])
    expect(await resolverAt(dns, R).resolveTxt('_acme-challenge.sub.example.com')).toEqual([['v']])
  })

  it('keep the SOA walk of a resolver in the child zone', async () => {
    const dns = await start()
    const resolver = resolverAt(dns, R)
    expect(await failure(resolver.resolveSoa('_acme-challenge.sub.example.com'))).toBe('ENOTFOUND')
    expect((await resolver.resolveSoa('sub.example.com')).nsname).toBe('ns.sub.example.com')
  })
})
