/** DNS messages: https://www.rfc-editor.org/rfc/rfc1035#section-4, and of dynamic updates RFC 2136. */

export const TYPE = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  TXT: 16,
  AAAA: 28,
  OPT: 41,
  DS: 43,
  RRSIG: 46,
  DNSKEY: 48,
  TSIG: 250,
  CAA: 257,
} as const
export const CLASS = { IN: 1, NONE: 254, ANY: 255 } as const
/** Sections after the question. */
export const SECTION = { answer: 1, authority: 2, additional: 3 } as const
export const OPCODE = { query: 0, update: 5 } as const

/** A name in lower case without its final dot; the root is empty. */
export interface ResourceRecord {
  readonly name: string
  readonly type: number
  readonly class: number
  readonly ttl: number
  readonly data: Uint8Array
}

export interface DnsRequest {
  readonly id: number
  readonly opcode: number
  /** Whether the server shall ask others on our behalf. */
  readonly recurse?: boolean
  /** Whether a resolver that validates shall answer without (the CD bit of RFC 4035 section 3.2.2). */
  readonly unvalidated?: boolean
  /** Whether signatures are wanted, too (the DO bit of RFC 3225). */
  readonly signatures?: boolean
  /** The question, or the zone of an update. */
  readonly question: { readonly name: string; readonly type: number }
  /** Prerequisites of an update (RFC 2136 section 2.4). */
  readonly prerequisites?: readonly ResourceRecord[]
  /** RFC 2136 section 2.5. */
  readonly updates?: readonly ResourceRecord[]
}

export interface DnsMessage {
  readonly id: number
  /** What it answers; null when it does not say, or speaks of several. */
  readonly question: { readonly name: string; readonly type: number; readonly class: number } | null
  readonly isResponse: boolean
  readonly isAuthoritative: boolean
  readonly isTruncated: boolean
  /** The resolver has validated it (the AD bit). */
  readonly isValidated: boolean
  readonly rcode: number
  /** All sections, in order. */
  readonly records: readonly ReceivedRecord[]
}

/** A record with its SECTION and the places where it and its data start. */
export interface ReceivedRecord extends ResourceRecord {
  readonly section: number
  readonly start: number
  readonly dataStart: number
}

const HEADER_BYTES = 12
const MAX_STRING = 255
const RECURSE = 0x0100
const CHECKING_DISABLED = 0x0010
/** https://www.dnsflagday.net/2020/ */
const UDP_BYTES = 1232
/** In the TTL of the OPT record (RFC 6891 section 6.1.3). */
const DNSSEC_OK = 0x8000

const u16 = (value: number): Buffer => {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(value)
  return bytes
}

/** A name without compression. */
export const encodeName = (name: string): Buffer =>
  Buffer.concat([
    ...name
      .split('.')
      .filter(label => label !== '')
      .map(label => Buffer.concat([Buffer.from([label.length]), Buffer.from(label, 'latin1')])),
    Buffer.from([0]),
  ])

/** Strings of at most 255 bytes, each after its length. */
export const encodeTxt = (text: string): Buffer => {
  const bytes = Buffer.from(text, 'utf8')
  const strings: Buffer[] = []
  for (let at = 0; at === 0 || at < bytes.length; at += MAX_STRING) {
    const string = bytes.subarray(at, at + MAX_STRING)
    strings.push(Buffer.from([string.length]), string)
  }
  return Buffer.concat(strings)
}

export const encodeRecord = ({ name, type, class: klass, ttl, data }: ResourceRecord): Buffer => {
  const seconds = Buffer.alloc(4)
  seconds.writeUInt32BE(ttl)
  return Buffer.concat([encodeName(name), u16(type), u16(klass), seconds, u16(data.length), data])
}

const WANTS_SIGNATURES: ResourceRecord = {
  name: '',
  type: TYPE.OPT,
  class: UDP_BYTES,
  ttl: DNSSEC_OK,
  data: new Uint8Array(),
}

