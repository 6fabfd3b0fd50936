import { createHash, type KeyObject, X509Certificate } from 'node:crypto'
import { RotationError } from '../base/rotation-error.ts'
import type { Leaf } from '../model/certificate.ts'

// --- DER (X.690): just enough to reach what node:crypto has no getter for ------------------------------------

/** One DER element: its first tag byte and its content bytes. */
export interface Tlv {
  readonly tag: number
  readonly content: Buffer
}

const OID = 0x06
const OCTET_STRING = 0x04
const SEQUENCE = 0x30

const NOTHING = Buffer.alloc(0)

const malformed = (): RotationError =>
  new RotationError('certificate-invalid', 'the certificate is malformed (DER)')

const readTlv = (der: Buffer, at: number): Tlv & { readonly end: number } => {
  const tag = der[at]
  const first = der[at + 1]
  // Tags above 30 and indefinite or 4 GiB lengths do not occur in a certificate.
  if (tag === undefined || first === undefined || (tag & 0x1f) === 0x1f) throw malformed()
  const lengthBytes = first < 0x80 ? 0 : first - 0x80
  if (first === 0x80 || lengthBytes > 3 || at + 2 + lengthBytes > der.length) throw malformed()
  const length = lengthBytes === 0 ? first : der.readUIntBE(at + 2, lengthBytes)
  const start = at + 2 + lengthBytes
  if (start + length > der.length) throw malformed()
  return { tag, content: der.subarray(start, start + length), end: start + length }
}

/**
 * The elements of a constructed value, in order, each when it is asked for: for lists of millions.
 * @throws RotationError `certificate-invalid` when malformed
 */
export function* eachTlv(content: Buffer): Generator<Tlv> {
  for (let at = 0; at < content.length; ) {
    const { end, ...element } = readTlv(content, at)
    yield element
    at = end
  }
}

/** As many as a chain of the largest size could hold. */
const ELEMENTS_AT_MOST = 32_768

/**
 * The elements of a constructed value, in order. @throws RotationError `certificate-invalid` when malformed, or more
 * than any certificate has
 */
export function tlvs(content: Buffer): readonly Tlv[] {
  const elements: Tlv[] = []
  for (const element of eachTlv(content)) {
    if (elements.length === ELEMENTS_AT_MOST) throw malformed()
    elements.push(element)
  }
  return elements
}

/** What of the TBSCertificate comes first is its version, in version 1 its serial number (RFC 5280 section 4.1). */
const VERSION_TAG = 0xa0
const tbsElements = (certificate: X509Certificate): readonly Tlv[] =>
  tlvs(tlvs(readTlv(certificate.raw, 0).content)[0]?.content ?? NOTHING)

/**
 * The fields of the TBSCertificate after its optional version: serialNumber, signature, issuer, validity,
 * subject, ... (RFC 5280 section 4.1). @throws RotationError `certificate-invalid` when malformed
 */
export const tbsFields = (certificate: X509Certificate): readonly Tlv[] => {
  const elements = tbsElements(certificate)
  return elements[0]?.tag === VERSION_TAG ? elements.slice(1) : elements
}

/** Version 1 knows no extensions. */
export const isVersion1 = (certificate: X509Certificate): boolean =>
  tbsElements(certificate)[0]?.tag !== VERSION_TAG

/** From 1 on; 1, too, where nothing is said. */
export function versionOf(certificate: X509Certificate): number {
  const [first] = tbsElements(certificate)
  return first?.tag === VERSION_TAG ? (tlvs(first.content)[0]?.content[0] ?? 0) + 1 : 1
}

/** Whether the algorithm that is signed and the one beside the signature are the same (RFC 5280 section 4.1.1.2). */
export function signatureFits(certificate: X509Certificate): boolean {
  const [, algorithm] = tlvs(readTlv(certificate.raw, 0).content)
  const [, inner] = tbsFields(certificate)
  return algorithm !== undefined && inner?.content.equals(algorithm.content) === true
}

/** The algorithm that signed a certificate: the content bytes of its OID in hex, and its parameters. */
export const signatureOf = (
  certificate: X509Certificate,
): { readonly oidHex: string; readonly parameters?: Tlv } => {
  const [, algorithm] = tlvs(readTlv(certificate.raw, 0).content)
  const [oid, parameters] = tlvs(algorithm?.content ?? NOTHING)
  return { oidHex: oid?.content.toString('hex') ?? '', ...(parameters && { parameters }) }
}

