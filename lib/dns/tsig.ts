/** Transaction signatures of DNS messages: https://www.rfc-editor.org/rfc/rfc8945 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Secret } from '../base/secret.ts'
import { SECOND_MS } from '../base/time.ts'
import { CLASS, type DnsMessage, encodeName, encodeRecord, TYPE } from './resolve/message.ts'

export const TSIG_ALGORITHMS = ['hmac-sha256', 'hmac-sha512'] as const
export type TsigAlgorithm = (typeof TSIG_ALGORITHMS)[number]

export interface TsigKey {
  /** Lower case, without the final dot. */
  readonly name: string
  readonly algorithm: TsigAlgorithm
  /** Base64. */
  readonly secret: Secret
}

export interface SignedMessage {
  readonly message: Buffer
  readonly mac: Buffer
}

/** What the TSIG record of an answer says (RFC 8945 section 5.2 and 5.3). */
export type TsigStatus =
  | { readonly kind: 'verified' }
  | { readonly kind: 'refused'; readonly error: 'BADSIG' | 'BADKEY' | 'BADTIME' | 'BADTRUNC' | 'unknown' }
  | { readonly kind: 'missing' | 'wrong' }

const FUDGE_SECONDS = 300
const MAC_BYTES: Readonly<Record<TsigAlgorithm, number>> = { 'hmac-sha256': 32, 'hmac-sha512': 64 }
const ERRORS: Readonly<Record<number, 'BADSIG' | 'BADKEY' | 'BADTIME' | 'BADTRUNC'>> = {
  16: 'BADSIG',
  17: 'BADKEY',
  18: 'BADTIME',
  22: 'BADTRUNC',
}

const uint = (value: number, bytes: number): Buffer => {
  const buffer = Buffer.alloc(bytes)
  buffer.writeUIntBE(value, 0, bytes)
  return buffer
}

const macOf = ({ algorithm, secret }: TsigKey, parts: readonly Uint8Array[]): Buffer =>
  createHmac(algorithm.replace('hmac-', ''), Buffer.from(secret.reveal(), 'base64'))
    .update(Buffer.concat(parts))
    .digest()

/** RFC 8945 section 4.3.3. */
const variables = (key: TsigKey, timed: Uint8Array, error: number, other: Uint8Array): Buffer =>
  Buffer.concat([
    encodeName(key.name),
    uint(CLASS.ANY, 2),
    uint(0, 4),
    encodeName(key.algorithm),
    timed,
    uint(error, 2),
    uint(other.length, 2),
    other,
  ])

const additional = (message: Buffer): number => message.readUInt16BE(10)

/** Adds the TSIG record; the MAC is needed to verify the answer. */
export function signMessage(message: Buffer, key: TsigKey, now: number): SignedMessage {
  const timed = Buffer.concat([uint(Math.floor(now / SECOND_MS), 6), uint(FUDGE_SECONDS, 2)])
  const mac = macOf(key, [message, variables(key, timed, 0, Buffer.alloc(0))])
  const head = Buffer.concat([encodeName(key.algorithm), timed, uint(mac.length, 2), mac])
  const data = Buffer.concat([head, message.subarray(0, 2), uint(0, 2), uint(0, 2)])
  const record = encodeRecord({ name: key.name, type: TYPE.TSIG, class: CLASS.ANY, ttl: 0, data })
  const signed = Buffer.concat([message, record])
  signed.writeUInt16BE(additional(message) + 1, 10)
  return { message: signed, mac }
}

/** Where the fields stand in the data of a TSIG record, whose algorithm name is never compressed. */
const fieldsOf = (data: Buffer, algorithm: TsigAlgorithm) => {
  const at = encodeName(algorithm).length
  const macEnd = at + 10 + data.readUInt16BE(at + 8)
  return {
    algorithm: data.subarray(0, at),
    timed: data.subarray(at, at + 8),
    time: data.readUIntBE(at, 6),
    mac: data.subarray(at + 10, macEnd),
    originalId: data.subarray(macEnd, macEnd + 2),
    error: data.readUInt16BE(macEnd + 2),
    other: data.subarray(macEnd + 6),
  }
}

/** Checks the signature of the answer to a signed request. */
export function verifyAnswer(
  message: Buffer,
  answer: DnsMessage,
  key: TsigKey,
  requestMac: Buffer,
  now: number,
): TsigStatus {
  const record = answer.records.at(-1)
  if (record?.type !== TYPE.TSIG) return { kind: 'missing' }
  try {
    const fields = fieldsOf(Buffer.from(record.data), key.algorithm)
    // An error about the signature itself is not signed: there is nothing to sign it with.
    if (fields.error !== 0) return { kind: 'refused', error: ERRORS[fields.error] ?? 'unknown' }
    const bare = Buffer.concat([fields.originalId, message.subarray(2, record.start)])
    bare.writeUInt16BE(additional(message) - 1, 10)
    const signed = variables(key, fields.timed, fields.error, fields.other)
    const mac = macOf(key, [uint(requestMac.length, 2), requestMac, bare, signed])
    const isRight =
      record.name === key.name &&
      fields.algorithm.toString('latin1').toLowerCase() === encodeName(key.algorithm).toString('latin1') &&
      fields.mac.length === MAC_BYTES[key.algorithm] &&
      timingSafeEqual(fields.mac, mac) &&
      Math.abs(fields.time - now / SECOND_MS) <= FUDGE_SECONDS
    return isRight ? { kind: 'verified' } : { kind: 'wrong' }
  } catch (error) {
    if (error instanceof RangeError) return { kind: 'wrong' }
    throw error
  }
}
