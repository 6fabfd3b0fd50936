import { type DnsAnswer, decodeAnswer, nameAt, type ReceivedRecord, SECTION, TYPE } from './message.ts'
import { bareName, type Said } from './question.ts'

/** One CAA record (RFC 8659 section 4.1). `tag` is lower case. */
export interface CaaRecord {
  readonly flags: number
  readonly tag: string
  readonly value: string
}

/** What a record of each type says. Names are lower case without the final dot, strings of a TXT record joined. */
export interface Answers {
  readonly A: string
  readonly AAAA: string
  readonly CAA: CaaRecord
  readonly CNAME: string
  readonly NS: string
  /** The primary server. */
  readonly SOA: string
  readonly TXT: string
}
export type RecordType = keyof Answers

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

const groups = (data: Uint8Array): readonly string[] =>
  Array.from({ length: data.length / 2 }, (_, i) =>
    (((data[2 * i] ?? 0) << 8) | (data[2 * i + 1] ?? 0)).toString(16),
  )

const READERS: { readonly [T in RecordType]: Reader<Answers[T]> } = {
  A: (_, { data }) => [...data].join('.'),
  AAAA: (_, { data }) => groups(data).join(':'),
  CAA: caaIn,
  CNAME: nameIn,
  NS: nameIn,
  SOA: nameIn,
  TXT: textIn,
}

const RCODES: Readonly<Record<number, string>> = { 1: 'FORMERR', 2: 'SERVFAIL', 4: 'NOTIMP', 5: 'REFUSED' }
const NX_DOMAIN = 3

/** How long "nothing there" may be remembered, in seconds (RFC 2308 section 5). */
const negativeTtl = ({ records }: DnsAnswer): number => {
  const soa = records.find(({ section, type }) => section === SECTION.authority && type === TYPE.SOA)
  if (!soa) return 0
  return Math.min(soa.ttl, Buffer.from(soa.data).readUInt32BE(soa.data.length - 4))
}

/** What a decoded answer says to a question. Records behind an alias count, but for an SOA or CNAME of the name itself. */
function saidIn<T extends RecordType>(
  message: Buffer,
  answer: DnsAnswer,
  name: string,
  type: T,
): Said<Answers[T]> {
  const owned = type === 'SOA' || type === 'CNAME'
  const found = answer.records.filter(
    record =>
      record.section === SECTION.answer &&
      record.type === TYPE[type] &&
      (!owned || record.name === bareName(name)),
  )
  const isRead = answer.rcode === 0 || answer.rcode === NX_DOMAIN
  if (!isRead) return { kind: 'failed', why: RCODES[answer.rcode] ?? `rcode ${answer.rcode}` }
  const rememberedMs = 1000 * (found.length > 0 ? Math.min(...found.map(it => it.ttl)) : negativeTtl(answer))
  if (found.length === 0) return { kind: 'nothing', exists: answer.rcode === 0, rememberedMs }
  return { kind: 'records', records: found.map(record => READERS[type](message, record)), rememberedMs }
}

/** A message that was received, and what it says. */
export interface Reading<T> {
  readonly answer: DnsAnswer | null
  readonly said: Said<T>
  /** The servers to which the authority above the name refers for it (RFC 1034 section 4.3.2). */
  readonly referral: readonly string[]
}

const referralIn = (message: Buffer, { records }: DnsAnswer, name: string): readonly string[] =>
  records
    .filter(it => it.section === SECTION.authority && it.type === TYPE.NS && it.name === bareName(name))
    .map(record => nameIn(message, record))

/** Nothing was received, or nothing that can be read. */
export const unread = (why: string): Reading<never> => ({
  answer: null,
  said: { kind: 'failed', why },
  referral: [],
})

const UNREADABLE = unread('no DNS answer to this question')

/** Reads the answer to a question; bytes that are none are `failed`. */
export function readAnswer<T extends RecordType>(
  message: Buffer,
  asked: { readonly id: number; readonly name: string; readonly type: T },
): Reading<Answers[T]> {
  const answer = decodeAnswer(message)
  const isAnswer =
    answer?.isResponse === true &&
    answer.id === asked.id &&
    (answer.question === null ||
      (answer.question.name === bareName(asked.name) && answer.question.type === TYPE[asked.type]))
  if (!isAnswer) return UNREADABLE
  try {
    const referral = answer.isAuthoritative ? [] : referralIn(message, answer, asked.name)
    return { answer, said: saidIn(message, answer, asked.name, asked.type), referral }
  } catch (error) {
    if (error instanceof RangeError) return UNREADABLE
    throw error
  }
}
