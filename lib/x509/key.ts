import { createPrivateKey, generateKeyPair, type KeyObject, type X509Certificate } from 'node:crypto'
import { promisify } from 'node:util'
import { RotationError } from '../base/errors.ts'
import { type Secret, secret } from '../base/secret.ts'
import type { KeyEncoding, KeyType } from '../model.ts'

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

// Without the cause: nothing that was near a key goes into an error.
const readKey = (privateKey: Secret): KeyObject => {
  try {
    return createPrivateKey(privateKey.reveal())
  } catch {
    throw new RotationError('certificate-invalid', 'the private key cannot be read', {
      hint: 'Give an unencrypted private key as PEM text.',
    })
  }
}

/**
 * A private key (PEM, unencrypted) as PEM in the encoding IoTDA is to be given: `pkcs1` is `RSA PRIVATE KEY`
 * (RFC 8017 appendix A.1.2), or SEC 1 `EC PRIVATE KEY` (RFC 5915) for an EC key.
 * @throws RotationError `certificate-invalid` when the key cannot be read or has no such encoding
 */
export function encodeKey(pkcs8: Secret, encoding: KeyEncoding): Secret {
  const key = readKey(pkcs8)
  if (encoding === 'pkcs8') return secret(key.export({ type: 'pkcs8', format: 'pem' }).toString())
  const type = key.asymmetricKeyType === 'rsa' ? 'pkcs1' : key.asymmetricKeyType === 'ec' ? 'sec1' : undefined
  if (type === undefined)
    throw new RotationError('certificate-invalid', `a ${key.asymmetricKeyType} key has no PKCS#1 encoding`, {
      hint: 'Use an RSA or EC key, or set keyEncoding to pkcs8.',
    })
  return secret(key.export({ type, format: 'pem' }).toString())
}

/** Whether the private key (PEM) is the certificate's. @throws RotationError `certificate-invalid` when unreadable */
export function keyFits(privateKey: Secret, certificate: X509Certificate): boolean {
  return certificate.checkPrivateKey(readKey(privateKey))
}
