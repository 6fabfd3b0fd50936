import { createSocket } from 'node:dgram'
import { type AddressInfo, createServer } from 'node:net'
import packet from 'dns-packet'
import { onTestFinished } from 'vitest'

/** A resolver with the records of one test, over UDP and TCP. */
export interface TinyDns {
  readonly address: string
  readonly txt: Map<string, string[]>
  readonly cname: Map<string, string>
  /** Values of `issue` properties. */
  readonly caa: Map<string, string[]>
  /** Values of `issuewild` properties. */
  readonly caaWild: Map<string, string[]>
  /** Rcode for all answers: 2 SERVFAIL, 3 NXDOMAIN. */
  rcode: number
  /** UDP answers are truncated, so that the CA must come back over TCP. */
  truncate: boolean
  /** Queries are swallowed. */
  silent: boolean
  /** Of each query for TXT. */
  readonly transports: string[]
}

const answer = (dns: TinyDns, query: Buffer, truncated: boolean): Buffer => {
  const { id, questions = [] } = packet.decode(query)
  const { name = '', type } = questions[0] ?? {}
  const target = dns.cname.get(name)
  const answers: packet.Answer[] = target
    ? [{ type: 'CNAME', name, data: target }]
    : type === 'CAA'
      ? [
          ...(dns.caa.get(name) ?? []).map(value => ({ type, name, data: { tag: 'issue' as const, value } })),
          ...(dns.caaWild.get(name) ?? []).map(value => ({
            ...{ type, name },
            data: { tag: 'issuewild' as const, value },
          })),
        ]
      : (dns.txt.get(name) ?? []).map(data => ({ type: 'TXT', name, data }))
  const flags = dns.rcode | (truncated ? packet.TRUNCATED_RESPONSE : 0)
  return packet.encode({
    type: 'response',
    id: id ?? 0,
    flags,
    questions,
    answers: truncated ? [] : answers,
  })
}

/** Starts it on one port for both transports; it ends with the test. */
export async function startDns(): Promise<TinyDns> {
  const tcp = createServer()
  await new Promise<void>(resolve => tcp.listen(0, '127.0.0.1', resolve))
  const { port } = tcp.address() as AddressInfo
  const udp = createSocket('udp4')
  await new Promise<void>(resolve => udp.bind(port, '127.0.0.1', resolve))
  const dns: TinyDns = {
    address: `127.0.0.1:${port}`,
    txt: new Map(),
    cname: new Map(),
    caa: new Map(),
    caaWild: new Map(),
    rcode: 0,
    truncate: false,
    silent: false,
    transports: [],
  }
  const note = (transport: string, query: Buffer): void => {
    if (packet.decode(query).questions?.[0]?.type === 'TXT') dns.transports.push(transport)
  }
  udp.on('message', (query, from) => {
    note('udp', query)
    if (!dns.silent) udp.send(answer(dns, query, dns.truncate), from.port, from.address)
  })
  tcp.on('connection', socket => {
    socket.on('error', () => socket.destroy())
    socket.on('data', data => {
      note('tcp', data.subarray(2))
      const body = answer(dns, data.subarray(2), false)
      const length = Buffer.alloc(2)
      length.writeUInt16BE(body.length)
      socket.end(Buffer.concat([length, body]))
    })
  })
  onTestFinished(async () => {
    await Promise.all([
      new Promise<void>(resolve => udp.close(resolve)),
      new Promise(resolve => tcp.close(resolve)),
    ])
  })
  return dns
}