/** An extension (RFC 5280 section 4.1): the content bytes of its OID in hex, and its value, DER in DER. */
export interface CertificateExtension {
  readonly oidHex: string
  readonly critical: boolean
  readonly value: Buffer
}

/** Every extension, in order. @throws RotationError `certificate-invalid` when malformed */
export function extensionsOf(certificate: X509Certificate): readonly CertificateExtension[] {
  const wrapper = tbsFields(certificate).find(field => field.tag === 0xa3)
  if (wrapper === undefined) return []
  return tlvs(readTlv(wrapper.content, 0).content).map(({ content }) => {
    const [oid, ...rest] = tlvs(content)
    const value = rest.at(-1)
    if (oid?.tag !== OID || value?.tag !== OCTET_STRING) throw malformed()
    const critical = rest.length > 1 && rest[0]?.content[0] !== 0
    return { oidHex: oid.content.toString('hex'), critical, value: value.content }
  })
}

/**
 * What stands inside the SEQUENCE of an extension, element by element; null without that extension.
 * `oidHex`: the content bytes of its OID. @throws RotationError `certificate-invalid` when malformed
 */
export function extensionElements(certificate: X509Certificate, oidHex: string): readonly Tlv[] | null {
  const extension = extensionsOf(certificate).find(candidate => candidate.oidHex === oidHex)
  if (extension === undefined) return null
  const sequence = readTlv(extension.value, 0)
  if (sequence.tag !== SEQUENCE) throw malformed()
  return tlvs(sequence.content)
}

/** Extensions (RFC 5280 section 4.2) by the content bytes of their OIDs in hex, as {@link extensionElements} wants it. */
export const EXTENSION = {
  subjectKeyIdentifier: '551d0e',
  keyUsage: '551d0f',
  subjectAltName: '551d11',
  basicConstraints: '551d13',
  nameConstraints: '551d1e',
  crlDistributionPoints: '551d1f',
  certificatePolicies: '551d20',
  policyMappings: '551d21',
  authorityKeyIdentifier: '551d23',
  policyConstraints: '551d24',
  extendedKeyUsage: '551d25',
  inhibitAnyPolicy: '551d36',
  authorityInfoAccess: '2b06010505070101',
  /** RFC 7633. */
  tlsFeature: '2b06010505070118',
} as const
const OCSP_ACCESS = '2b06010505073001'
/** Tag of a GeneralName that is a dNSName. */
export const DNS_NAME = 0x82
const URI = 0x86

// --- reading ---------------------------------------------------------------------------------------------------

const invalid = (message: string, cause?: unknown): RotationError =>
  new RotationError('certificate-invalid', message, {
    cause,
    hint: 'Give PEM text: the leaf certificate first, then its intermediates, no private key.',
  })

const PRIVATE_KEY_FOUND = 'a private key stands among the certificates'

const readBlock = (label: string, body: string, number: number): X509Certificate => {
  if (label !== 'CERTIFICATE') throw invalid(`block ${number} of the PEM text is no CERTIFICATE`)
  const base64 = body.replace(/\s+/g, '')
  if (base64 === '' || !/^[A-Za-z0-9+/]+={0,2}$/.test(base64))
    throw invalid(`block ${number} of the PEM text is not base64`)
  const der = Buffer.from(base64, 'base64')
  let certificate: X509Certificate
  try {
    certificate = new X509Certificate(der)
    leafOf(certificate)
  } catch (thrown) {
    throw invalid(`block ${number} of the PEM text is no certificate that can be read`, thrown)
  }
  if (certificate.raw.length !== der.length)
    throw invalid(`block ${number} of the PEM text has bytes after the certificate`)
  return certificate
}

/** What IoTDA takes, in characters of PEM. */
const CHAIN_CHARS = 65_535
/** No CA gives, and no device takes, nearly as many. */
export const CHAIN_CERTIFICATES = 20

const TOO_LARGE = {
  retry: 'never',
  hint: 'Give the leaf and the few intermediates that lead to its root.',
} as const

