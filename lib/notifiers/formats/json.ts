import { createHmac } from 'node:crypto'
import type { Format } from './format.ts'

/**
 * The alert as it is. With a secret, `X-Iotda-Cert-Signature: t=SECONDS,v1=HEX` is the HMAC-SHA256 of
 * `SECONDS.BODY`, so that a receiver can tell it from others and from an old one that is sent again.
 */
export const json: Format = {
  requestFor: (alert, { secret, now }) => {
    if (secret === null) return { body: alert }
    const seconds = Math.floor(now / 1_000)
    const signed = `${seconds}.${JSON.stringify(alert)}`
    const signature = createHmac('sha256', secret.reveal()).update(signed).digest('hex')
    return { headers: { 'x-iotda-cert-signature': `t=${seconds},v1=${signature}` }, body: alert }
  },
}
