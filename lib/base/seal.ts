import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { RotationError } from './rotation-error.ts'
import { type Secret, secret } from './secret.ts'

const VERSION = 'v1'
const KEY_BYTES = 32
const IV_BYTES = 12
const TAG_BYTES = 16

/** A new seal key: 32 random bytes, base64. */
export const newSealKey = (): Secret => secret(randomBytes(KEY_BYTES).toString('base64'))

/** Whether it is 32 bytes in base64. */
export const isSealKey = (sealKey: Secret): boolean => /^[A-Za-z0-9+/]{43}=?$/.test(sealKey.reveal().trim())

/** Its 32 bytes. @throws RotationError `settings-invalid` when it has not so many */
export const keyBytes = (sealKey: Secret): Buffer => {
  const key = Buffer.from(sealKey.reveal().trim(), 'base64')
  if (!isSealKey(sealKey) || key.length !== KEY_BYTES)
    throw new RotationError('settings-invalid', 'the seal key is not 32 bytes in base64', {
      retry: 'never',
      hint: 'Put back the one that the state was written with; only for a new store make one: openssl rand -base64 32',
    })
  return key
}

/** Names a key without telling anything about it: 8 hex digits. */
export const keyIdOf = (key: Buffer): string => createHash('sha256').update(key).digest('hex').slice(0, 8)

/** Whether a sealed text names this key as the one it was sealed with. */
export const isSealedWith = (sealKey: Secret, sealed: string): boolean =>
  sealed.split('.')[1] === keyIdOf(keyBytes(sealKey))

/**
 * Encrypts a text (AES-256-GCM) as `v1.<keyId>.<iv>.<ciphertext and tag>`, the last two in base64url. It opens
 * only with the same key and the same `context`, e.g. the key of the document it is kept in.
 * @throws RotationError `settings-invalid` when the seal key is not 32 bytes in base64
 */
export function seal(sealKey: Secret, plaintext: string, context: string): string {
  const key = keyBytes(sealKey)
  const iv = randomBytes(IV_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(context))
  const sealed = Buffer.concat([cipher.update(plaintext, 'utf8'), cipher.final(), cipher.getAuthTag()])
  return [VERSION, keyIdOf(key), iv.toString('base64url'), sealed.toString('base64url')].join('.')
}

const unreadable = (context: string, why: string, hint: string): RotationError =>
  new RotationError('store-unreadable', `the sealed part of ${context} cannot be opened: ${why}`, {
    retry: 'never',
    hint,
  })

const RESTORE = 'Restore the document from a backup, or remove it so that it is made anew.'

/**
 * The text that {@link seal} encrypted. @throws RotationError `store-unreadable` when the key or the context is
 * another one or the text was changed, `settings-invalid` when the seal key is not 32 bytes in base64
 */
export function unseal(sealKey: Secret, sealed: string, context: string): Secret {
  const key = keyBytes(sealKey)
  const [version, keyId, ivText, dataText, ...rest] = sealed.split('.')
  const iv = Buffer.from(ivText ?? '', 'base64url')
  const data = Buffer.from(dataText ?? '', 'base64url')
  if (
    version !== VERSION ||
    rest.length > 0 ||
    !/^[0-9a-f]{8}$/.test(keyId ?? '') ||
    iv.length !== IV_BYTES ||
    data.length < TAG_BYTES
  )
    throw unreadable(context, 'it is no sealed text of version 1', RESTORE)
  if (keyId !== keyIdOf(key))
    throw unreadable(
      context,
      `it was sealed with the key ${keyId}, and the seal key is ${keyIdOf(key)}`,
      'The seal key differs from the one the state was written with: put that one back.',
    )
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, iv, { authTagLength: TAG_BYTES })
      .setAAD(Buffer.from(context))
      .setAuthTag(data.subarray(-TAG_BYTES))
    return secret(decipher.update(data.subarray(0, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8'))
  } catch {
    throw unreadable(context, 'it was changed, or belongs to another document', RESTORE)
  }
}
