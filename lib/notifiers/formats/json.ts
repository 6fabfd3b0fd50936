import { createHmac } from 'node:crypto'
import type { AlertEvent } from '../../contracts.ts'
import type { Posted, Signing } from './posted.ts'

/**
 * The alert as it is. With a secret, `X-Iotda-Cert-Signature: t=SECONDS,v1=HEX` is the HMAC-SHA256 of
 * `SECONDS.BODY`, so that a receiver can tell it from others and from an old one that is sent again.
 */
export function json(alert: AlertEvent, { secret, now }: Signing): Posted {
  const body = JSON.stringify(alert)
  if (secret === null) return { headers: {}, query: {}, body }
  const seconds = Math.floor(now / 1_000)
  const signature = createHmac('sha256', secret.reveal()).update(`${seconds}.${body}`).digest('hex')
  return { headers: { 'x-iotda-cert-signature': `t=${seconds},v1=${signature}` }, query: {}, body }
}