/** @throws RotationError `certificate-invalid` */
function refuseLarge(pem: string): void {
  if (pem.length > CHAIN_CHARS)
    throw new RotationError(
      'certificate-invalid',
      `the chain has ${pem.length} characters, more than the ${CHAIN_CHARS} that IoTDA takes`,
      TOO_LARGE,
    )
  const count = pem.split('-----BEGIN CERTIFICATE-----').length - 1
  if (count > CHAIN_CERTIFICATES)
    throw new RotationError(
      'certificate-invalid',
      `the chain has ${count} certificates, more than ${CHAIN_CERTIFICATES}`,
      TOO_LARGE,
    )
}

/**
 * The chain in a PEM text of somebody outside, as {@link parseCertificates}. One that is larger than IoTDA takes, or
 * has more than {@link CHAIN_CERTIFICATES} certificates, is refused before anything is read.
 * @throws RotationError `certificate-invalid`
 */
export function parseChain(pem: string): readonly X509Certificate[] {
  refuseLarge(pem)
  return parseCertificates(pem)
}

/** By text: in one run the same chains and roots are looked at again and again. */
const parsed = new Map<string, readonly X509Certificate[]>()
const PARSED_AT_MOST = 64

/**
 * The certificates of a PEM text, in its order, at least one. Text around the blocks (RFC 7468 section 5.2)
 * and CRLF are tolerated. @throws RotationError `certificate-invalid` naming the bad block by its number from
 * 1; a private key among them is refused, and its text appears in no message
 */
export function parseCertificates(pem: string): readonly X509Certificate[] {
  const known = parsed.get(pem)
  if (known) return known
  const certificates = readCertificates(pem)
  if (parsed.size >= PARSED_AT_MOST) parsed.clear()
  parsed.set(pem, certificates)
  return certificates
}

function readCertificates(pem: string): readonly X509Certificate[] {
  const marks = [...pem.matchAll(/-----(BEGIN|END) ([^-\r\n]+)-----/g)]
  if (marks.some(([, , label]) => label?.includes('PRIVATE KEY'))) throw invalid(PRIVATE_KEY_FOUND)
  const certificates: X509Certificate[] = []
  for (let index = 0; index < marks.length; index += 2) {
    const [begin, end] = [marks[index], marks[index + 1]]
    const number = certificates.length + 1
    if (begin?.[1] !== 'BEGIN' || end?.[1] !== 'END' || begin[2] !== end[2])
      throw invalid(`block ${number} of the PEM text has no beginning or no end`)
    const body = pem.slice(begin.index + begin[0].length, end.index)
    certificates.push(readBlock(begin[2] ?? '', body, number))
  }
  if (certificates.length === 0) throw invalid('there is no certificate in the PEM text')
  return certificates
}

const CURVE_BITS: Readonly<Record<string, string>> = {
  prime256v1: '256',
  secp384r1: '384',
  secp521r1: '521',
}

/** RFC 9881 section 2: the last arc of 2.16.840.1.101.3.4.3 names the parameter set. */
const ML_DSA = /^6086480165030403(11|12|13)$/
const ML_DSA_NAMES: Readonly<Record<string, string>> = { '11': '44', '12': '65', '13': '87' }

/** Of keys that node:crypto cannot read only the algorithm is known: ML-DSA, or its OID in hex. */
const unreadKeyType = (certificate: X509Certificate): string => {
  const [algorithm] = tlvs(tbsFields(certificate)[SPKI_FIELD]?.content ?? NOTHING)
  const oid = tlvs(algorithm?.content ?? NOTHING)[0]?.content.toString('hex') ?? ''
  const [, set = ''] = ML_DSA.exec(oid) ?? []
  return set === '' ? `unknown-${oid}` : `ml-dsa-${ML_DSA_NAMES[set]}`
}
const SPKI_FIELD = 5

/** A chain may hold more than anybody checks: that a key cannot be read is said where it is needed. */
const keyTypeOf = (certificate: X509Certificate): string => {
  try {
    return knownKeyType(certificate.publicKey)
  } catch {
    return unreadKeyType(certificate)
  }
}

const knownKeyType = (key: KeyObject): string => {
  const { modulusLength, namedCurve = '' } = key.asymmetricKeyDetails ?? {}
  if (key.asymmetricKeyType === 'rsa') return `rsa-${modulusLength}`
  if (key.asymmetricKeyType === 'ec') return `ec-${CURVE_BITS[namedCurve] ?? namedCurve}`
  return key.asymmetricKeyType ?? 'unknown'
}

