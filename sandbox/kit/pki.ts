/** Certificates for tests: roots, intermediates and leaves, with keys as PKCS#8. */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
  randomBytes,
  webcrypto,
} from 'node:crypto'
import { isIP } from 'node:net'
import { promisify } from 'node:util'
import * as x509 from '@peculiar/x509'

export type KeyType = 'rsa-2048' | 'rsa-3072' | 'rsa-4096' | 'ec-256' | 'ec-384'

/** A certificate with its key; `chainPem` is the certificate and its intermediates, without the root. */
export interface Issued {
  readonly certPem: string
  readonly keyPem: string
  readonly chainPem: string
}

/** A root or an intermediate that can issue. */
export interface Authority extends Issued {
  readonly root: boolean
  readonly keyType: KeyType
}

export interface Validity {
  /** Default: an hour ago. */
  readonly notBefore?: Date
  readonly notAfter?: Date
}

export interface AuthorityOptions extends Validity {
  readonly commonName?: string
  readonly organization?: string
  /** Default `ec-256`, which is quick to make. */
  readonly keyType?: KeyType
}

export interface LeafOptions extends Validity {
  /** DNS names and IP addresses. */
  readonly names: readonly string[]
  readonly issuer: Authority
  readonly keyType?: KeyType
  /** Default: the first name; null leaves the subject empty. */
  readonly commonName?: string | null
  readonly organization?: string
  readonly ocspUrl?: string
  /** TLS feature `status_request`: clients that honour it refuse a handshake without a staple. */
  readonly mustStaple?: boolean
  /** Sign for this PKCS#8 key instead of a new one of `keyType`. */
  readonly keyPem?: string
  /** Hexadecimal; default random. */
  readonly serialNumber?: string
  readonly extendedKeyUsages?: readonly x509.ExtendedKeyUsageType[]
}

const dayMs = 86_400_000
const generate = promisify(generateKeyPair)

/** A new private key as PKCS#8 PEM. */
export async function createKey(keyType: KeyType): Promise<string> {
  const [family, size] = keyType.split('-')
  const { privateKey } =
    family === 'rsa'
      ? await generate('rsa', { modulusLength: Number(size) })
      : await generate('ec', { namedCurve: `P-${size}` })
  return privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
}

/** RSA keys take long to make: four of each size go round. Apart for issuers and leaves, which never share one. */
const createRounds = () => {
  const rounds = new Map<KeyType, Promise<string>[]>()
  return (keyType: KeyType): Promise<string> => {
    if (!keyType.startsWith('rsa')) return createKey(keyType)
    const round = rounds.get(keyType) ?? []
    const key = round.length < 4 ? createKey(keyType) : (round.shift() as Promise<string>)
    rounds.set(keyType, [...round, key])
    return key
  }
}
const issuerKey = createRounds()
const leafKey = createRounds()

const keyTypeOf = (key: KeyObject): KeyType =>
  key.asymmetricKeyType === 'rsa'
    ? (`rsa-${key.asymmetricKeyDetails?.modulusLength}` as KeyType)
    : key.asymmetricKeyDetails?.namedCurve === 'secp384r1'
      ? 'ec-384'
      : 'ec-256'

