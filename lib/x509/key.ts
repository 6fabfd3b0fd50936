import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
  randomInt,
  type X509Certificate,
} from 'node:crypto'
import { promisify } from 'node:util'
import { RotationError } from '../base/rotation-error.ts'
import { type Secret, secret } from '../base/secret.ts'
import type { KeyType } from '../model/certificate.ts'
import type { KeyEncoding } from '../model/target.ts'

const generate = promisify(generateKeyPair)

/** A new private key as PKCS#8 PEM (RFC 5958). Made off the main thread; RSA takes up to seconds. */
export async function generateKey(keyType: KeyType): Promise<string> {
  const [family, bits] = keyType.split('-')
  const { privateKey } =
    family === 'rsa'
      ? await generate('rsa', { modulusLength: Number(bits) })
      : await generate('ec', { namedCurve: `P-${bits}` })
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
}

/** SHA-256 of the public key (SubjectPublicKeyInfo) in base64, as clients pin it (RFC 7469 section 2.4). @throws RotationError */
export const spkiHash = (privateKey: Secret): string =>
  createHash('sha256')
    .update(createPublicKey(readKey(privateKey)).export({ type: 'spki', format: 'der' }))
    .digest('base64')

const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const PASSPHRASE_LENGTH = 48

/** A new passphrase: letters only and fewer than 64, which is what IoTDA's `private_key_password` takes. */
export const newPassphrase = (): Secret =>
  secret(Array.from({ length: PASSPHRASE_LENGTH }, () => LETTERS[randomInt(LETTERS.length)]).join(''))

// Without the cause: nothing that was near a key goes into an error.
const unreadable = (why: string, hint: string): RotationError =>
  new RotationError('certificate-invalid', why, { retry: 'never', hint })

const readKey = (privateKey: Secret): KeyObject => {
  try {
    return createPrivateKey(privateKey.reveal())
  } catch {
    throw unreadable('the private key cannot be read', 'Give an unencrypted private key as PEM text.')
  }
}

const KEY_BEGIN = /-----BEGIN ((?:[A-Z0-9]+ )*PRIVATE KEY)-----/
/** The first key in a PEM text. */
function keyBlockIn(pem: string): string | null {
  const begin = KEY_BEGIN.exec(pem)
  const end = `-----END ${begin?.[1]}-----`
  const endsAt = begin ? pem.indexOf(end, begin.index) : -1
  return begin && endsAt >= 0 ? pem.slice(begin.index, endsAt + end.length) : null
}
/** RFC 5958 section 3, and what OpenSSL wrote before it (RFC 1421 section 4.6.1.1). */
const ENCRYPTED = /^-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m

/**
 * A private key from elsewhere (PEM; PKCS#8, PKCS#1 or SEC 1, encrypted or not) as plain PKCS#8 PEM. A password for
 * a key that is not encrypted is not used.
 * @throws RotationError `certificate-invalid` when there is no key, or the password is missing or another
 */
export function openKey(pem: Secret, password: Secret | null): Secret {
  const block = keyBlockIn(pem.reveal())
  if (block === null)
    throw unreadable('there is no private key in it', 'Give a private key as PEM text, PKCS#8 for choice.')
  const isEncrypted = ENCRYPTED.test(block)
  if (isEncrypted && password === null)
    throw unreadable('the private key is encrypted, and there is no password', 'Give its password as well.')
  try {
    const passphrase = isEncrypted && password ? { passphrase: password.reveal() } : {}
    const key = createPrivateKey({ key: block, ...passphrase })
    return secret(key.export({ type: 'pkcs8', format: 'pem' }).toString())
  } catch {
    throw isEncrypted
      ? unreadable('the password does not open the private key', 'Give the password of exactly this key.')
      : unreadable('the private key cannot be read', 'Give a private key as PEM text, PKCS#8 for choice.')
  }
}

/** A private key as IoTDA is given it: PEM, and the password that opens it or null. */
export interface EncodedKey {
  readonly privateKey: Secret
  readonly password: Secret | null
}

/**
 * A private key (PEM, unencrypted) as PEM in the encoding IoTDA is to be given: `pkcs1` is `RSA PRIVATE KEY`
 * (RFC 8017 appendix A.1.2), or SEC 1 `EC PRIVATE KEY` (RFC 5915) for an EC key; `encrypted-pkcs8` is
 * `ENCRYPTED PRIVATE KEY` (RFC 5958 section 3; PBES2 with AES-256), each time with a new password.
 * @throws RotationError `certificate-invalid` when the key cannot be read or has no such encoding
 */
export function encodeKey(pkcs8: Secret, encoding: KeyEncoding): EncodedKey {
  const key = readKey(pkcs8)
  const plain = (type: 'pkcs1' | 'pkcs8' | 'sec1'): EncodedKey => ({
    privateKey: secret(key.export({ type: type as 'pkcs8', format: 'pem' }).toString()),
    password: null,
  })
  if (encoding === 'pkcs8') return plain('pkcs8')
  if (encoding === 'encrypted-pkcs8') {
    const password = newPassphrase()
    const sealed = { cipher: 'aes-256-cbc', passphrase: password.reveal() }
    const text = key.export({ type: 'pkcs8', format: 'pem', ...sealed })
    return { privateKey: secret(text.toString()), password }
  }
  const type = key.asymmetricKeyType === 'rsa' ? 'pkcs1' : key.asymmetricKeyType === 'ec' ? 'sec1' : undefined
  if (type === undefined)
    throw new RotationError('certificate-invalid', `a ${key.asymmetricKeyType} key has no PKCS#1 encoding`, {
      hint: 'Use an RSA or EC key, or set keyEncoding to pkcs8.',
    })
  return plain(type)
}

/** Whether the private key (PEM) is the certificate's. @throws RotationError `certificate-invalid` when unreadable */
export function keyFits(privateKey: Secret, certificate: X509Certificate): boolean {
  return certificate.checkPrivateKey(readKey(privateKey))
}
