import { createHmac } from 'node:crypto'
import { type Secret, secret } from '../base/secret.ts'
import { iso } from '../base/time.ts'

/**
 * A device that connects only to prove that devices can: what it says in CONNECT, or the id and secret of a
 * device of IoTDA, from which that is computed.
 */
export type Canary =
  | { readonly clientId: string; readonly username: string; readonly password: Secret }
  | { readonly deviceId: string; readonly secret: Secret }

/** What goes into CONNECT. */
export interface Credentials {
  readonly clientId: string
  readonly username: string
  readonly password: Secret
}

/**
 * What a canary says at an instant. For a device of IoTDA: client id `{device id}_0_0_{YYYYMMDDHH}`, where the
 * first 0 says "by device id" and the second "the time is not checked"; the password is the HMAC-SHA256 of the
 * secret under that time (UTC), in hex. https://support.huaweicloud.com/intl/en-us/api-iothub/iot_06_v5_3009.html
 */
export function credentialsOf(canary: Canary, at: number): Credentials {
  if ('clientId' in canary) return canary
  const { deviceId } = canary
  const hour = iso(at).slice(0, 13).replaceAll(/\D/g, '')
  const password = createHmac('sha256', hour).update(canary.secret.reveal()).digest('hex')
  return { clientId: `${deviceId}_0_0_${hour}`, username: deviceId, password: secret(password) }
}
