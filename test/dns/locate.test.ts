import { createSocket } from 'node:dgram'
import packet from 'dns-packet'
import { describe, expect, it } from 'vitest'
import { cleanups } from '../support/cleanups.ts'
import {
  A,
  acme,
  B,
  cname,
  errorOf,
  example,
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

const chain = (length: number): Zone['records'] =>
  Array.from({ length }, (_, at) => cname(at === 0 ? NAME : `c${at}.example.com`, `c${at + 1}.example.com`))

describe('where a name leads', () => {
  it.each([
    ['a name that is not there', []],
    ['a name that has other values', [txt(NAME, 'theirs')]],
    ['a name with names below it', [txt(`below.${NAME}`, 'v')]],
  ])('stays at %s', async (_, records) => {
    const { follow, dns } = await start([example(records)])
    expect(await follow(`${NAME}.`)).toBe(`${NAME}.`)
    expect(dns.count({ address: R, name: NAME, type: 'TXT' })).toBe(0)
  })

  it('is not asked of more than a hundred addresses', async () => {
    const servers = Array.from({ length: 26 }, (_, i) => ({ name: `ns${i}.example.com`, address: A }))
    const four = ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4']
    const many = servers.map(({ name }) => ({ name, type: 'A' as const, values: four }))
    const { follow, dns } = await start([example(many, servers)])
    expect(await errorOf(follow(`${NAME}.`))).toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(
        /^DNS: the name servers of example.com have 1\d\d addresses, more than 100$/,
      ),
    })
    expect(dns.count({ address: A, name: NAME, type: 'CNAME' })).toBe(0)
  })

  it('never asks a resolver about a name that is not there', async () => {
    const { follow, dns } = await start()
    await follow(`${NAME}.`)
    expect(dns.count({ address: R })).toBeGreaterThan(0)
    expect(dns.count({ address: R, name: NAME })).toBe(0)
  })

  it('follows an alias into another zone, in whatever case', async () => {
    const { follow, dns } = await start([example([cname(NAME, 'X.Acme.TEST')]), acme])
    expect(await follow('_ACME-Challenge.Example.COM')).toBe(`${TARGET}.`)
    expect(dns.count({ address: R, name: TARGET })).toBe(0)
    expect(dns.count({ address: OTHER, name: TARGET, type: 'CNAME' })).toBe(1)
  })

  it('follows ten aliases', async () => {
    const { follow } = await start([example(chain(10))])
    expect(await follow(NAME)).toBe('c10.example.com.')
  })

  it('stops at the eleventh alias', async () => {
    const { follow } = await start([example(chain(11))])
    expect(await errorOf(follow(NAME))).toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('more than 10 CNAME records'),
    })
  })

  it('stops at a loop', async () => {
    const records = [cname(NAME, 'loop.example.com'), cname('loop.example.com', NAME)]
    const { follow } = await start([example(records)])
    expect(await errorOf(follow(NAME))).toMatchObject({
      code: 'unavailable',
      message: `DNS: the CNAME records form a loop: ${NAME} -> loop.example.com -> ${NAME}`,
      hint: expect.any(String),
    })
  })

  it('follows a wildcard alias', async () => {
    const { follow } = await start([example([cname('*.iot.example.com', TARGET)]), acme])
    expect(await follow('_acme-challenge.iot.example.com')).toBe(`${TARGET}.`)
  })

  it('goes past an alias above the name that leads to the top of another zone', async () => {
    const { follow, dns } = await start([example([cname('www.example.com', 'acme.test')]), acme])
    expect(await follow('_acme-challenge.www.example.com')).toBe('_acme-challenge.www.example.com.')
    expect(dns.count({ address: OTHER })).toBe(0)
  })

  it('asks the given servers and nobody else', async () => {
    const { dns, follow } = await start([example([cname(NAME, 'there.example.com')])])
    const given = { nameservers: [`${B}:${dns.port}`] }
    expect(await follow(NAME, given)).toBe('there.example.com.')
    expect(new Set(dns.queries.map(({ address }) => address))).toEqual(new Set([B]))
  })

  it('asks a given server by its name, at the common port', async () => {
    const { follow } = await start([example([cname(NAME, 'there.example.com')])])
    expect(await follow(NAME, { nameservers: ['localhost'] })).toBe('there.example.com.')
  })

  it('says which server of the settings has no address', async () => {
    const { follow } = await start()
    expect(await errorOf(follow(NAME, { nameservers: ['ns.invalid'] }))).toMatchObject({
      code: 'unreachable',
      message: expect.stringContaining('DNS server ns.invalid'),
    })
  })

  it.each([
    ['dead', [], ns(A, NOBODY)],
    ['lame', lame, ns(A)],
  ])('gets by with one server that answers beside a %s one', async (_, records, servers) => {
    const { follow } = await start([example([...records, cname(NAME, TARGET)], servers), acme])
    expect(await follow(NAME)).toBe(`${TARGET}.`)
  })

  it('says so when no server answers', async () => {
    const { follow, dns } = await start([example([], ns(A, NOBODY))])
    dns.setNode(A, { servfail: ['CNAME'] })
    const { code, message } = await errorOf(follow(NAME))
    expect(code).toBe('unavailable')
    expect(message).toContain(`ns1.example.com (${A}): SERVFAIL`)
    expect(message).toContain(`ns2.example.com (${NOBODY}): no server there (ECONNREFUSED)`)
  })

  it('refuses a name that is too long for DNS', async () => {
    const { follow } = await start()
    expect(await errorOf(follow(`_acme-challenge.${'a'.repeat(64)}.example.com`))).toMatchObject({
      code: 'settings-invalid',
    })
  })
})

describe('a resolver that cannot help', () => {
  it.each(['SOA', 'NS'])('is named with a hint when it fails for %s', async type => {
    const { follow, dns } = await start()
    dns.setNode(R, { servfail: [type] })
    expect(await errorOf(follow(NAME))).toMatchObject({
      code: 'unavailable',
      message: `DNS resolver, ${type} of example.com: SERVFAIL`,
      hint: expect.stringContaining('propagation.nameservers'),
    })
  })

  it('is named when it refuses', async () => {
    const { follow, dns } = await start()
    const { code, message } = await errorOf(follow(NAME, { resolvers: [`${OTHER}:${dns.port}`] }))
    expect(code).toBe('unavailable')
    expect(message).toBe('DNS resolver, SOA of example.com: REFUSED')
  })

  it('is named when it does not know the type', async () => {
    const socket = createSocket('udp4')
    cleanups.push(() => new Promise(resolve => socket.close(resolve)))
    socket.on('message', (message, from) => {
      const { id = 0, questions = [] } = packet.decode(message)
      const notImplemented = 4
      const answer = packet.encode({ type: 'response', id, flags: notImplemented, questions })
      socket.send(answer, from.port, from.address)
    })
    await new Promise<void>(resolve => socket.bind(0, '127.0.0.1', resolve))
    const { follow } = await start()
    const resolvers = [`127.0.0.1:${socket.address().port}`]
    expect(await errorOf(follow(NAME, { resolvers }))).toMatchObject({
      code: 'unavailable',
      message: 'DNS resolver, SOA of example.com: NOTIMP',
    })
  })

  it('is given another try by none when no zone is there', async () => {
    const { follow } = await start([{ name: 'test', ns: [{ name: 'ns.test', address: A }] }])
    expect(await errorOf(follow('_acme-challenge.example.com'))).toMatchObject({ code: 'unavailable' })
  })
})
