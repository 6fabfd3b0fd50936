import type { X509Certificate } from 'node:crypto'
import { asRotationError } from '../base/rotation-error.ts'
import { DAY_MS, HOUR_MS, iso, MINUTE_MS, parseRetryAfter } from '../base/time.ts'
import type { Run } from '../contracts.ts'
import type { Http } from '../http/http.ts'
import type { Leaf, RenewalInfo } from '../model/certificate.ts'
import { certId } from '../x509/certificate.ts'
import { ask, jsonObject } from './protocol/transport.ts'

const UNUSABLE_RETRY_MS = 6 * HOUR_MS
const SOONEST_MS = MINUTE_MS
const LATEST_MS = DAY_MS

export interface RenewalInfoRequest {
  readonly http: Http
  /** The directory's `renewalInfo` URL. */
  readonly url: string
  readonly certificate: X509Certificate
  readonly leaf: Leaf
  readonly run: Run
}

const instant = (value: unknown): number => (typeof value === 'string' ? Date.parse(value) : Number.NaN)

const webUrl = (value: unknown): string | null =>
  typeof value === 'string' && URL.canParse(value) && /^https?:$/.test(new URL(value).protocol) ? value : null

/** No window; ask again when the CA says, or after 6 hours (RFC 9773 section 4.3.3). */
export function noRenewalInfo(leaf: Leaf, run: Run, retryAt: number | null = null): RenewalInfo {
  const nextFetchAt = askAgainAt(retryAt, run.clock.now())
  return { fingerprint: leaf.fingerprint, window: null, explanationUrl: null, nextFetchAt }
}

const askAgainAt = (retryAt: number | null, now: number): number =>
  now + Math.min(Math.max((retryAt ?? now + UNUSABLE_RETRY_MS) - now, SOONEST_MS), LATEST_MS)

const read = async (request: RenewalInfoRequest, id: string): Promise<RenewalInfo> => {
  const { http, run, leaf } = request
  const url = `${request.url.replace(/\/$/, '')}/${id}`
  const connection = { settings: 'renewal info', directoryUrl: request.url, http, run }
  const answer = await ask(connection, 'renewalInfo', { method: 'GET', url })
  const now = run.clock.now()
  const retryAt = parseRetryAfter(answer.headers['retry-after'], now)
  if (answer.status !== 200) {
    run.log.warn({ leaf: leaf.fingerprint }, `no renewal info: the CA answers ${answer.status}`)
    return noRenewalInfo(leaf, run, retryAt)
  }
  const body = jsonObject(connection, 'renewalInfo', answer.text)
  const suggested = (body.suggestedWindow ?? {}) as Readonly<Record<string, unknown>>
  const start = instant(suggested.start)
  const end = instant(suggested.end)
  if (!(end > start)) throw new Error('the CA gives no window')
  const explanationUrl = webUrl(body.explanationURL)
  // RFC 9773 section 4.2: an operator is to be shown why the window is not the usual one.
  if (explanationUrl)
    run.log.warn(
      { leaf: leaf.fingerprint, explanationUrl, start: iso(start), end: iso(end) },
      'the CA explains when it suggests to renew',
    )
  return {
    fingerprint: leaf.fingerprint,
    window: { start, end },
    explanationUrl,
    nextFetchAt: askAgainAt(retryAt, now),
  }
}

/**
 * The window in which the CA suggests to renew (RFC 9773 section 4): one plain GET, no account. `nextFetchAt`
 * is Retry-After within 1 minute and 1 day, that of an error included. An answer that cannot be used has no window
 * and is asked for again after 6 hours. Never throws.
 */
export async function fetchRenewalInfo(request: RenewalInfoRequest): Promise<RenewalInfo> {
  const { certificate, leaf, run } = request
  try {
    const id = certId(certificate)
    if (id === null) throw new Error('the certificate does not name its issuer’s key')
    return await read(request, id)
  } catch (thrown) {
    const { message } = asRotationError(thrown)
    run.log.warn({ leaf: leaf.fingerprint }, `no renewal info: ${message}`)
    return noRenewalInfo(leaf, run)
  }
}
