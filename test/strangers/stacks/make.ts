/** Certificates from DER, right or wrong in every way that a CA could choose; knows nothing of lib. */
import { createHash, createPrivateKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { der } from '../../support/issue.ts'

export interface Keys {
  readonly type: string
  readonly spki: Buffer
  /** Null: of an algorithm that is only shown. */
  readonly privateKey: KeyObject | null
}

export const oid = (text: string): Buffer => {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number)
  const bytes = [first * 40 + second, ...rest].flatMap((arc, index) => {
    if (index === 0) return [arc]
    const groups = [arc & 0x7f]
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128))
      groups.unshift((left & 0x7f) | 0x80)
    return groups
  })
  return der(0x06, Buffer.from(bytes))
}

/** `der` writes lengths of two bytes at most; the list of a long chain needs three. */
const wrap = (tag: number, ...parts: readonly Buffer[]): Buffer => {
  const content = Buffer.concat(parts)
  if (content.length < 0x1_0000) return der(tag, content)
  const length = Buffer.from([
    0x83,
    content.length >> 16,
    (content.length >> 8) & 0xff,
    content.length & 0xff,
  ])
  return Buffer.concat([Buffer.from([tag]), length, content])
}

export const seq = (...parts: readonly Buffer[]): Buffer => wrap(0x30, ...parts)
const NULL = Buffer.from([5, 0])

const spkiOf = (key: KeyObject): Buffer => key.export({ type: 'spki', format: 'der' })

const CURVES: Readonly<Record<string, string>> = {
  'ec-192': 'prime192v1',
  'ec-224': 'secp224r1',
  'ec-256': 'prime256v1',
  'ec-384': 'secp384r1',
  'ec-521': 'secp521r1',
  'ec-k256': 'secp256k1',
  'ec-bp256': 'brainpoolP256r1',
}

/** An algorithm that no stack here checks: only whether it is passed over counts. */
const unchecked = (type: string, algorithm: string, bytes: number): Keys => ({
  type,
  spki: seq(seq(oid(algorithm)), der(0x03, Buffer.alloc(1), Buffer.alloc(bytes, 7))),
  privateKey: null,
})

const pairOf = (type: string): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } => {
  if (type.startsWith('rsa-pss')) return generateKeyPairSync('rsa-pss', { modulusLength: 2048 })
  if (type.startsWith('rsa-')) return generateKeyPairSync('rsa', { modulusLength: Number(type.slice(4)) })
  if (type === 'dsa') return generateKeyPairSync('dsa', { modulusLength: 2048, divisorLength: 256 })
  if (type === 'ed25519') return generateKeyPairSync('ed25519')
  if (type === 'ed448') return generateKeyPairSync('ed448')
  const isExplicit = type === 'ec-explicit'
  const namedCurve = CURVES[type === 'ec-compressed' || isExplicit ? 'ec-256' : type] ?? ''
  return generateKeyPairSync('ec', { namedCurve, ...(isExplicit && { paramEncoding: 'explicit' }) })
}

function makeKeys(type: string): Keys {
  if (type === 'ml-dsa') return unchecked(type, '2.16.840.1.101.3.4.3.18', 1952)
  const { publicKey, privateKey } = pairOf(type)
  if (type !== 'ec-compressed') return { type, spki: spkiOf(publicKey), privateKey }
  const point = spkiOf(publicKey).subarray(-65)
  const short = Buffer.concat([Buffer.from([2 + ((point[64] ?? 0) & 1)]), point.subarray(1, 33)])
  const algorithm = seq(oid('1.2.840.10045.2.1'), oid('1.2.840.10045.3.1.7'))
  return { type, spki: seq(algorithm, der(0x03, Buffer.alloc(1), short)), privateKey }
}

const pool = new Map<string, Keys>()
/** The same pair for the same type and use. */
export const keysOf = (type: string, use: string): Keys => {
  const name = `${type} ${use}`
  const known = pool.get(name)
  const made = known ?? makeKeys(type)
  pool.set(name, made)
  return made
}

