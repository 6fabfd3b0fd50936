import type { RotationError } from '../../base/rotation-error.ts'
import { bareName } from '../name.ts'
import {
  CLASS,
  type DnsMessage,
  decodeMessage,
  nameAt,
  type ReceivedRecord,
  SECTION,
  TYPE,
} from './message.ts'

/** One RRSIG record (RFC 4034 section 3), as far as it says when it holds and for what. */
export interface Signature {
  /** Of the record set; lower case, without the final dot. */
  readonly name: string
  /** Number of the type of the record set. */
  readonly type: number
  readonly keyTag: number
  readonly startsAt: number
  readonly endsAt: number
}

interface Said {
  /** How long a resolver may go on saying so, where it tells. */
  readonly rememberedMs?: number
  /** Where they were asked for, and there are any. */
  readonly signatures?: readonly Signature[]
  /** True: the resolver has validated it. */
  readonly isValidated?: true
}

/** What a question comes to. `exists`: the name is there, with records of other types or names below it. */
export type Resolved<T> =
  | ({ readonly kind: 'records'; readonly records: readonly T[] } & Said)
  | ({ readonly kind: 'nothing'; readonly exists: boolean } & Said)
  | {
      readonly kind: 'failed'
      readonly why: string
      /** What the resolver answers when it does not validate: the chain of trust is broken. */
      readonly unvalidated?: Exclude<Resolved<T>, { kind: 'failed' }>
      /** The same for people. */
      readonly broken?: RotationError
    }

/** One CAA record (RFC 8659 section 4.1). `tag` is lower case. */
export interface CaaRecord {
  readonly flags: number
  readonly tag: string
  readonly value: string
}

/** One DNSKEY record (RFC 4034 section 2). */
export interface DnsKey {
  readonly keyTag: number
  readonly algorithm: number
  readonly data: Uint8Array
}

/** One DS record (RFC 4034 section 5). `digest` is lower-case hex. */
export interface DelegationSigner {
  readonly keyTag: number
  readonly algorithm: number
  readonly digestType: number
  readonly digest: string
}

/** What a record of each type says. Names are lower case without the final dot, strings of a TXT record joined. */
export interface RecordData {
  readonly A: string
  readonly AAAA: string
  readonly CAA: CaaRecord
  readonly CNAME: string
  readonly DNSKEY: DnsKey
  readonly DS: DelegationSigner
  readonly NS: string
  /** The primary server. */
  readonly SOA: string
  readonly TXT: string
}
export type RecordType = keyof RecordData

type Reader<T> = (message: Buffer, record: ReceivedRecord) => T

/** @throws RangeError for what is no name in plain text */
const nameIn: Reader<string> = (message, { dataStart }) => {
  const { name } = nameAt(message, dataStart)
  if (!/^[\x21-\x7e]*$/.test(name)) throw new RangeError('a name that is none')
  return name
}

const textIn: Reader<string> = (_, { data }) => {
  const strings: Uint8Array[] = []
  for (let at = 0; at < data.length; at += 1 + (data[at] ?? 0))
    strings.push(data.subarray(at + 1, at + 1 + (data[at] ?? 0)))
  return Buffer.concat(strings).toString('utf8')
}

const caaIn: Reader<CaaRecord> = (_, { data }) => {
  const [flags = 0, length = 0] = data
  const text = Buffer.from(data).toString('latin1')
  return { flags, tag: text.slice(2, 2 + length).toLowerCase(), value: text.slice(2 + length) }
}

/** As everybody writes it (RFC 5952). @throws RangeError */
const ipv6In: Reader<string> = (_, { data }) => {
  if (data.length !== 16) throw new RangeError('an address that is none')
  const groups = Buffer.from(data)
    .toString('hex')
    .replace(/(.{4})(?!$)/g, '$1:')
  return new URL(`http://[${groups}]`).hostname.slice(1, -1)
}

/** RFC 4034 appendix B. */
const keyTagOf = (data: Uint8Array): number => {
  const sum = data.reduce((total, byte, at) => total + (at % 2 === 0 ? byte << 8 : byte), 0)
  return (sum + Math.floor(sum / 0x10000)) & 0xffff
}

const keyIn: Reader<DnsKey> = (_, { data }) => ({
  keyTag: keyTagOf(data),
  algorithm: Buffer.from(data).readUInt8(3),
  data,
})

const signerIn: Reader<DelegationSigner> = (_, { data }) => {
  const bytes = Buffer.from(data)
  return {
    keyTag: bytes.readUInt16BE(0),
    algorithm: bytes.readUInt8(2),
    digestType: bytes.readUInt8(3),
    digest: bytes.toString('hex', 4),
  }
}

const signatureIn: Reader<Signature> = (_, { name, data }) => {
  const bytes = Buffer.from(data)
  return {
    name,
    type: bytes.readUInt16BE(0),
    keyTag: bytes.readUInt16BE(16),
    startsAt: 1000 * bytes.readUInt32BE(12),
    endsAt: 1000 * bytes.readUInt32BE(8),
  }
}