export const encodeRequest = ({
  id,
  opcode,
  recurse = false,
  unvalidated = false,
  signatures = false,
  question,
  prerequisites = [],
  updates = [],
}: DnsRequest): Buffer =>
  Buffer.concat([
    u16(id),
    u16((opcode << 11) | (recurse ? RECURSE : 0) | (unvalidated ? CHECKING_DISABLED : 0)),
    u16(1),
    u16(prerequisites.length),
    u16(updates.length),
    u16(signatures ? 1 : 0),
    encodeName(question.name),
    u16(question.type),
    u16(CLASS.IN),
    ...prerequisites.map(encodeRecord),
    ...updates.map(encodeRecord),
    ...(signatures ? [encodeRecord(WANTS_SIGNATURES)] : []),
  ])

const NAME_BYTES = 255
const LABEL_BYTES = 63
/** A name has no more labels, and needs no more pointers. */
const POINTERS_AT_MOST = 127

/**
 * The name at a place, compressed or not, and the place after it (RFC 1035 sections 2.3.4 and 4.1.4): a pointer leads to
 * what stands before it. @throws RangeError for what is no such name
 */
export function nameAt(message: Buffer, start: number): { readonly name: string; readonly end: number } {
  const labels: string[] = []
  let bytes = 1
  let at = start
  let segment = start
  let end: number | null = null
  for (let pointers = 0; pointers <= POINTERS_AT_MOST; ) {
    const length = message.readUInt8(at)
    if (length === 0) return { name: labels.join('.').toLowerCase(), end: end ?? at + 1 }
    if (length >= 0xc0) {
      const target = message.readUInt16BE(at) & 0x3fff
      if (target >= segment) throw new RangeError('a pointer that does not lead back')
      end ??= at + 2
      segment = target
      at = target
      pointers += 1
      continue
    }
    bytes += 1 + length
    if (length > LABEL_BYTES || bytes > NAME_BYTES) throw new RangeError('a name that is too long')
    labels.push(message.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  throw new RangeError('a name of pointers')
}

/** Null when the message ends within it. */
function recordAt(message: Buffer, start: number, section: number): ReceivedRecord | null {
  const { name, end } = nameAt(message, start)
  const dataStart = end + 10
  const length = message.readUInt16BE(end + 8)
  const data = message.subarray(dataStart, dataStart + length)
  if (data.length < length) return null
  const [type, klass, ttl] = [
    message.readUInt16BE(end),
    message.readUInt16BE(end + 2),
    message.readUInt32BE(end + 4),
  ]
  return { section, start, dataStart, name, type, class: klass, ttl, data }
}

/** Reads an answer; null when it is no whole DNS message. */
export function decodeMessage(message: Buffer): DnsMessage | null {
  try {
    const flags = message.readUInt16BE(2)
    const [questions = 0, ...counts] = [4, 6, 8, 10].map(at => message.readUInt16BE(at))
    let at = HEADER_BYTES
    let question: DnsMessage['question'] = null
    for (let i = 0; i < questions; i += 1) {
      const { name, end } = nameAt(message, at)
      const asked = { name, type: message.readUInt16BE(end), class: message.readUInt16BE(end + 2) }
      question = questions === 1 ? asked : null
      at = end + 4
    }
    const records: ReceivedRecord[] = []
    for (const [section, count] of counts.entries()) {
      for (let i = 0; i < count; i += 1) {
        const record = recordAt(message, at, section + 1)
        if (record === null) return null
        records.push(record)
        at = record.dataStart + record.data.length
      }
    }
    return {
      id: message.readUInt16BE(0),
      question,
      isResponse: (flags & 0x8000) !== 0,
      isAuthoritative: (flags & 0x0400) !== 0,
      isTruncated: (flags & 0x0200) !== 0,
      isValidated: (flags & 0x0020) !== 0,
      rcode: flags & 0x000f,
      records,
    }
  } catch (error) {
    if (error instanceof RangeError) return null
    throw error
  }
}