// --- names -------------------------------------------------------------------------------------------------------

/** An attribute: type, tag of the string, text. */
export type Attribute = readonly [type: string, tag: number, text: string]
/** Relative names, of one attribute each or of several. */
export type Name = readonly (readonly Attribute[])[]

export const UTF8 = 0x0c
export const PRINTABLE = 0x13
export const TELETEX = 0x14
export const BMP = 0x1e
const CN = '2.5.4.3'

export const nameOf = (text: string, tag = UTF8): Name => [
  [['2.5.4.6', PRINTABLE, 'CN']],
  [['2.5.4.10', tag, 'Stacks of Devices']],
  [[CN, tag, text]],
]

const stringOf = (tag: number, text: string): Buffer =>
  tag === BMP ? Buffer.from(text, 'utf16le').swap16() : Buffer.from(text, tag === TELETEX ? 'latin1' : 'utf8')

export const nameDer = (name: Name): Buffer =>
  seq(
    ...name.map(attributes =>
      der(
        0x31,
        ...attributes
          .map(([type, tag, text]) => seq(oid(type), der(tag, stringOf(tag, text))))
          .toSorted(Buffer.compare),
      ),
    ),
  )

// --- certificates ------------------------------------------------------------------------------------------------

const HASHES: Readonly<
  Record<string, { readonly rsa: number; readonly ecdsa: string; readonly oid: string }>
> = {
  md5: { rsa: 4, ecdsa: '', oid: '' },
  sha1: { rsa: 5, ecdsa: '1.2.840.10045.4.1', oid: '1.3.14.3.2.26' },
  sha224: { rsa: 14, ecdsa: '1.2.840.10045.4.3.1', oid: '2.16.840.1.101.3.4.2.4' },
  sha256: { rsa: 11, ecdsa: '1.2.840.10045.4.3.2', oid: '2.16.840.1.101.3.4.2.1' },
  sha384: { rsa: 12, ecdsa: '1.2.840.10045.4.3.3', oid: '2.16.840.1.101.3.4.2.2' },
  sha512: { rsa: 13, ecdsa: '1.2.840.10045.4.3.4', oid: '2.16.840.1.101.3.4.2.3' },
}
const ALONE: Readonly<Record<string, string>> = {
  ed25519: '1.3.101.112',
  ed448: '1.3.101.113',
  'ml-dsa': '2.16.840.1.101.3.4.3.18',
  dsa: '2.16.840.1.101.3.4.3.2',
}

const hashLength = (hash: string): number => createHash(hash).digest().length

/** Of `pss-sha256-20`: the hash and the length of the salt, which is the hash's otherwise. */
const pssOf = (sig: string): { readonly hash: string; readonly salt: number } => {
  const [hash = '', salt] = sig.replace('pss-', '').split('-')
  return { hash, salt: salt === undefined ? hashLength(hash) : Number(salt) }
}

const pssParameters = (sig: string): Buffer => {
  const { hash, salt: bytes } = pssOf(sig)
  const algorithm = seq(oid(HASHES[hash]?.oid ?? ''), NULL)
  const generator = seq(oid('1.2.840.113549.1.1.8'), algorithm)
  const salt = der(0x02, Buffer.from([bytes]))
  return seq(der(0xa0, algorithm), der(0xa1, generator), der(0xa2, salt))
}

/** `sig`: a hash, or `pss-` and a hash. */
const algorithmOf = ({ type }: Keys, sig: string): Buffer => {
  const alone = ALONE[type]
  if (alone !== undefined) return seq(oid(alone))
  if (sig.startsWith('pss-') || type.startsWith('rsa-pss'))
    return seq(oid('1.2.840.113549.1.1.10'), pssParameters(sig))
  const hash = HASHES[sig] ?? HASHES.sha256
  return type.startsWith('rsa')
    ? seq(oid(`1.2.840.113549.1.1.${hash?.rsa}`), NULL)
    : seq(oid(hash?.ecdsa ?? ''))
}

