import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import packet, { type Answer, type DecodedPacket, type OptAnswer } from 'dns-packet'
import { RCODE, type Resolution, resolve } from './answer.ts'
import { createZones, normalizeName, type ZoneSpec, type Zones } from './zones.ts'

export interface DnsOptions {
  readonly zones: readonly ZoneSpec[]
  /** Addresses to listen on, all at one port. Default: every name server's, and the resolvers. */
  readonly addresses?: readonly string[]
  /**
   * Addresses that answer from every zone (RA set, never a referral). Default: those of `addresses` that are
   * nobody's name server.
   */
  readonly resolvers?: readonly string[]
  readonly port?: number
  readonly now?: () => number
}

export interface DnsQuery {
  readonly at: number
  readonly address: string
  readonly transport: 'udp' | 'tcp' | 'https'
  /** Lower case, without the final dot. */
  readonly name: string
  readonly type: string
}

export interface NodeSwitches {
  /** No answer at all. */
  readonly down?: boolean
  /** SERVFAIL to everything, or to these record types. */
  readonly servfail?: boolean | readonly string[]
  /** As a resolver that validates, of a broken chain of trust: SERVFAIL to whoever does not set the CD bit (RFC 4035). */
  readonly bogus?: boolean
  /** Later changes reach this address so much later; a shorter lag also hurries those under way. */
  readonly lagMs?: number
}

export interface Dns {
  readonly port: number
  readonly addresses: readonly string[]
  readonly zones: Zones
  /** Every query, answered or not, in the order of arrival. */
  readonly queries: readonly DnsQuery[]
  count(filter?: Partial<Omit<DnsQuery, 'at'>>): number
  clearQueries(): void
  /** What an address answers to a message that came to it over HTTPS; null: nothing at all. */
  answer(message: Buffer, address: string): Buffer | null
  /** Changes the given switches of one address. */
  setNode(address: string, switches: NodeSwitches): void
  dispose(): Promise<void>
}

type Transport = DnsQuery['transport']
type Handle = (message: Buffer, address: string, transport: Transport) => Buffer | null

const HEADER_BYTES = 12
const PLAIN_UDP_BYTES = 512
/** https://www.dnsflagday.net/2020/ */
const EDNS_UDP_BYTES = 1232
const FLAG = { opcode: 0x7800, aa: 0x400, tc: 0x200, rd: 0x100, ra: 0x80 } as const

const optOf = (query: DecodedPacket): OptAnswer | undefined =>
  query.additionals?.find((record): record is OptAnswer => record.type === 'OPT')

/** Encodes the answer, cut down to its header when it does not fit: https://www.rfc-editor.org/rfc/rfc6891#section-6.2.3 */
function encode(
  query: DecodedPacket,
  resolution: Resolution,
  isResolver: boolean,
  transport: Transport,
): Buffer {
  const opt = optOf(query)
  const flags =
    ((query.flags ?? 0) & (FLAG.opcode | FLAG.rd)) |
    (resolution.authoritative ? FLAG.aa : 0) |
    (isResolver ? FLAG.ra : 0) |
    resolution.rcode
  // @types/dns-packet wants every field of a decoded OPT; these are the ones that are written.
  const ownOpt = {
    type: 'OPT',
    name: '.',
    udpPayloadSize: EDNS_UDP_BYTES,
    extendedRcode: 0,
    ednsVersion: 0,
    flags: 0,
    flag_do: false,
    options: [],
  } as Answer
  const response = (full: boolean, extraFlags: number): Buffer =>
    packet.encode({
      type: 'response',
      id: query.id ?? 0,
      flags: flags | extraFlags,
      questions: query.questions ?? [],
      answers: full ? [...resolution.answers] : [],
      authorities: full ? [...resolution.authorities] : [],
      additionals: [...(full ? resolution.additionals : []), ...(opt ? [ownOpt] : [])],
    })
  const whole = response(true, 0)
  const limit = Math.max(PLAIN_UDP_BYTES, Math.min(opt?.udpPayloadSize ?? 0, EDNS_UDP_BYTES))
  return transport !== 'udp' || whole.length <= limit ? whole : response(false, FLAG.tc)
}

const bare = (rcode: number): Resolution => ({
  rcode,
  authoritative: false,
  answers: [],
  authorities: [],
  additionals: [],
})

const decode = (message: Buffer): DecodedPacket | null => {
  try {
    return packet.decode(message)
  } catch {
    return null
  }
}

const formErr = (message: Buffer): Buffer => {
  const answer = Buffer.alloc(HEADER_BYTES)
  message.copy(answer, 0, 0, 2)
  answer.writeUInt16BE(0x8000 | RCODE.formErr, 2)
  return answer
}

function serveTcp(socket: Socket, address: string, handle: Handle): void {
  let pending = Buffer.alloc(0)
  socket.on('error', () => socket.destroy())
  socket.on('data', bytes => {
    pending = Buffer.concat([pending, bytes as Buffer])
    while (pending.length >= 2 && pending.length >= 2 + pending.readUInt16BE(0)) {
      const end = 2 + pending.readUInt16BE(0)
      const answer = handle(pending.subarray(2, end), address, 'tcp')
      pending = pending.subarray(end)
      if (!answer) continue
      const length = Buffer.alloc(2)
      length.writeUInt16BE(answer.length)
      socket.write(Buffer.concat([length, answer]))
    }
  })
}

