import packet, { type Answer, type DecodedPacket } from 'dns-packet'
import type { Faults } from '../kit/faults.ts'
import { type Call, type Answer as HttpAnswer, type Served, serve } from '../kit/http.ts'
import type { Dns } from './server.ts'

export interface DnsHttpsOptions {
  readonly dns: Dns
  readonly faults: Faults
  /** The resolver whose answers it gives: it must answer from every zone. */
  readonly resolver: string
  readonly tls?: { readonly key: string; readonly cert: string }
  readonly now?: () => number
}

export interface DnsHttps extends Served {
  /** Where queries go. */
  readonly queryUrl: string
  /** Forgets every answer. */
  forget(): void
}

/** @types/dns-packet has no rcode, which every decoded message has. */
type Decoded = DecodedPacket & { readonly rcode?: string }

interface Kept {
  readonly message: Decoded
  readonly at: number
  readonly until: number
}

const MEDIA_TYPE = 'application/dns-message'
const PATH = '/dns-query'
const SECOND_MS = 1000

const ttlOf = (record: Answer): number => ('ttl' in record ? (record.ttl ?? 0) : 0)

const decode = (message: Buffer): DecodedPacket | null => {
  try {
    return packet.decode(message)
  } catch {
    return null
  }
}

/** How long an answer may be kept: https://www.rfc-editor.org/rfc/rfc2308#section-5 for "nothing there". */
const ttlIn = ({ answers = [], authorities = [] }: Decoded): number => {
  const counted = answers.length > 0 ? answers : authorities.filter(it => it.type === 'SOA')
  return counted.length === 0 ? 0 : Math.min(...counted.map(ttlOf))
}

/** The message with its times to live as they are after a while. */
const aged = (message: Decoded, { id = 0, questions = [] }: DecodedPacket, seconds: number): Buffer => {
  const older = (records: readonly Answer[] = []): Answer[] =>
    records.map(it => ('ttl' in it ? { ...it, ttl: Math.max(0, ttlOf(it) - seconds) } : it) as Answer)
  const { answers, authorities, flags = 0 } = message
  return packet.encode({
    ...{ type: 'response', id, flags, questions },
    answers: older(answers),
    authorities: older(authorities),
  })
}

/** The message of a query, by POST or GET: https://www.rfc-editor.org/rfc/rfc8484#section-4.1 */
const messageIn = ({ method, headers, bytes, query }: Call): Buffer | null => {
  if (method === 'GET') return Buffer.from(query.get('dns') ?? '', 'base64url')
  return headers['content-type'] === MEDIA_TYPE ? bytes : null
}

/**
 * A resolver over HTTPS that remembers answers as long as they say, and that a name is not there for every type of
 * it: https://www.rfc-editor.org/rfc/rfc8484 https://www.rfc-editor.org/rfc/rfc8020
 */
export async function createDnsHttps(options: DnsHttpsOptions): Promise<DnsHttps> {
  const { dns, faults, resolver } = options
  const now = options.now ?? Date.now
  const kept = new Map<string, Kept>()

  const answerTo = (message: Buffer, query: DecodedPacket): Buffer | null => {
    const [question] = query.questions ?? []
    const name = question?.name.toLowerCase() ?? ''
    const keys = [`${name} *`, `${name} ${question?.type}`]
    const known = keys.map(key => kept.get(key)).find(it => it !== undefined && it.until > now())
    if (known) return aged(known.message, query, Math.floor((now() - known.at) / SECOND_MS))
    const fresh = dns.answer(message, resolver)
    if (!fresh) return null
    const decoded: Decoded = packet.decode(fresh)
    const key = decoded.rcode === 'NXDOMAIN' && decoded.answers?.length === 0 ? keys[0] : keys[1]
    const until = now() + ttlIn(decoded) * SECOND_MS
    if (key !== undefined && decoded.rcode !== 'SERVFAIL')
      kept.set(key, { message: decoded, at: now(), until })
    return fresh
  }
  const handle = (call: Call): HttpAnswer => {
    const message = messageIn(call)
    if (!message) return { status: 415, body: `want ${MEDIA_TYPE}` }
    const query = decode(message)
    if (!query) return { status: 400, body: 'no DNS message' }
    const body = answerTo(message, query)
    return body ? { status: 200, headers: { 'content-type': MEDIA_TYPE }, body } : { status: 504 }
  }
  const served = await serve({
    service: 'dns-https',
    faults,
    routes: [
      { method: 'POST', path: PATH, operation: 'Query', handle },
      { method: 'GET', path: PATH, operation: 'Query', handle },
    ],
    ...(options.tls ? { tls: options.tls } : {}),
  })
  return { ...served, queryUrl: `${served.url}${PATH}`, forget: () => kept.clear() }
}
