import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { createConnection } from 'node:net'
import packet from 'dns-packet'

/** What a lookup found; `failed` is a DNS error with its code, no values is an empty answer. */
export type Lookup<T> =
  | { readonly values: readonly T[]; readonly failed?: never }
  | { readonly failed: string; readonly rcode: string | null }

export interface LookupOptions {
  /** `host:port` of the one server that is asked. */
  readonly server: string
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

type Decoded = packet.DecodedPacket & { readonly rcode: string }

const MAX_HOPS = 10

const addressOf = (server: string): { host: string; port: number } => {
  const colon = server.lastIndexOf(':')
  return { host: server.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(server.slice(colon + 1)) }
}

const queryOf = (name: string, type: 'TXT' | 'CAA'): Buffer =>
  packet.encode({
    type: 'query',
    id: randomInt(0x10000),
    flags: packet.RECURSION_DESIRED,
    questions: [{ type, name }],
    additionals: [
      {
        type: 'OPT',
        name: '.',
        udpPayloadSize: 1232,
        extendedRcode: 0,
        ednsVersion: 0,
        flags: 0,
        flag_do: false,
        options: [],
      },
    ],
  })

/** Runs one exchange; whatever ends it closes the socket. */
const exchange = (
  options: LookupOptions,
  start: (done: (answer: Buffer) => void, failed: (error: Error) => void) => () => void,
): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    let close = () => {}
    const settle = (then: () => void) => {
      clearTimeout(timer)
      options.signal.removeEventListener('abort', aborted)
      close()
      then()
    }
    const failed = (error: Error) => settle(() => reject(error))
    const aborted = () => failed(new Error('disposed'))
    const timer = setTimeout(() => failed(new Error('query timed out')), options.timeoutMs)
    options.signal.addEventListener('abort', aborted)
    close = start(answer => settle(() => resolve(answer)), failed)
  })

const overUdp = (query: Buffer, options: LookupOptions): Promise<Buffer> =>
  exchange(options, (done, failed) => {
    const { host, port } = addressOf(options.server)
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
    socket.on('error', failed)
    socket.on('message', answer => {
      if (answer.length > 2 && answer.readUInt16BE(0) === query.readUInt16BE(0)) done(answer)
    })
    socket.send(query, port, host)
    return () => socket.close()
  })

const overTcp = (query: Buffer, options: LookupOptions): Promise<Buffer> =>
  exchange(options, (done, failed) => {
    const length = Buffer.alloc(2)
    length.writeUInt16BE(query.length)
    let received = Buffer.alloc(0)
    const socket = createConnection(addressOf(options.server))
    socket.on('error', failed)
    socket.on('connect', () => socket.write(Buffer.concat([length, query])))
    socket.on('data', chunk => {
      received = Buffer.concat([received, chunk])
      if (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0))
        done(received.subarray(2, 2 + received.readUInt16BE(0)))
    })
    socket.on('close', () => failed(new Error('connection closed without an answer')))
    return () => socket.destroy()
  })

const ask = async (name: string, type: 'TXT' | 'CAA', options: LookupOptions): Promise<Decoded> => {
  const query = queryOf(name, type)
  const answer = packet.decode(await overUdp(query, options)) as Decoded
  if (!answer.flag_tc) return answer
  return packet.decode(await overTcp(query, options)) as Decoded
}

const sameName = (a: string, b: string): boolean =>
  a.toLowerCase().replace(/\.$/, '') === b.toLowerCase().replace(/\.$/, '')

const textOf = (data: packet.TxtData): string =>
  (Array.isArray(data) ? data : [data]).map(part => part.toString()).join('')

/** Follows the CNAMEs inside one answer: the last name, and what `read` finds there. */
const walk = <T>(
  name: string,
  answers: readonly packet.Answer[],
  read: (answer: packet.Answer) => readonly T[],
): { last: string; followed: boolean; values: readonly T[] } => {
  let last = name
  let followed = false
  for (let hops = 0; hops < MAX_HOPS; hops += 1) {
    const next = answers.find(answer => answer.type === 'CNAME' && sameName(answer.name, last))
    if (next?.type !== 'CNAME') break
    last = next.data
    followed = true
  }
  const values = answers.flatMap(answer => (sameName(answer.name, last) ? read(answer) : []))
  return { last, followed, values }
}

const lookup = async <T>(
  name: string,
  type: 'TXT' | 'CAA',
  options: LookupOptions,
  read: (answer: packet.Answer) => readonly T[],
): Promise<Lookup<T>> => {
  let at = name
  try {
    for (let hops = 0; hops < MAX_HOPS; hops += 1) {
      const { answers = [], rcode } = await ask(at, type, options)
      const { last, followed, values } = walk(at, answers, read)
      if (values.length > 0) return { values }
      if (rcode !== 'NOERROR') return { failed: `${rcode} looking up ${type} for ${last}`, rcode }
      if (!followed) return { values: [] }
      at = last
    }
    return { failed: `too many CNAMEs looking up ${type} for ${name}`, rcode: null }
  } catch (error) {
    return { failed: `${(error as Error).message} looking up ${type} for ${at}`, rcode: null }
  }
}

/** Looks up TXT values as a validating CA does: UDP, TCP when truncated, CNAMEs followed (RFC 8555 section 8.4). */
export const lookupTxt = (name: string, options: LookupOptions): Promise<Lookup<string>> =>
  lookup(name, 'TXT', options, answer => (answer.type === 'TXT' ? [textOf(answer.data)] : []))

/** One property (RFC 8659 section 4.1). */
export interface CaaProperty {
  readonly isCritical: boolean
  /** Lower case. */
  readonly tag: string
  readonly value: string
}

/** Looks up the CAA records at one name. */
export const lookupCaa = (name: string, options: LookupOptions): Promise<Lookup<CaaProperty>> =>
  lookup(name, 'CAA', options, answer => {
    if (answer.type !== 'CAA') return []
    const { issuerCritical = false, tag, value } = answer.data
    return [{ isCritical: issuerCritical, tag: String(tag).toLowerCase(), value: String(value) }]
  })