const algorithmOf = (keyType: KeyType) =>
  keyType.startsWith('rsa')
    ? ({ name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' } as const)
    : ({
        name: 'ECDSA',
        namedCurve: keyType === 'ec-384' ? 'P-384' : 'P-256',
        hash: keyType === 'ec-384' ? 'SHA-384' : 'SHA-256',
      } as const)

/** Both halves of a PKCS#8 key as WebCrypto wants them. */
const importKey = async (keyPem: string) => {
  const key = createPrivateKey(keyPem)
  const keyType = keyTypeOf(key)
  const algorithm = algorithmOf(keyType)
  const [privateKey, publicKey] = await Promise.all([
    webcrypto.subtle.importKey('pkcs8', key.export({ type: 'pkcs8', format: 'der' }), algorithm, true, [
      'sign',
    ]),
    webcrypto.subtle.importKey(
      'spki',
      createPublicKey(key).export({ type: 'spki', format: 'der' }),
      algorithm,
      true,
      ['verify'],
    ),
  ])
  return { privateKey, publicKey, keyType, algorithm }
}

const pemOf = (certificate: x509.X509Certificate): string => `${certificate.toString('pem').trim()}\n`

const subjectOf = (
  commonName: string | null,
  organization: string | undefined,
): Record<string, string[]>[] => [
  ...(organization === undefined ? [] : [{ O: [organization] }]),
  ...(commonName === null ? [] : [{ CN: [commonName] }]),
]

/** Random, positive, 16 bytes. */
const newSerial = (): string => `01${randomBytes(15).toString('hex')}`

interface Signing extends Required<Validity> {
  readonly subject: Record<string, string[]>[]
  readonly keyPem: string
  readonly issuer: Authority | null
  readonly extensions: readonly x509.Extension[]
  readonly serialNumber?: string
}

const sign = async (options: Signing): Promise<Issued> => {
  const { issuer, keyPem } = options
  const own = await importKey(keyPem)
  const signer = issuer ? await importKey(issuer.keyPem) : own
  const certificate = await x509.X509CertificateGenerator.create(
    {
      subject: options.subject,
      issuer: issuer ? new x509.X509Certificate(issuer.certPem).subjectName.toJSON() : options.subject,
      publicKey: own.publicKey,
      signingKey: signer.privateKey,
      signingAlgorithm: signer.algorithm,
      serialNumber: options.serialNumber ?? newSerial(),
      notBefore: options.notBefore,
      notAfter: options.notAfter,
      extensions: [
        ...options.extensions,
        await x509.SubjectKeyIdentifierExtension.create(own.publicKey),
        await x509.AuthorityKeyIdentifierExtension.create(signer.publicKey),
      ],
    },
    webcrypto,
  )
  const certPem = pemOf(certificate)
  return { certPem, keyPem, chainPem: issuer && !issuer.root ? certPem + issuer.chainPem : certPem }
}

const validity = (given: Validity, days: number): Required<Validity> => {
  const notBefore = given.notBefore ?? new Date(Date.now() - 3_600_000)
  return { notBefore, notAfter: given.notAfter ?? new Date(notBefore.getTime() + days * dayMs) }
}

const createAuthority = async (
  options: AuthorityOptions,
  commonName: string,
  issuer: Authority | null,
): Promise<Authority> => {
  const keyType = options.keyType ?? 'ec-256'
  const { keyCertSign, cRLSign } = x509.KeyUsageFlags
  const issued = await sign({
    subject: subjectOf(options.commonName ?? commonName, options.organization ?? 'Sandbox'),
    keyPem: await issuerKey(keyType),
    issuer,
    ...validity(options, issuer ? 1825 : 3650),
    extensions: [
      new x509.BasicConstraintsExtension(true, issuer ? 0 : undefined, true),
      new x509.KeyUsagesExtension(keyCertSign | cRLSign, true),
    ],
  })
  return { ...issued, root: issuer === null, keyType }
}

/** A self-signed root. */
export function createRoot(options: AuthorityOptions = {}): Promise<Authority> {
  return createAuthority(options, 'Sandbox Root', null)
}

/** An intermediate below a root. */
export function createIntermediate(
  options: AuthorityOptions & { readonly issuer: Authority },
): Promise<Authority> {
  return createAuthority(options, 'Sandbox Intermediate', options.issuer)
}

const leafExtensions = (options: LeafOptions, rsa: boolean): x509.Extension[] => {
  const { digitalSignature, keyEncipherment } = x509.KeyUsageFlags
  const alternatives = options.names.map(value => ({
    type: isIP(value) ? ('ip' as const) : ('dns' as const),
    value,
  }))
  const usages = options.extendedKeyUsages ?? [x509.ExtendedKeyUsage.serverAuth]
  return [
    new x509.BasicConstraintsExtension(false, undefined, true),
    new x509.KeyUsagesExtension(rsa ? digitalSignature | keyEncipherment : digitalSignature, true),
    new x509.ExtendedKeyUsageExtension([...usages]),
    new x509.SubjectAlternativeNameExtension(alternatives, options.commonName === null),
    ...(options.ocspUrl === undefined
      ? []
      : [new x509.AuthorityInfoAccessExtension({ ocsp: [options.ocspUrl] })]),
    // RFC 7633: SEQUENCE { INTEGER 5 (status_request) }
    ...(options.mustStaple
      ? [new x509.Extension('1.3.6.1.5.5.7.1.24', false, Uint8Array.of(0x30, 3, 2, 1, 5))]
      : []),
  ]
}

/** A server certificate of 90 days, unless told otherwise. */
export async function issueLeaf(options: LeafOptions): Promise<Issued> {
  const keyType = options.keyType ?? 'ec-256'
  const keyPem = options.keyPem ?? (await leafKey(keyType))
  const rsa = createPrivateKey(keyPem).asymmetricKeyType === 'rsa'
  return sign({
    subject: subjectOf(
      options.commonName === undefined ? (options.names[0] ?? null) : options.commonName,
      options.organization,
    ),
    keyPem,
    issuer: options.issuer,
    ...validity(options, 90),
    extensions: leafExtensions(options, rsa),
    ...(options.serialNumber === undefined ? {} : { serialNumber: options.serialNumber }),
  })
}
