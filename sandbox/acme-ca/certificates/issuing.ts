import { KeyObject, X509Certificate as NodeCertificate, randomBytes, webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import type { CaKeyType } from '../options.ts'

/** What a leaf certificate shall hold. */
export interface LeafRequest {
  readonly publicKey: x509.PublicKey
  readonly names: readonly string[]
  readonly notBefore: Date
  readonly notAfter: Date
  readonly commonName: string | null
  readonly subjectKeyIdentifier: boolean
  /** Only set for RSA keys. */
  readonly keyEncipherment: boolean
}

/** A leaf as issued. */
export interface Leaf {
  /** Leaf and intermediates: neither root nor cross-signed root. */
  readonly pem: string
  readonly der: Buffer
  /** As node:crypto writes it: upper-case hex without a sign byte. */
  readonly serial: string
  /** RFC 9773 section 4.1. */
  readonly certId: string
  readonly names: readonly string[]
  readonly notBefore: Date
  readonly notAfter: Date
}

/** A root with its intermediates. */
export interface Chain {
  /** The oldest root. */
  readonly rootPem: string
  /** Of the second generation: the new root, and the same key and name certified by the oldest root. */
  readonly successor: { readonly rootPem: string; readonly crossSignedPem: string } | null
  readonly intermediatePems: readonly string[]
  issue(request: LeafRequest): Promise<Leaf>
}

type Keys = webcrypto.CryptoKeyPair
interface Issuer {
  readonly certificate: x509.X509Certificate
  readonly keys: Keys
}

const DAY_MS = 86_400_000
const YEAR_MS = 365 * DAY_MS
const RSA_BITS = { 'rsa-2048': 2048, 'rsa-3072': 3072, 'rsa-4096': 4096 } as const

/** A key pair, made off the main thread. */
export async function generateKeys(type: CaKeyType): Promise<Keys> {
  const algorithm =
    type === 'ec-256' || type === 'ec-384'
      ? { name: 'ECDSA', namedCurve: type === 'ec-256' ? 'P-256' : 'P-384' }
      : {
          name: 'RSASSA-PKCS1-v1_5',
          hash: 'SHA-256',
          modulusLength: RSA_BITS[type],
          publicExponent: new Uint8Array([1, 0, 1]),
        }
  return (await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])) as Keys
}

/** The private key of a pair as PKCS #8 PEM. */
export const privateKeyPem = (keys: Keys): string =>
  KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' }).toString()

const signingAlgorithm = (keys: Keys) => {
  const { namedCurve } = keys.privateKey.algorithm as { namedCurve?: string }
  return { hash: namedCurve === 'P-384' ? 'SHA-384' : 'SHA-256' }
}

const pemOf = (certificate: x509.X509Certificate): string => `${certificate.toString('pem').trim()}\n`

const { KeyUsageFlags } = x509
/** Nobody listens there. */
const CRL_URL = 'http://127.0.0.1:9/1.crl'

interface AuthorityRequest {
  readonly name: string
  readonly keyType: CaKeyType
  readonly notBefore: Date
  readonly notAfter: Date
  readonly issuer: Issuer | null
  readonly pathLength?: number
  /** Certify these keys instead of new ones. */
  readonly keys?: Keys
}

const createAuthority = async (request: AuthorityRequest): Promise<Issuer> => {
  const keys = request.keys ?? (await generateKeys(request.keyType))
  const issuer = request.issuer
  const signer = issuer?.keys ?? keys
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: randomBytes(16).toString('hex'),
    subject: `CN=${request.name},O=Sandbox CA,C=XX`,
    issuer: issuer?.certificate.subjectName.toString() ?? `CN=${request.name},O=Sandbox CA,C=XX`,
    notBefore: request.notBefore,
    notAfter: request.notAfter,
    publicKey: keys.publicKey,
    signingKey: signer.privateKey,
    signingAlgorithm: signingAlgorithm(signer),
    extensions: [
      new x509.BasicConstraintsExtension(true, request.pathLength, true),
      new x509.KeyUsagesExtension(
        KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign | KeyUsageFlags.digitalSignature,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ...(issuer ? [await x509.AuthorityKeyIdentifierExtension.create(issuer.keys.publicKey)] : []),
    ],
  })
  return { certificate, keys }
}

const leafExtensions = async (issuer: Issuer, request: LeafRequest): Promise<x509.Extension[]> => {
  const { publicKey } = request
  const rsa = publicKey.algorithm.name.startsWith('RSA')
  const usage =
    KeyUsageFlags.digitalSignature | (rsa && request.keyEncipherment ? KeyUsageFlags.keyEncipherment : 0)
  return [
    new x509.KeyUsagesExtension(usage, true),
    new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
    new x509.BasicConstraintsExtension(false, undefined, true),
    ...(request.subjectKeyIdentifier ? [await x509.SubjectKeyIdentifierExtension.create(publicKey)] : []),
    await x509.AuthorityKeyIdentifierExtension.create(issuer.keys.publicKey),
    // RFC 5280 section 4.2.1.6: critical when the subject is empty.
    new x509.SubjectAlternativeNameExtension(
      request.names.map(value => ({ type: 'dns', value })),
      request.commonName === null,
    ),
    new x509.CRLDistributionPointsExtension([CRL_URL]),
  ]
}

