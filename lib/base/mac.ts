import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'
import { keyBytes, keyIdOf } from './seal.ts'
import type { Secret } from './secret.ts'

const VERSION = 'v1'
const PURPOSE = 'iotda-cert MAC of state v1'
/** `v1.<keyId>.<MAC in base64url>`. */
export const MAC = /^v1\.([0-9a-f]{8})\.[A-Za-z0-9_-]{43}$/

/** The seal key itself only encrypts. https://www.rfc-editor.org/rfc/rfc5869 */
const derived = (key: Buffer): Buffer => Buffer.from(hkdfSync('sha256', key, '', PURPOSE, 32))

/**
 * A MAC (HMAC-SHA-256) of a text and of what it belongs to, under a key derived from a seal key.
 * @throws RotationError `settings-invalid` when the seal key is not 32 bytes in base64
 */
export function macOf(sealKey: Secret, context: readonly string[], text: string): string {
  const key = keyBytes(sealKey)
  const mac = createHmac('sha256', derived(key)).update(`${JSON.stringify(context)}\n${text}`)
  return `${VERSION}.${keyIdOf(key)}.${mac.digest('base64url')}`
}

/** Whether {@link macOf} gives this MAC, told in constant time. */
export function isMacOf(sealKey: Secret, mac: string, context: readonly string[], text: string): boolean {
  const [given, right] = [mac, macOf(sealKey, context, text)].map(it => Buffer.from(it))
  return (
    given !== undefined &&
    right !== undefined &&
    given.length === right.length &&
    timingSafeEqual(given, right)
  )
}

/** Whether a MAC names this key as the one it was made with. */
export const isMacWith = (sealKey: Secret, mac: string): boolean =>
  MAC.exec(mac)?.[1] === keyIdOf(keyBytes(sealKey))