/** @throws RangeError */
const ipv4In: Reader<string> = (_, { data }) => {
  if (data.length !== 4) throw new RangeError('an address that is none')
  return data.join('.')
}

const READERS: { readonly [T in RecordType]: Reader<RecordData[T]> } = {
  A: ipv4In,
  AAAA: ipv6In,
  CAA: caaIn,
  CNAME: nameIn,
  DNSKEY: keyIn,
  DS: signerIn,
  NS: nameIn,
  SOA: nameIn,
  TXT: textIn,
}

const RCODES: Readonly<Record<number, string>> = { 1: 'FORMERR', 2: 'SERVFAIL', 4: 'NOTIMP', 5: 'REFUSED' }
const NX_DOMAIN = 3
const isFailure = ({ rcode }: DnsMessage): boolean => rcode !== 0 && rcode !== NX_DOMAIN

/** Of what each one costs more work; no zone has nearly as many. */
const RECORDS_AT_MOST: Readonly<Partial<Record<RecordType, number>>> = {
  A: 64,
  AAAA: 64,
  DNSKEY: 32,
  DS: 32,
  NS: 32,
}

/** How long "nothing there" may be remembered, in seconds (RFC 2308 section 5). */
const negativeTtl = ({ records }: DnsMessage): number => {
  const soa = records.find(({ section, type }) => section === SECTION.authority && type === TYPE.SOA)
  if (!soa) return 0
  return Math.min(soa.ttl, Buffer.from(soa.data).readUInt32BE(soa.data.length - 4))
}

/** What an answer says to a question. Records behind an alias count, but for an SOA or CNAME of the name itself. */
function resolvedIn<T extends RecordType>(
  bytes: Buffer,
  message: DnsMessage,
  { name, type }: Question<T>,
): Resolved<RecordData[T]> {
  const owned = type === 'SOA' || type === 'CNAME'
  const found = message.records.filter(
    record =>
      record.section === SECTION.answer &&
      record.type === TYPE[type] &&
      record.class === CLASS.IN &&
      (!owned || record.name === bareName(name)),
  )
  const { rcode } = message
  if (isFailure(message)) return { kind: 'failed', why: RCODES[rcode] ?? `rcode ${rcode}` }
  const most = RECORDS_AT_MOST[type] ?? Number.POSITIVE_INFINITY
  if (found.length > most)
    return { kind: 'failed', why: `${found.length} ${type} records, more than ${most}` }
  const signatures = message.records.filter(it => it.type === TYPE.RRSIG).map(it => signatureIn(bytes, it))
  const said: Said = {
    rememberedMs: 1000 * (found.length > 0 ? Math.min(...found.map(it => it.ttl)) : negativeTtl(message)),
    ...(signatures.length > 0 ? { signatures } : {}),
    ...(message.isValidated ? { isValidated: true } : {}),
  }
  if (found.length === 0) return { kind: 'nothing', exists: rcode === 0, ...said }
  return { kind: 'records', records: found.map(record => READERS[type](bytes, record)), ...said }
}

/** What was received to a question. */
export interface Response<T extends RecordType> {
  /** Null: nothing, or nothing that can be read. */
  readonly message: DnsMessage | null
  readonly resolved: Resolved<RecordData[T]>
  /** The servers to which the authority above the name refers for it (RFC 1034 section 4.3.2). */
  readonly referral: readonly string[]
  /** Nothing was received at all. */
  readonly isSilence: boolean
}

const referralIn = (bytes: Buffer, { records }: DnsMessage, name: string): readonly string[] =>
  records
    .filter(it => it.section === SECTION.authority && it.type === TYPE.NS && it.name === bareName(name))
    .slice(0, RECORDS_AT_MOST.NS)
    .map(record => nameIn(bytes, record))

/** The response that is none. */
export const unread = (why: string, isSilence: boolean): Response<never> => ({
  message: null,
  resolved: { kind: 'failed', why },
  referral: [],
  isSilence,
})

const UNREADABLE = unread('no DNS answer to this question', false)

/** A question by its id. */
export interface Question<T extends RecordType> {
  readonly id: number
  readonly name: string
  readonly type: T
}

/** Whether a message says that it answers a question. Who only refuses need not repeat it. */
const isTo = ({ question, ...message }: DnsMessage, { name, type }: Question<RecordType>): boolean =>
  question === null
    ? isFailure({ question, ...message })
    : question.name === bareName(name) && question.type === TYPE[type] && question.class === CLASS.IN

/** Reads the answer to a question; bytes that are none are `failed`. */
export function readResponse<T extends RecordType>(bytes: Buffer, asked: Question<T>): Response<T> {
  const message = decodeMessage(bytes)
  if (message?.isResponse !== true || message.id !== asked.id || !isTo(message, asked)) return UNREADABLE
  try {
    const referral = message.isAuthoritative ? [] : referralIn(bytes, message, asked.name)
    return { message, resolved: resolvedIn(bytes, message, asked), referral, isSilence: false }
  } catch (error) {
    if (error instanceof RangeError) return UNREADABLE
    throw error
  }
}
