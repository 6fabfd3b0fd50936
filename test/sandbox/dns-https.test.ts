/** The resolver over HTTPS: RFC 8484, and what it remembers. */
import packet, { type RecordType } from 'dns-packet'
import { describe, expect, it } from 'vitest'
import { createDnsHttps } from '../../sandbox/dns/https.ts'
import { createFaults } from '../../sandbox/kit/faults.ts'
import { cleanups } from '../support/cleanups.ts'
import { R, type Reply, start } from '../support/sandbox-dns.ts'

const MEDIA_TYPE = 'application/dns-message'

async function open() {
  let now = Date.UTC(2026, 10, 24)
  const dns = await start({ now: () => now })
  const https = await createDnsHttps({ dns, faults: createFaults(), resolver: R, now: () => now })
  cleanups.push(https.dispose)
  const message = (name: string, type: string): Buffer =>
    packet.encode({
      type: 'query',
      id: 0,
      flags: packet.RECURSION_DESIRED,
      questions: [{ name, type: type as RecordType }],
    })
  const read = async (answer: Response): Promise<Reply> => {
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, MEDIA_TYPE])
    return packet.decode(Buffer.from(await answer.arrayBuffer()))
  }
  const post = (body: Buffer | string, type = MEDIA_TYPE) =>
    fetch(https.queryUrl, {
      method: 'POST',
      headers: { 'content-type': type },
      body: new Uint8Array(Buffer.from(body)),
    })
  return {
    ...{ dns, https, post, read, message },
    ask: async (name: string, type: string) => read(await post(message(name, type))),
    pass: (ms: number) => {
      now += ms
    },
  }
}

describe('RFC 8484', () => {
  it('answers POST and GET alike', async () => {
    const { ask, https, message, read } = await open()
    const posted = await ask('www.example.com', 'A')
    const query = message('www.example.com', 'A').toString('base64url')
    const got = await read(await fetch(`${https.queryUrl}?dns=${query}`))
    expect(posted.answers).toHaveLength(2)
    expect(got).toEqual(posted)
  })

  it('takes no other type, and no rubbish', async () => {
    const { post, message } = await open()
    expect((await post(message('www.example.com', 'A'), 'text/plain')).status).toBe(415)
    expect((await post('rubbish')).status).toBe(400)
  })

  it('says nothing of a resolver that is down', async () => {
    const { dns, post, message } = await open()
    dns.setNode(R, { down: true })
    expect((await post(message('www.example.com', 'A'))).status).toBe(504)
  })
})

describe('memory', () => {
  it('of an answer grows old with its time to live', async () => {
    const { ask, dns, pass } = await open()
    expect(await ask('www.example.com', 'A')).toMatchObject({ answers: [{ ttl: 300 }, { ttl: 300 }] })
    pass(100_000)
    expect(await ask('www.example.com', 'A')).toMatchObject({ answers: [{ ttl: 200 }, { ttl: 200 }] })
    pass(200_000)
    await ask('www.example.com', 'A')
    expect(dns.count({ transport: 'https' })).toBe(2)
  })

  it('of a name that is not there holds for every type of it', async () => {
    const { ask, dns, pass } = await open()
    expect(await ask('new.example.com', 'CNAME')).toMatchObject({ rcode: 'NXDOMAIN', answers: [] })
    dns.zones.add('new.example.com', 'TXT', 'v')
    pass(59_000)
    expect(await ask('new.example.com', 'TXT')).toMatchObject({
      rcode: 'NXDOMAIN',
      questions: [{ type: 'TXT' }],
    })
    pass(1_000)
    expect(await ask('new.example.com', 'TXT')).toMatchObject({
      rcode: 'NOERROR',
      answers: [{ type: 'TXT' }],
    })
  })

  it('of a missing type holds for that type alone', async () => {
    const { ask } = await open()
    expect(await ask('www.example.com', 'TXT')).toMatchObject({ rcode: 'NOERROR', answers: [] })
    expect((await ask('www.example.com', 'AAAA')).answers).toHaveLength(1)
  })

  it('is none of a failure', async () => {
    const { ask, dns } = await open()
    dns.setNode(R, { servfail: true })
    expect((await ask('www.example.com', 'A')).rcode).toBe('SERVFAIL')
    dns.setNode(R, { servfail: false })
    expect((await ask('www.example.com', 'A')).rcode).toBe('NOERROR')
  })
})
