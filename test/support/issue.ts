/**
 * Makes any certificate, good or bad, for tests of lib/x509; independent of lib and of node's own parsing.
 * Every default can be replaced, so that a case states only what is special about it.
 */
import { KeyObject, randomBytes, sign, webcrypto, X509Certificate } from 'node:crypto'
import * as x509 from '@peculiar/x509'

export const DAY_MS = 86_400_000
/** The instant the tests validate at. */
export const NOW = Date.parse('2026-06-15T12:00:00Z')

const EC = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const RSA = {
  name: 'RSASSA-PKCS1-v1_5',
  hash: 'SHA-256',
  modulusLength: 2048,
  publicExponent: new Uint8Array([1, 0, 1]),
} as const

export type Keys = webcrypto.CryptoKeyPair
type Algorithm = Parameters<typeof webcrypto.subtle.generateKey>[0]

export const newKeys = (algorithm: Algorithm = EC): Promise<Keys> =>
  webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']) as Promise<Keys>
export const newRsaKeys = (): Promise<Keys> => newKeys(RSA as Algorithm)

export interface Issued {
  readonly subject: string
  readonly pem: string
  readonly certificate: X509Certificate
  readonly keys: Keys
}

export interface IssueOptions {
  readonly subject?: string
  /** Null: self-signed. */
  readonly issuer?: Issued | null
  readonly keys?: Keys
  readonly signing?: { readonly name: string; readonly hash?: string; readonly saltLength?: number }
  readonly serial?: string
  readonly notBefore?: number
  readonly notAfter?: number
  readonly extensions?: readonly x509.Extension[]
  /** Subject and authority key identifiers; true unless told otherwise. */
  readonly identifiers?: boolean
}

export async function issue(options: IssueOptions): Promise<Issued> {
  const { issuer = null, subject = 'CN=test', identifiers = true } = options
  const keys = options.keys ?? (await newKeys())
  const signer = issuer?.keys ?? keys
  const made = await x509.X509CertificateGenerator.create(
    {
      subject,
      issuer: issuer?.subject ?? subject,
      publicKey: keys.publicKey,
      signingKey: signer.privateKey,
      signingAlgorithm: { hash: 'SHA-256', ...signer.privateKey.algorithm, ...options.signing } as never,
      serialNumber: options.serial ?? `01${randomBytes(8).toString('hex')}`,
      notBefore: new Date(options.notBefore ?? NOW - 30 * DAY_MS),
      notAfter: new Date(options.notAfter ?? NOW + 60 * DAY_MS),
      extensions: [
        ...(options.extensions ?? []),
        ...(identifiers
          ? [
              await x509.SubjectKeyIdentifierExtension.create(keys.publicKey, false, webcrypto as never),
              await x509.AuthorityKeyIdentifierExtension.create(signer.publicKey, false, webcrypto as never),
            ]
          : []),
      ],
    },
    webcrypto as never,
  )
  const certificate = new X509Certificate(Buffer.from(made.rawData))
  return { subject, pem: `${made.toString('pem').trim()}\n`, certificate, keys }
}

export const SERVER_AUTH = '1.3.6.1.5.5.7.3.1'
export const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2'

export const basic = (ca: boolean, pathLength?: number) =>
  new x509.BasicConstraintsExtension(ca, pathLength, true)
export const usage = (flags: number) => new x509.KeyUsagesExtension(flags, true)
export const extended = (...usages: string[]) => new x509.ExtendedKeyUsageExtension(usages)
export const names = (...dns: string[]) =>
  new x509.SubjectAlternativeNameExtension(dns.map(value => ({ type: 'dns', value })))
export const { digitalSignature, keyCertSign, cRLSign } = x509.KeyUsageFlags

export const caExtensions = (pathLength?: number) => [basic(true, pathLength), usage(keyCertSign | cRLSign)]
export const leafExtensions = (...dns: string[]) => [
  basic(false),
  usage(digitalSignature),
  extended(SERVER_AUTH),
  names(...dns),
]

// --- DER by hand -----------------------------------------------------------------------------------------------

export const der = (tag: number, ...parts: readonly (Uint8Array | string)[]): Buffer => {
  const content = Buffer.concat(parts.map(part => (typeof part === 'string' ? Buffer.from(part) : part)))
  const length =
    content.length < 0x80
      ? [content.length]
      : content.length < 0x100
        ? [0x81, content.length]
        : [0x82, content.length >> 8, content.length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...length]), content])
}

export const extension = (oid: string, value: Uint8Array, critical = false) =>
  new x509.Extension(oid, critical, new Uint8Array(value))

/** Name constraints over GeneralNames in DER. */
export const constraints = (permitted: readonly Uint8Array[], excluded: readonly Uint8Array[] = []) => {
  const trees = (tag: number, bases: readonly Uint8Array[]) =>
    bases.length === 0 ? [] : [der(tag, ...bases.map(base => der(0x30, base)))]
  return extension('2.5.29.30', der(0x30, ...trees(0xa0, permitted), ...trees(0xa1, excluded)), true)
}
export const dnsName = (name: string) => der(0x82, name)

/** The same certificate, signed by an RSA issuer with MD5, which no library makes any more. */
export async function signedWithMd5(certificate: Issued, issuer: Issued): Promise<X509Certificate> {
  const oid = (last: number) => Buffer.from([0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, last])
  const asHex = certificate.certificate.raw.toString('hex')
  const patched = Buffer.from(asHex.replaceAll(oid(11).toString('hex'), oid(4).toString('hex')), 'hex')
  // Certificate and TBSCertificate both have a length of two bytes here.
  const tbs = patched.subarray(4, 8 + patched.readUInt16BE(6))
  const key = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', issuer.keys.privateKey))
  const signature = sign('RSA-MD5', tbs, { key, format: 'der', type: 'pkcs8' })
  patched.set(signature, patched.length - signature.length)
  return new X509Certificate(patched)
}

/** A root of version 1, as old scripts make them, for EC keys and a common name. */
export async function version1Root(commonName: string, keys: Keys): Promise<Issued> {
  const algorithm = der(0x30, der(0x06, Buffer.from('2a8648ce3d040302', 'hex')))
  const name = der(0x30, der(0x31, der(0x30, der(0x06, Buffer.from('550403', 'hex')), der(0x0c, commonName))))
  const spki = Buffer.from(await webcrypto.subtle.exportKey('spki', keys.publicKey))
  const validity = der(0x30, der(0x17, '200101000000Z'), der(0x17, '400101000000Z'))
  const tbs = der(0x30, der(0x02, Buffer.from([7])), algorithm, name, validity, name, spki)
  const signature = sign('sha256', tbs, KeyObject.from(keys.privateKey))
  const raw = der(0x30, tbs, algorithm, der(0x03, Buffer.from([0]), signature))
  const certificate = new X509Certificate(raw)
  return { subject: `CN=${commonName}`, pem: certificate.toString(), certificate, keys }
}