const certIdOf = (certificate: x509.X509Certificate, serial: string): string => {
  const aki = certificate.getExtension(x509.AuthorityKeyIdentifierExtension)
  const bytes = Buffer.from(serial, 'hex')
  // The content of the DER INTEGER: signed, hence a zero byte before a set top bit.
  const integer = (bytes[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), bytes]) : bytes
  return `${Buffer.from(aki?.keyId ?? '', 'hex').toString('base64url')}.${integer.toString('base64url')}`
}

const issueLeaf = async (issuer: Issuer, request: LeafRequest, chainPem: string): Promise<Leaf> => {
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: randomBytes(16).toString('hex'),
    ...(request.commonName !== null && { subject: [{ CN: [request.commonName] }] }),
    issuer: issuer.certificate.subjectName.toString(),
    notBefore: request.notBefore,
    notAfter: request.notAfter,
    publicKey: request.publicKey,
    signingKey: issuer.keys.privateKey,
    signingAlgorithm: signingAlgorithm(issuer.keys),
    extensions: await leafExtensions(issuer, request),
  })
  const der = Buffer.from(certificate.rawData)
  const serial = new NodeCertificate(der).serialNumber
  return {
    pem: `${pemOf(certificate)}${chainPem}`,
    der,
    serial,
    certId: certIdOf(certificate, serial),
    names: request.names,
    notBefore: request.notBefore,
    notAfter: request.notAfter,
  }
}

export interface ChainOptions {
  readonly keyType: CaKeyType
  /** Number of intermediates. */
  readonly length: number
  readonly generations: 1 | 2
}

/**
 * A new root, or an old and a new one, with `length` intermediates. Their dates leave room on both sides of the
 * present, for leaves of the past and for clocks that a test moves on by years.
 */
export async function createChain(options: ChainOptions, nowMs: number): Promise<Chain> {
  const { keyType, length: chainLength, generations } = options
  const tag = randomBytes(3).toString('hex').toUpperCase()
  const start = Math.floor(nowMs / 1000) * 1000
  const span = (years: number) => ({
    notBefore: new Date(start - years * YEAR_MS),
    notAfter: new Date(start + 2 * years * YEAR_MS),
  })
  const root = await createAuthority({ name: `Sandbox Root ${tag}`, keyType, issuer: null, ...span(10) })
  const newName = `Sandbox Root ${tag} Y`
  const next =
    generations === 2 ? await createAuthority({ name: newName, keyType, issuer: null, ...span(10) }) : null
  const crossSigned =
    next && (await createAuthority({ name: newName, keyType, issuer: root, keys: next.keys, ...span(9) }))
  const top = next ?? root
  const intermediates: Issuer[] = []
  for (let i = 1; i <= chainLength; i += 1) {
    const issuer = intermediates.at(-1) ?? top
    const name = `Sandbox Intermediate ${tag}-${i}`
    intermediates.push(
      await createAuthority({ name, keyType, issuer, pathLength: chainLength - i, ...span(9) }),
    )
  }
  const intermediatePems = intermediates.map(({ certificate }) => pemOf(certificate)).reverse()
  const issuer = intermediates.at(-1) ?? top
  return {
    rootPem: pemOf(root.certificate),
    successor:
      next && crossSigned
        ? { rootPem: pemOf(next.certificate), crossSignedPem: pemOf(crossSigned.certificate) }
        : null,
    intermediatePems,
    issue: request => issueLeaf(issuer, request, intermediatePems.join('')),
  }
}

/** Key and certificate for the CA's own HTTPS door on loopback, and the root clients must trust. */
export async function createDoorTls(): Promise<{ key: string; cert: string; caPem: string }> {
  // TLS is checked against the system's clock, whatever the CA's clock says.
  const dates = { notBefore: new Date('2000-01-01'), notAfter: new Date('2199-01-01') }
  const issuer = await createAuthority({ name: 'Sandbox Door CA', keyType: 'ec-256', issuer: null, ...dates })
  const keys = await generateKeys('ec-256')
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: randomBytes(16).toString('hex'),
    subject: 'CN=localhost',
    issuer: issuer.certificate.subjectName.toString(),
    ...dates,
    publicKey: keys.publicKey,
    signingKey: issuer.keys.privateKey,
    signingAlgorithm: signingAlgorithm(issuer.keys),
    extensions: [
      new x509.SubjectAlternativeNameExtension([
        { type: 'dns', value: 'localhost' },
        { type: 'ip', value: '127.0.0.1' },
        { type: 'ip', value: '::1' },
      ]),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.keys.publicKey),
    ],
  })
  return { key: privateKeyPem(keys), cert: pemOf(certificate), caPem: pemOf(issuer.certificate) }
}
