import type { X509Certificate } from 'node:crypto'
import {
  type CertificateExtension,
  EXTENSION,
  extensionElements,
  extensionsOf,
  isVersion1,
  leafOf,
  signatureOf,
  type Tlv,
  tbsFields,
  tlvs,
} from '../../x509/certificate.ts'
import { signatureAlgorithmOf } from '../../x509/details.ts'
import type { SignatureBudget } from '../../x509/signed-by.ts'

/** What stacks look at in a certificate, read from its DER, since they compare bytes that node:crypto does not show. */
export interface Facts {
  readonly certificate: X509Certificate
  readonly isVersion1: boolean
  /** Content of the INTEGER. */
  readonly serial: Buffer
  /** Content of the names. */
  readonly subject: Buffer
  readonly issuer: Buffer
  /** As `sha256WithRSAEncryption`, or the OID's content in hex. */
  readonly signature: string
  readonly key: KeyFacts
  readonly extensions: readonly CertificateExtension[]
  readonly isCa: boolean
  /** Null: not limited. */
  readonly pathLength: number | null
  readonly notBefore: number
  readonly notAfter: number
}

/** A key as its SubjectPublicKeyInfo writes it (RFC 5480 section 2): not every stack takes every form. */
export interface KeyFacts {
  readonly family: 'rsa' | 'ec' | 'other'
  /** As in the settings, e.g. `rsa-2048`, `ec-256`, `ec-secp256k1`. */
  readonly type: string
  /** Of RSA; 0 for others. */
  readonly bits: number
  readonly form: 'named' | 'explicit' | 'compressed'
}

const RSA_ENCRYPTION = '2a864886f70d010101'
const EC_PUBLIC_KEY = '2a8648ce3d0201'
const OID = 0x06
const UNCOMPRESSED = 0x04
const SPKI = 5

function keyFacts(certificate: X509Certificate): KeyFacts {
  const [algorithm, key] = tlvs(tbsFields(certificate)[SPKI]?.content ?? Buffer.alloc(0))
  const [oid, parameters] = tlvs(algorithm?.content ?? Buffer.alloc(0))
  const type = leafOf(certificate).keyType
  const kind = oid?.content.toString('hex')
  if (kind === RSA_ENCRYPTION)
    return { family: 'rsa', type, bits: Number(type.split('-')[1]) || 0, form: 'named' }
  if (kind !== EC_PUBLIC_KEY) return { family: 'other', type, bits: 0, form: 'named' }
  if (parameters?.tag !== OID) return { family: 'ec', type, bits: 0, form: 'explicit' }
  // The first byte of a BIT STRING counts its unused bits.
  const form = key?.content[1] === UNCOMPRESSED ? 'named' : 'compressed'
  return { family: 'ec', type, bits: 0, form }
}

const pathLengthOf = (certificate: X509Certificate): number | null => {
  const limit = extensionElements(certificate, EXTENSION.basicConstraints)?.find(part => part.tag === 0x02)
  return limit === undefined ? null : Number(`0x${limit.content.toString('hex')}`)
}

/** @throws RotationError `certificate-invalid` when malformed */
export function factsOf(certificate: X509Certificate): Facts {
  const known = remembered.get(certificate)
  if (known) return known
  const [serial, , issuer, , subject] = tbsFields(certificate)
  const { notBefore, notAfter } = leafOf(certificate)
  const empty = Buffer.alloc(0)
  const facts = {
    certificate,
    isVersion1: isVersion1(certificate),
    serial: serial?.content ?? empty,
    subject: subject?.content ?? empty,
    issuer: issuer?.content ?? empty,
    signature: signatureAlgorithmOf(certificate),
    key: keyFacts(certificate),
    extensions: extensionsOf(certificate),
    isCa: certificate.ca,
    pathLength: pathLengthOf(certificate),
    notBefore,
    notAfter,
  }
  remembered.set(certificate, facts)
  return facts
}

/** Many profiles look at the same certificates. */
const remembered = new WeakMap<X509Certificate, Facts>()