interface Listening {
  readonly port: number
  dispose(): Promise<void>
}

const bindUdp = (socket: UdpSocket, port: number, address: string): Promise<number> =>
  new Promise((done, fail) => {
    socket.once('error', fail)
    socket.bind(port, address, () => done(socket.address().port))
  })

const bindTcp = (server: Server, port: number, address: string): Promise<number> =>
  new Promise((done, fail) => {
    server.once('error', fail)
    server.listen(port, address, () => done((server.address() as AddressInfo).port))
  })

async function listen(addresses: readonly string[], wantedPort: number, handle: Handle): Promise<Listening> {
  const closers: (() => Promise<void>)[] = []
  const dispose = async (): Promise<void> => {
    for (const close of closers.splice(0)) await close()
  }
  let port = wantedPort
  try {
    for (const address of addresses) {
      const udp = createSocket(address.includes(':') ? 'udp6' : 'udp4')
      port = await bindUdp(udp, port, address)
      closers.push(() => new Promise(done => udp.close(done)))
      udp.on('message', (message: Buffer, from: RemoteInfo) => {
        const answer = handle(message, address, 'udp')
        if (answer) udp.send(answer, from.port, from.address)
      })
      const sockets = new Set<Socket>()
      const tcp = createServer(socket => {
        sockets.add(socket)
        socket.on('close', () => sockets.delete(socket))
        serveTcp(socket, address, handle)
      })
      await bindTcp(tcp, port, address)
      closers.push(async () => {
        for (const socket of sockets) socket.destroy()
        await new Promise(done => tcp.close(done))
      })
    }
    return { port, dispose }
  } catch (error) {
    await dispose()
    throw error
  }
}

/** A port that is free over UDP at one address may be taken over TCP or at another. */
async function listenAnywhere(addresses: readonly string[], handle: Handle): Promise<Listening> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await listen(addresses, 0, handle)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE' || attempt === 20) throw error
    }
  }
}

interface World {
  readonly zones: Zones
  readonly resolvers: ReadonlySet<string>
  readonly switches: ReadonlyMap<string, NodeSwitches>
  readonly log: (query: Omit<DnsQuery, 'at'>) => void
}

const handleWith =
  ({ zones, resolvers, switches, log }: World): Handle =>
  (message, address, transport) => {
    if (message.length < HEADER_BYTES) return null
    const query = decode(message)
    // A response is never answered, or two servers could answer each other for ever.
    if (query?.flag_qr) return null
    const question = query?.questions?.[0]
    if (!query || !question || query.questions?.length !== 1) return formErr(message)
    const { name, type } = question
    log({ address, transport, name: normalizeName(name), type })
    const { down, servfail, bogus } = switches.get(address) ?? {}
    if (down) return null
    const isResolver = resolvers.has(address)
    const answer = (resolution: Resolution): Buffer => encode(query, resolution, isResolver, transport)
    if (((query.flags ?? 0) & FLAG.opcode) !== 0) return answer(bare(RCODE.notImp))
    const fails = typeof servfail === 'object' ? servfail.includes(type) : servfail
    const isBogus = bogus && query.flag_rd && !query.flag_cd
    if (fails || isBogus) return answer(bare(RCODE.servFail))
    return answer(resolve(zones, { name, type, address, recursive: isResolver && query.flag_rd }))
  }

const countIn = (queries: readonly DnsQuery[], filter: Partial<Omit<DnsQuery, 'at'>>): number => {
  const { address, transport, type } = filter
  const name = filter.name === undefined ? undefined : normalizeName(filter.name)
  const fits = <T>(wanted: T | undefined, have: T): boolean => wanted === undefined || wanted === have
  return queries.filter(
    query =>
      fits(address, query.address) &&
      fits(transport, query.transport) &&
      fits(name, query.name) &&
      fits(type, query.type),
  ).length
}

/** Name servers and resolvers on loopback, over UDP and TCP: https://www.rfc-editor.org/rfc/rfc1035#section-4 */
export async function createDns(options: DnsOptions): Promise<Dns> {
  const now = options.now ?? Date.now
  const zones = createZones(options.zones, now)
  const nameServers = new Set(zones.list.flatMap(zone => zone.ns.map(ns => ns.address)))
  const addresses = [...new Set(options.addresses ?? [...nameServers, ...(options.resolvers ?? [])])]
  const resolvers = new Set(options.resolvers ?? addresses.filter(address => !nameServers.has(address)))
  const queries: DnsQuery[] = []
  const switches = new Map<string, NodeSwitches>()
  const log: World['log'] = query => queries.push({ at: now(), ...query })
  const handle = handleWith({ zones, resolvers, switches, log })
  const listening = options.port
    ? await listen(addresses, options.port, handle)
    : await listenAnywhere(addresses, handle)
  return {
    port: listening.port,
    addresses,
    zones,
    queries,
    answer: (message, address) => handle(message, address, 'https'),
    count: (filter = {}) => countIn(queries, filter),
    clearQueries: () => {
      queries.length = 0
    },
    setNode: (address, change) => {
      switches.set(address, { ...switches.get(address), ...change })
      if (change.lagMs !== undefined) zones.setLag(address, change.lagMs)
    },
    dispose: listening.dispose,
  }
}