// Read from the DER, not from node's `subjectAltName` and `infoAccess` texts, whose quoting is ambiguous.
const dnsNamesOf = (certificate: X509Certificate): readonly string[] =>
  (extensionElements(certificate, EXTENSION.subjectAltName) ?? [])
    .filter(name => name.tag === DNS_NAME)
    .map(name => name.content.toString('latin1').toLowerCase())

const ocspUrlOf = (certificate: X509Certificate): string | null => {
  for (const description of extensionElements(certificate, EXTENSION.authorityInfoAccess) ?? []) {
    const [method, location] = tlvs(description.content)
    if (method?.content.toString('hex') !== OCSP_ACCESS || location?.tag !== URI) continue
    const url = location.content.toString('latin1')
    if (/^https?:\/\//i.test(url)) return url
  }
  return null
}

const instantOf = (text: string): number => {
  const instant = Date.parse(text)
  if (Number.isNaN(instant)) throw malformed()
  return instant
}

const oneLine = (name: string | undefined): string => (name ?? '').split('\n').join(', ')

/**
 * A certificate as people see it and the program compares it. Instants in milliseconds, names in lower case,
 * `subject` and `issuer` as `C=US, O=ISRG, CN=Root YE` (empty for an empty name), `keyType` as in the settings
 * or what node:crypto calls it. @throws RotationError `certificate-invalid` when a part of it cannot be read
 */
export function leafOf(certificate: X509Certificate): Leaf {
  const print = certificate.fingerprint256
  const known = leaves.get(print)
  if (known) return known
  const leaf = {
    fingerprint: print.replaceAll(':', '').toLowerCase(),
    serial: certificate.serialNumber.toLowerCase(),
    subject: oneLine(certificate.subject),
    issuer: oneLine(certificate.issuer),
    names: dnsNamesOf(certificate),
    notBefore: instantOf(certificate.validFrom),
    notAfter: instantOf(certificate.validTo),
    keyType: keyTypeOf(certificate),
    ocspUrl: ocspUrlOf(certificate),
  }
  if (leaves.size >= LEAVES_AT_MOST) leaves.clear()
  leaves.set(print, leaf)
  return leaf
}

/** By fingerprint: the same certificate is in a slot, bound, and served, and is read once. */
const leaves = new Map<string, Leaf>()
const LEAVES_AT_MOST = 500

// --- writing and comparing -------------------------------------------------------------------------------------

/** PEM text of certificates in the order given (leaf first): 64 columns, `\n`, no blank lines, a final `\n`. */
export function normalizePem(certificates: readonly X509Certificate[]): string {
  return certificates
    .map(certificate => {
      const lines = certificate.raw.toString('base64').match(/.{1,64}/g) ?? []
      return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`
    })
    .join('')
}

/**
 * The certificate's name in renewal information (RFC 9773 section 4.1): base64url of the authority key
 * identifier, a dot, base64url of the serial number's content bytes. Null when there is no such identifier.
 * @throws RotationError `certificate-invalid` when malformed
 */
export function certId(certificate: X509Certificate): string | null {
  const keyIdentifier = extensionElements(certificate, EXTENSION.authorityKeyIdentifier)?.find(
    part => part.tag === 0x80,
  )
  const serial = tbsFields(certificate)[0]
  if (keyIdentifier === undefined || serial === undefined) return null
  return `${keyIdentifier.content.toString('base64url')}.${serial.content.toString('base64url')}`
}

/**
 * Whether one of the names stands for the domain: the same name, or a wildcard for exactly one label, above which
 * there must be two more, as OpenSSL has it: `*.com` stands for nothing.
 */
export function covers(names: readonly string[], domain: string): boolean {
  const wanted = domain.toLowerCase()
  const parent = /^[^.]+(\.[^.]+\..+)$/.exec(wanted)?.[1]
  return names.some(name => {
    const given = name.toLowerCase()
    return given === wanted || (parent !== undefined && given === `*${parent}`)
  })
}

/** SHA-256 of its public key (SubjectPublicKeyInfo) in base64, as `spkiHash` of key.ts has it of a private one. */
export const spkiHashOf = ({ publicKey }: X509Certificate): string =>
  createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64')