const signed = (tbs: Buffer, keys: Keys, sig: string): Buffer => {
  const { privateKey, type } = keys
  if (privateKey === null) return Buffer.alloc(3309, 9)
  if (type.startsWith('ed')) return sign(null, tbs, privateKey)
  const { hash, salt } = pssOf(sig)
  if (type === 'dsa') return sign('sha256', tbs, privateKey)
  if (!sig.startsWith('pss-') && !type.startsWith('rsa-pss')) return sign(hash, tbs, privateKey)
  return sign(hash, tbs, { key: privateKey, padding: 6, saltLength: salt })
}

export interface Extension {
  readonly id: string
  readonly critical: boolean
  readonly value: Buffer
}

export interface Tbs {
  readonly version: 1 | 3
  readonly serial: Buffer
  readonly issuer: Name
  readonly subject: Name
  readonly notBefore: number
  readonly notAfter: number
  /** GeneralizedTime where UTCTime is asked for. */
  readonly longTime?: boolean
  readonly keys: Keys
  readonly signer: Keys
  readonly sig: string
  readonly extensions: readonly Extension[]
  readonly over?: Over
}

/** Parts in DER that stand there in place of the usual ones. */
export interface Over {
  /** With its tag. */
  readonly version?: Buffer
  readonly algorithm?: Buffer
  /** Beside the signature; else as within. */
  readonly outer?: Buffer
  readonly validity?: Buffer
  /** After the key. */
  readonly identifiers?: Buffer
}

const timeOf = (at: number, isLong: boolean): Buffer => {
  const text = `${new Date(at).toISOString().slice(0, 19).replaceAll(/\D/g, '')}Z`
  return isLong || text >= '2050' ? der(0x18, text) : der(0x17, text.slice(2))
}

const TRUE = Buffer.from([1, 1, 255])
const extensionDer = ({ id, critical, value }: Extension): Buffer =>
  seq(oid(id), ...(critical ? [TRUE] : []), wrap(0x04, value))

const VERSION_3 = der(0xa0, der(0x02, Buffer.from([2])))

/** The certificate in DER. */
export function certificateDer(tbs: Tbs): Buffer {
  const { longTime = false, extensions, signer, sig, over = {} } = tbs
  const algorithm = over.algorithm ?? algorithmOf(signer, sig)
  const fields = seq(
    over.version ?? (tbs.version === 3 ? VERSION_3 : Buffer.alloc(0)),
    der(0x02, tbs.serial),
    algorithm,
    nameDer(tbs.issuer),
    over.validity ?? seq(timeOf(tbs.notBefore, longTime), timeOf(tbs.notAfter, longTime)),
    nameDer(tbs.subject),
    tbs.keys.spki,
    over.identifiers ?? Buffer.alloc(0),
    ...(tbs.version === 3 && extensions.length > 0 ? [wrap(0xa3, seq(...extensions.map(extensionDer)))] : []),
  )
  return seq(fields, over.outer ?? algorithm, der(0x03, Buffer.alloc(1), signed(fields, signer, sig)))
}

export const pemOf = (raw: Buffer): string =>
  `-----BEGIN CERTIFICATE-----\n${(raw.toString('base64').match(/.{1,64}/g) ?? []).join('\n')}\n-----END CERTIFICATE-----\n`

/** The key identifier of RFC 5280 section 4.2.1.2. */
export const keyId = ({ spki }: Keys): Buffer => createHash('sha1').update(spki).digest()

export const keyPem = (keys: Keys): string => {
  if (keys.privateKey === null) throw new Error(`a server cannot have a ${keys.type} key here`)
  // The certificate says it its own way; the server's key is the same.
  const pem = keys.privateKey.export({ type: 'pkcs8', format: 'pem' })
  return createPrivateKey(pem).export({ type: 'pkcs8', format: 'pem' }).toString()
}
