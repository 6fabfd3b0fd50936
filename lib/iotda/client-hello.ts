import type { DeviceProfile } from '../model/device-profile.ts'
import type { ClientHello } from './tls.ts'

/**
 * What OpenSSL calls the TLS signature schemes (RFC 8446 section 4.2.3) that go with a signature algorithm of
 * X.509: a client that takes the one in a certificate takes the other in a handshake.
 */
const SCHEMES: Readonly<Record<string, readonly string[]>> = {
  sha1WithRSAEncryption: ['rsa_pkcs1_sha1'],
  sha224WithRSAEncryption: ['RSA+SHA224'],
  // TLS 1.3 knows RSA in a handshake only as PSS.
  sha256WithRSAEncryption: ['rsa_pkcs1_sha256', 'rsa_pss_rsae_sha256'],
  sha384WithRSAEncryption: ['rsa_pkcs1_sha384', 'rsa_pss_rsae_sha384'],
  sha512WithRSAEncryption: ['rsa_pkcs1_sha512', 'rsa_pss_rsae_sha512'],
  rsassaPss: ['rsa_pss_rsae_sha256', 'rsa_pss_pss_sha256', 'rsa_pss_rsae_sha384', 'rsa_pss_rsae_sha512'],
  'ecdsa-with-SHA1': ['ECDSA+SHA1'],
  'ecdsa-with-SHA224': ['ECDSA+SHA224'],
  'ecdsa-with-SHA256': ['ecdsa_secp256r1_sha256'],
  'ecdsa-with-SHA384': ['ecdsa_secp384r1_sha384'],
  'ecdsa-with-SHA512': ['ecdsa_secp521r1_sha512'],
  ED25519: ['ed25519'],
  ED448: ['ed448'],
}

const RSA = ['sha256WithRSAEncryption', 'sha384WithRSAEncryption', 'sha512WithRSAEncryption']
/** What the key of the leaf signs the handshake with. */
const ALGORITHMS_OF_KEY: Readonly<Record<string, readonly string[]>> = {
  'ec-256': ['ecdsa-with-SHA256'],
  'ec-384': ['ecdsa-with-SHA384'],
  'ec-521': ['ecdsa-with-SHA512'],
  ed25519: ['ED25519'],
  ed448: ['ED448'],
}
const algorithmsOfKey = (keyType: string): readonly string[] =>
  keyType.startsWith('rsa-') ? RSA : (ALGORITHMS_OF_KEY[keyType] ?? [])

const isRsa = (algorithm: string): boolean => /rsa/i.test(algorithm)

/** Of the algorithms a device takes, the ones that a leaf with one of these keys can sign a handshake with. */
function handshakeAlgorithms(
  keyTypes: readonly string[] | null,
  taken: readonly string[] | null,
): readonly string[] | null {
  if (keyTypes === null) return taken
  const ofKeys = [...new Set(keyTypes.flatMap(algorithmsOfKey))]
  if (taken === null) return ofKeys
  // Certificates may be signed by keys of another family than the leaf's.
  const both = ofKeys.filter(
    algorithm => taken.includes(algorithm) || !taken.some(t => isRsa(t) === isRsa(algorithm)),
  )
  return both.length === 0 ? ofKeys : both
}

/** Suites of TLS 1.3 have names of their own (RFC 8446 appendix B.4), and no other version has them. */
const isOfTls13 = (suite: string): boolean => /^TLS_(AES|CHACHA20)_/.test(suite)

function versionsOf(
  tls: DeviceProfile['tls'],
  suites: readonly string[],
): Pick<ClientHello, 'minVersion' | 'maxVersion'> {
  // Node would offer TLS 1.3 with suites of its own choice.
  const isWithout13 = suites.length > 0 && !suites.some(isOfTls13)
  const isOnly13 = suites.length > 0 && suites.every(isOfTls13)
  const max = isWithout13 && tls?.max !== 'TLSv1.1' ? 'TLSv1.2' : tls?.max
  const min = isOnly13 ? 'TLSv1.3' : tls?.min
  return { ...(min ? { minVersion: min } : {}), ...(max ? { maxVersion: max } : {}) }
}

const LEAST_SECURITY = '@SECLEVEL=0'

/** What a device of this kind offers when it connects. */
export function clientHelloOf({
  tls,
  ciphers,
  keyTypes,
  signatureAlgorithms,
}: Pick<DeviceProfile, 'tls' | 'ciphers' | 'keyTypes' | 'signatureAlgorithms'>): ClientHello {
  const algorithms = handshakeAlgorithms(keyTypes, signatureAlgorithms)
  const sigalgs = [...new Set(algorithms?.flatMap(algorithm => SCHEMES[algorithm] ?? []))]
  const suites = ciphers?.toUpperCase().split(':') ?? []
  // OpenSSL 3 speaks TLS 1.1 only at security level 0; the device's own limits are in the profile.
  const list =
    tls?.min === 'TLSv1.1' ? [...(suites.length > 0 ? suites : ['DEFAULT']), LEAST_SECURITY] : suites
  return {
    ...versionsOf(tls, suites),
    ...(list.length === 0 ? {} : { ciphers: list.join(':') }),
    ...(sigalgs.length === 0 ? {} : { sigalgs: sigalgs.join(':') }),
  }
}
