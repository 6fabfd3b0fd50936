/** A sandbox DNS with two name servers, a resolver and a delegated child, and raw clients for it. */
import { createSocket } from 'node:dgram'
import { Resolver } from 'node:dns/promises'
import { once } from 'node:events'
import { connect } from 'node:net'
import packet, { type Answer, type DecodedPacket, type RecordType } from 'dns-packet'
import { createDns, type Dns, type DnsOptions } from '../../sandbox/dns/server.ts'
import { cleanups } from './cleanups.ts'

export const A = '127.0.0.1'
export const B = '127.0.0.2'
/** The resolver. */
export const R = '127.0.0.3'
/** The name server of the child zone. */
export const CHILD = '127.0.0.4'

/** Two zones of one owner, a delegated one, and one elsewhere that aliases point to. */
export const zones: DnsOptions['zones'] = [
  {
    name: 'Example.com',
    ns: [
      { name: 'ns1.example.com', address: A },
      { name: 'ns2.example.com', address: B },
    ],
    negativeTtl: 60,
    records: [
      { name: 'www.example.com', type: 'A', values: ['192.0.2.1', '192.0.2.2'] },
      { name: 'www.example.com', type: 'AAAA', values: ['2001:db8::1'] },
      { name: 'example.com', type: 'CAA', values: ['0 issue "ca.test; accounturi=https://ca.test/1"'] },
      { name: 'alias.example.com', type: 'CNAME', values: ['www.example.com'] },
      { name: '_acme-challenge.example.com', type: 'CNAME', values: ['x.acme.test'] },
      { name: 'loop1.example.com', type: 'CNAME', values: ['loop2.example.com'] },
      { name: 'loop2.example.com', type: 'CNAME', values: ['loop1.example.com'] },
      { name: 'away.example.com', type: 'CNAME', values: ['elsewhere.invalid'] },
      { name: 'deep.empty.example.com', type: 'TXT', values: ['below'] },
      { name: '*.wild.example.com', type: 'CNAME', values: ['www.example.com'] },
      { name: 'lame.example.com', type: 'NS', values: ['ns.nowhere.invalid'] },
    ],
  },
  { name: 'sub.example.com', ns: [{ name: 'ns.sub.example.com', address: CHILD }] },
  { name: 'acme.test', ns: [{ name: 'ns1.provider.test', address: A }] },
]

/** Starts it, to be stopped after the test. */
export const start = async (options: Partial<DnsOptions> = {}): Promise<Dns> => {
  const dns = await createDns({ zones, addresses: [A, B, R, CHILD], ...options })
  cleanups.push(dns.dispose)
  return dns
}

export interface Ask {
  readonly rd?: boolean
  readonly edns?: number
}

export interface Reply extends DecodedPacket {
  readonly rcode?: string
}

/** A query on the wire. */
export const queryOf = (name: string, type: string, ask: Ask): Buffer =>
  packet.encode({
    type: 'query',
    id: 4711,
    flags: ask.rd ? packet.RECURSION_DESIRED : 0,
    questions: [{ name, type: type as RecordType }],
    additionals: ask.edns
      ? [{ type: 'OPT', name: '.', udpPayloadSize: ask.edns, flags: 0, options: [] } as unknown as Answer]
      : [],
  })

/** Sends bytes and takes the first answer. */
export const sendUdp = async (dns: Dns, address: string, message: Buffer): Promise<Buffer> => {
  const socket = createSocket('udp4')
  socket.send(message, dns.port, address)
  const [answer] = (await once(socket, 'message')) as [Buffer]
  socket.close()
  return answer
}

/** Asks one question over UDP. */
export const askUdp = async (
  dns: Dns,
  address: string,
  name: string,
  type: string,
  ask: Ask = {},
): Promise<Reply> => packet.decode(await sendUdp(dns, address, queryOf(name, type, ask)))

/** Asks for TXT records of several names over one connection. */
export const askTcp = async (dns: Dns, address: string, ...names: string[]): Promise<Reply[]> => {
  const socket = connect(dns.port, address)
  for (const name of names) {
    const message = queryOf(name, 'TXT', {})
    const length = Buffer.from([message.length >> 8, message.length & 255])
    // Byte by byte at the start: a length may arrive in pieces.
    socket.write(length.subarray(0, 1))
    socket.write(Buffer.concat([length.subarray(1), message]))
  }
  const replies: Reply[] = []
  let buffer = Buffer.alloc(0)
  for await (const bytes of socket) {
    buffer = Buffer.concat([buffer, bytes as Buffer])
    while (buffer.length >= 2 && buffer.length >= 2 + buffer.readUInt16BE(0)) {
      replies.push(packet.decode(buffer.subarray(2, 2 + buffer.readUInt16BE(0))))
      buffer = buffer.subarray(2 + buffer.readUInt16BE(0))
    }
    if (replies.length === names.length) break
  }
  return replies
}

/** The resolver of node:dns, asking one address only. */
export const resolverAt = (dns: Dns, address: string, timeoutMs = 10_000): Resolver => {
  const resolver = new Resolver({ timeout: timeoutMs, tries: 1 })
  resolver.setServers([`${address}:${dns.port}`])
  return resolver
}

/** The code a promise fails with, or `none`. */
export const failure = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'none',
    error => String((error as NodeJS.ErrnoException).code),
  )

/** The TXT values of an answer, each joined. */
export const texts = (reply: Reply): string[] =>
  (reply.answers ?? []).flatMap(answer =>
    answer.type === 'TXT' ? Buffer.concat(answer.data as Buffer[]).toString() : [],
  )
