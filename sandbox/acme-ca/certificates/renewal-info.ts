import type { Answer, Call } from '../../kit/http.ts'
import {
  type Account,
  type Ca,
  type Certificate,
  isoTime,
  orderStatus,
  type RenewalOverride,
} from '../state.ts'
import { fail } from '../wire/problems.ts'

const RETRY_AFTER_SECONDS = 21_600
const MINUTE_MS = 60_000
const TEN_DAYS_MS = 10 * 24 * 60 * MINUTE_MS

/** Boulder's window: 2 % of the validity around a third (short ones: a half) before the end. */
export const defaultWindow = (ca: Ca, certificate: Certificate): { start: number; end: number } => {
  if (certificate.revoked) return { start: ca.now() - 60 * MINUTE_MS, end: ca.now() - 30 * MINUTE_MS }
  const validityMs = certificate.notAfter.getTime() + 1000 - certificate.notBefore.getTime()
  const centre = certificate.notAfter.getTime() - validityMs / (validityMs < TEN_DAYS_MS ? 2 : 3)
  return { start: centre - validityMs / 100, end: centre + validityMs / 100 }
}

const asText = (at: Date | string): string => (typeof at === 'string' ? at : isoTime(at.getTime()))

const overridden = (override: RenewalOverride): Answer => {
  if (override === 'error') throw fail('serverInternal', 500, 'Renewal information is not available')
  if (typeof override === 'string')
    return { status: 200, headers: { 'content-type': 'application/json' }, body: override }
  const { start, end, explanationURL, retryAfterSeconds = RETRY_AFTER_SECONDS } = override
  return {
    status: 200,
    headers: { 'retry-after': String(retryAfterSeconds) },
    body: {
      suggestedWindow: { start: asText(start), end: asText(end) },
      ...(explanationURL !== undefined && { explanationURL }),
    },
  }
}

const CERT_ID = /^[\w-]+\.[\w-]+$/

/** When to renew a certificate; a plain GET (RFC 9773 section 4.1). */
export function renewalInfo(ca: Ca, call: Call): Answer {
  const certId = call.params.certId ?? ''
  if (!CERT_ID.test(certId)) throw fail('malformed', 400, 'Path is not a certificate identifier')
  const override = ca.state.renewalOverrides.get(certId)
  if (override !== undefined) return overridden(override)
  const certificate = ca.state.certificates.find(c => c.certId === certId)
  if (!certificate) throw fail('malformed', 404, 'Certificate not found')
  const { start, end } = defaultWindow(ca, certificate)
  return overridden({ start: new Date(start), end: new Date(end) })
}

/** Checks the predecessor named by a newOrder (RFC 9773 section 5). */
export function checkReplaces(ca: Ca, account: Account, value: unknown, names: readonly string[]): string {
  if (typeof value !== 'string' || !CERT_ID.test(value))
    throw fail('malformed', 400, 'replaces is not a certificate identifier')
  const predecessor = ca.state.certificates.find(c => c.certId === value)
  if (!predecessor) throw fail('malformed', 404, 'replaces: no such certificate')
  if (predecessor.accountUrl !== account.url)
    throw fail('unauthorized', 403, 'replaces: the certificate belongs to another account')
  if (!names.some(name => predecessor.names.includes(name)))
    throw fail('malformed', 400, 'replaces: the certificate has no name in common with this order')
  const successor = ca.state.orders.find(o => o.replaces === value && orderStatus(o, ca.now()) !== 'invalid')
  if (successor) throw fail('alreadyReplaced', 409, `replaces: already replaced by order ${successor.id}`)
  return value
}