/** The content of an extension; null without it. */
export const extensionIn = ({ extensions }: Facts, oidHex: string): CertificateExtension | null =>
  extensions.find(extension => extension.oidHex === oidHex) ?? null

/** Bits of the key usage, the first byte; null without the extension. */
export function usageOf(facts: Facts): number | null {
  const extension = extensionIn(facts, EXTENSION.keyUsage)
  return extension === null ? null : (tlvs(extension.value)[0]?.content[1] ?? 0)
}

/** Subject key identifier; null without it. */
export function subjectKeyId(facts: Facts): Buffer | null {
  const extension = extensionIn(facts, EXTENSION.subjectKeyIdentifier)
  return extension === null ? null : (tlvs(extension.value)[0]?.content ?? null)
}

/** The key identifier within the authority key identifier; null without it. */
export function authorityKeyId({ certificate }: Facts): Buffer | null {
  const parts = extensionElements(certificate, EXTENSION.authorityKeyIdentifier) ?? []
  return parts.find(part => part.tag === 0x80)?.content ?? null
}

/** An authority key identifier that names nothing. */
export const isEmptyAuthority = ({ certificate }: Facts): boolean =>
  extensionElements(certificate, EXTENSION.authorityKeyIdentifier)?.length === 0

/** Relative names, each of its attributes: type in hex, and the string with its tag. */
export const relativeNames = (
  name: Buffer,
): readonly (readonly { readonly type: string; readonly value: Tlv }[])[] =>
  tlvs(name).map(relative =>
    tlvs(relative.content).flatMap(attribute => {
      const [type, value] = tlvs(attribute.content)
      return type && value ? [{ type: type.content.toString('hex'), value }] : []
    }),
  )

/** The hash of RSASSA-PSS parameters (RFC 4055 section 3.1), as its OID in hex; null: SHA-1, which is the default. */
export function pssHash({ certificate }: Facts): string | null {
  const { parameters } = signatureOf(certificate)
  const hash = parameters && tlvs(parameters.content).find(part => part.tag === 0xa0)
  return (hash && tlvs(tlvs(hash.content)[0]?.content ?? Buffer.alloc(0))[0]?.content.toString('hex')) ?? null
}

/**
 * Whether a server's key can be agreed upon in every version of TLS: TLS 1.3 has signature schemes for three curves
 * (RFC 8446 section 4.2.3), and clients offer points that are not compressed (RFC 8422 section 5.1.2).
 */
export const isUsableLeafKey = ({ key }: Facts): boolean =>
  key.family !== 'ec' || (/^ec-(256|384|521)$/.test(key.type) && key.form === 'named')

/** Bytes of salt of RSASSA-PSS parameters (RFC 4055 section 3.1); 20 when nothing is said. */
export function pssSalt({ certificate }: Facts): number {
  const { parameters } = signatureOf(certificate)
  const salt = parameters && tlvs(parameters.content).find(part => part.tag === 0xa2)
  const [length] = salt ? tlvs(salt.content) : []
  return length === undefined ? 20 : Number(`0x${length.content.toString('hex')}`)
}

export const KEY_CERT_SIGN = 0x04

/** What one stack is asked: would it take this chain, sent to a device that holds these roots? */
export interface StackInput {
  readonly chain: readonly Facts[]
  readonly roots: readonly Facts[]
  readonly at: number
  readonly domain: string
  /** The path that RFC 5280 knows, leaf to root. */
  readonly path: readonly Facts[]
  /** Every certificate sent must be good for something (wolfSSL without WOLFSSL_ALT_CERT_CHAINS). */
  readonly needsWholeChain: boolean
  readonly budget: SignatureBudget
}

/** Why a stack would refuse a chain; null: nothing is known against it. */
export type Stack = (input: StackInput) => string | null

/** How a certificate is called in a message. */
export function titleOf({ certificate }: Facts): string {
  const { subject, names } = leafOf(certificate)
  return `"${subject || names[0] || 'no subject'}"`
}
