import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { type KeyEncoding, Refused, type Switches } from './switches.ts'

/** What the platform knows about an uploaded certificate. */
export interface Material {
  /** As uploaded. */
  readonly certificatePem: string
  readonly leafPem: string
  /** PKCS#8, whatever was uploaded. */
  readonly keyPem: string
  readonly commonName: string | null
  readonly effectiveDate: string
  readonly expiryDate: string
  readonly owner: string
  readonly issuer: string
  /** Lower-case hex SHA-256 of the leaf's DER. */
  readonly fingerprint: string
}

export type MaterialSwitches = Pick<
  Switches,
  'chainOrder' | 'blankLines' | 'keyEncodings' | 'keyAlgorithms' | 'withoutCommonName'
>

const encodings: Readonly<Record<string, KeyEncoding>> = {
  'RSA PRIVATE KEY': 'pkcs1',
  'PRIVATE KEY': 'pkcs8',
  'EC PRIVATE KEY': 'sec1',
  'ENCRYPTED PRIVATE KEY': 'pkcs8-encrypted',
}

const block = /-----BEGIN ([A-Z0-9 ]+)-----[\s\S]*?-----END \1-----/g

const parseChain = (pem: string): readonly X509Certificate[] => {
  const blocks = [...pem.matchAll(block)]
  if (blocks.length === 0) throw new Refused('certificate', 'no PEM block')
  if (pem.replace(block, '').trim() !== '') throw new Refused('certificate', 'text outside the PEM blocks')
  return blocks.map(([text, label]) => {
    if (label !== 'CERTIFICATE') throw new Refused('certificate', `unexpected block ${label}`)
    try {
      return new X509Certificate(text)
    } catch {
      throw new Refused('certificate', 'a block is not an X.509 certificate')
    }
  })
}

const checkOrder = (chain: readonly X509Certificate[]): void => {
  for (const [i, issuer] of chain.entries()) {
    const subject = chain[i - 1]
    if (subject && !(subject.checkIssued(issuer) && subject.verify(issuer.publicKey)))
      throw new Refused('certificate', `certificate ${i} did not issue certificate ${i - 1}`)
  }
}

const parseKey = (pem: string, password: string | undefined, switches: MaterialSwitches): KeyObject => {
  const label = [...pem.matchAll(block)].map(found => found[1] ?? '').find(name => name.endsWith('KEY'))
  const encoding = encodings[label ?? '']
  if (!encoding) throw new Refused('key', 'no private key block')
  if (!switches.keyEncodings.includes(encoding)) throw new Refused('key', `${encoding} is not accepted`)
  const encrypted = encoding === 'pkcs8-encrypted' || /^Proc-Type: 4,ENCRYPTED/m.test(pem)
  if (encrypted && password === undefined) throw new Refused('password', 'the key is encrypted')
  let key: KeyObject
  try {
    key = createPrivateKey({
      key: pem,
      ...(encrypted && password !== undefined ? { passphrase: password } : {}),
    })
  } catch {
    throw new Refused(encrypted ? 'password' : 'key', 'the key cannot be read')
  }
  const algorithm = key.asymmetricKeyType
  if (!switches.keyAlgorithms.some(accepted => accepted === algorithm))
    throw new Refused('key', `${algorithm} is not accepted`)
  return key
}

/** `yyyyMMdd'T'HHmmss'Z'`, from OpenSSL's `Oct  8 13:21:37 2022 GMT`. */
const platformDate = (text: string): string => new Date(text).toISOString().replace(/[-:]|\.\d{3}/g, '')

/** `CN=..., O=..., C=...`: the most specific name first. */
const distinguishedName = (lines: string | undefined): string =>
  (lines ?? '').split('\n').filter(Boolean).reverse().join(', ')

/**
 * Judges an upload as the platform would.
 * https://support.huaweicloud.com/intl/en-us/api-iothub/CreateServerCertificate.html
 */
export function parseMaterial(
  upload: { readonly certificatePem: string; readonly privateKey: string; readonly password?: string },
  switches: MaterialSwitches,
): Material {
  const { certificatePem, privateKey, password } = upload
  if (switches.blankLines === 'refuse' && /-----\r?\n[ \t]*\r?\n-----BEGIN/.test(certificatePem))
    throw new Refused('certificate', 'blank line between the blocks')
  const chain = parseChain(certificatePem)
  const [leaf] = chain
  if (!leaf) throw new Refused('certificate')
  if (switches.chainOrder === 'strict') checkOrder(chain)
  const key = parseKey(privateKey, password, switches)
  if (!leaf.checkPrivateKey(key)) throw new Refused('key-mismatch')
  const commonName = /^CN=(.*)$/m.exec(leaf.subject ?? '')?.[1] ?? null
  if (commonName === null && switches.withoutCommonName === 'refuse') throw new Refused('no-common-name')
  return {
    certificatePem,
    leafPem: leaf.toString(),
    keyPem: key.export({ type: 'pkcs8', format: 'pem' }) as string,
    commonName,
    effectiveDate: platformDate(leaf.validFrom),
    expiryDate: platformDate(leaf.validTo),
    owner: distinguishedName(leaf.subject),
    issuer: distinguishedName(leaf.issuer),
    fingerprint: leaf.fingerprint256.replaceAll(':', '').toLowerCase(),
  }
}
