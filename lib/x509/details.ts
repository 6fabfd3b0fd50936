import { createHash, type X509Certificate } from 'node:crypto'
import { EXTENSION, extensionElements, extensionsOf, signatureOf, tbsFields, tlvs } from './certificate.ts'

/** OIDs, as hex, of the signature algorithms by the names that OpenSSL gives them. */
const SIGNATURES: Readonly<Record<string, string>> = {
  '2a864886f70d010104': 'md5WithRSAEncryption',
  '2a864886f70d010105': 'sha1WithRSAEncryption',
  '2a864886f70d01010e': 'sha224WithRSAEncryption',
  '2a864886f70d01010b': 'sha256WithRSAEncryption',
  '2a864886f70d01010c': 'sha384WithRSAEncryption',
  '2a864886f70d01010d': 'sha512WithRSAEncryption',
  '2a864886f70d01010a': 'rsassaPss',
  '2a8648ce3d0401': 'ecdsa-with-SHA1',
  '2a8648ce3d040301': 'ecdsa-with-SHA224',
  '2a8648ce3d040302': 'ecdsa-with-SHA256',
  '2a8648ce3d040303': 'ecdsa-with-SHA384',
  '2a8648ce3d040304': 'ecdsa-with-SHA512',
  '2b6570': 'ED25519',
  '2b6571': 'ED448',
}

/** RSA and ECDSA with SHA-224, which some stacks take and some do not. */
export const SHA224: readonly string[] = ['sha224WithRSAEncryption', 'ecdsa-with-SHA224']

/** RSA and ECDSA with SHA-256 and longer hashes. */
export const SHA256_AND_UP: readonly string[] = [
  'sha256WithRSAEncryption',
  'sha384WithRSAEncryption',
  'sha512WithRSAEncryption',
  'ecdsa-with-SHA256',
  'ecdsa-with-SHA384',
  'ecdsa-with-SHA512',
]

/** Names of signature algorithms, as settings give them. */
export const SIGNATURE_ALGORITHMS: readonly string[] = Object.values(SIGNATURES)

/**
 * The algorithm a certificate is signed with (RFC 5280 section 4.1.1.2), as `sha256WithRSAEncryption`; the OID's
 * content bytes in hex when it is none of {@link SIGNATURE_ALGORITHMS}.
 * @throws RotationError `certificate-invalid` when malformed
 */
export function signatureAlgorithmOf(certificate: X509Certificate): string {
  const { oidHex } = signatureOf(certificate)
  return SIGNATURES[oidHex] ?? oidHex
}

const SUBJECT_FIELD = 4
const COMMON_NAME = '550403'
const BMP_STRING = 0x1e

/**
 * The subject's common name (RFC 5280 appendix A.1), the last one when there are several, as clients that match
 * on it do; null without one. @throws RotationError `certificate-invalid` when malformed
 */
export function commonNameOf(certificate: X509Certificate): string | null {
  const subject = tbsFields(certificate)[SUBJECT_FIELD]?.content ?? Buffer.alloc(0)
  const attributes = tlvs(subject).flatMap(relative => tlvs(relative.content))
  const names = attributes.flatMap(attribute => {
    const [type, value] = tlvs(attribute.content)
    if (type?.content.toString('hex') !== COMMON_NAME || value === undefined) return []
    if (value.tag === BMP_STRING) return [Buffer.from(value.content).swap16().toString('utf16le')]
    return [value.content.toString('utf8')]
  })
  return names.at(-1) ?? null
}

export const DIGITAL_SIGNATURE = 0x80
export const KEY_ENCIPHERMENT = 0x20

/** First byte of the key usage bits (RFC 5280 section 4.2.1.3); null without the extension. */
export function keyUsageOf(certificate: X509Certificate): number | null {
  const extension = extensionsOf(certificate).find(({ oidHex }) => oidHex === EXTENSION.keyUsage)
  return extension === undefined ? null : (tlvs(extension.value)[0]?.content[1] ?? 0)
}

const STATUS_REQUEST = 5

/** Whether the certificate may be served only with a stapled OCSP answer (RFC 7633 section 4.2.1). */
export function mustStaple(certificate: X509Certificate): boolean {
  const features = extensionElements(certificate, EXTENSION.tlsFeature) ?? []
  return features.some(({ content }) => content.length === 1 && content[0] === STATUS_REQUEST)
}

const SPKI_FIELD = 5

/** As it stands in the certificate, whether or not node:crypto can read the key. */
function publicKeyInfo(certificate: X509Certificate): Buffer {
  const content = tbsFields(certificate)[SPKI_FIELD]?.content ?? Buffer.alloc(0)
  const { length } = content
  const header =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([0x30, ...header]), content])
}

/** The pin of a certificate's key (RFC 7469 section 2.4): SHA-256 of its SubjectPublicKeyInfo in base64. */
export function pinOf(certificate: X509Certificate): string {
  return createHash('sha256').update(publicKeyInfo(certificate)).digest('base64')
}

/** Whether subject and issuer are the same name. */
export const isSelfIssued = (certificate: X509Certificate): boolean =>
  certificate.subject === certificate.issuer

/** Critical extensions that RFC 5280 defines and small stacks do not know. */
const SELDOM_KNOWN = ['policyMappings', 'policyConstraints', 'inhibitAnyPolicy', 'nameConstraints'] as const

/** The name of a critical extension that RFC 5280 defines and small stacks do not know; null without one. */
export function rareCriticalExtension(certificate: X509Certificate): string | null {
  const critical = extensionsOf(certificate).filter(extension => extension.critical)
  const names = critical.map(({ oidHex }) => SELDOM_KNOWN.find(name => EXTENSION[name] === oidHex))
  return names.find(name => name !== undefined) ?? null
}
