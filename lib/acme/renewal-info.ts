import { X509Certificate } from 'node:crypto'
import { asRotationError } from '../base/rotation-error.ts'
import { DAY_MS, HOUR_MS, iso, MINUTE_MS, parseRetryAfter } from '../base/time.ts'
import type { Run, SourceMemory } from '../contracts.ts'
import type { Leaf, RenewalInfo } from '../model/certificate.ts'
import { certId } from '../x509/certificate.ts'
import { loadDirectory, resourceUrl } from './protocol/directory.ts'
import { type AcmeConnection, ask, jsonObject } from './protocol/transport.ts'

const UNUSABLE_RETRY_MS = 6 * HOUR_MS
const SOONEST_MS = MINUTE_MS
const LATEST_MS = DAY_MS

/** What a CA answers to the identifier of a certificate that it did not issue. */
const STRANGER: readonly number[] = [400, 404]

const instant = (value: unknown): number => (typeof value === 'string' ? Date.parse(value) : Number.NaN)

const webUrl = (value: unknown): string | null =>
  typeof value === 'string' && URL.canParse(value) && /^https?:$/.test(new URL(value).protocol) ? value : null

const nextFetchAt = (retryAt: number | null, now: number): number =>
  now + Math.min(Math.max((retryAt ?? now + UNUSABLE_RETRY_MS) - now, SOONEST_MS), LATEST_MS)

/** No window; ask again when the CA says, or after 6 hours (RFC 9773 section 4.3.3). */
const noWindow = ({ fingerprint }: Leaf, run: Run, why: string, retryAt: number | null): RenewalInfo => {
  run.log.warn({ leaf: fingerprint }, `no renewal info: ${why}`)
  const next = nextFetchAt(retryAt, run.clock.now())
  return { fingerprint, window: null, explanationUrl: null, nextFetchAt: next }
}

const read = async (connection: AcmeConnection, url: string, leaf: Leaf): Promise<RenewalInfo> => {
  const { run } = connection
  const answer = await ask(connection, 'renewalInfo', { method: 'GET', url })
  const now = run.clock.now()
  const retryAt = parseRetryAfter(answer.headers['retry-after'], now)
  if (answer.status !== 200) {
    const info = noWindow(leaf, run, `the CA answers ${answer.status}`, retryAt)
    return STRANGER.includes(answer.status) ? { ...info, isUnknown: true } : info
  }
  const body = jsonObject(connection, 'renewalInfo', answer.text)
  const suggested = (body.suggestedWindow ?? {}) as Readonly<Record<string, unknown>>
  const window = { start: instant(suggested.start), end: instant(suggested.end) }
  if (!(window.end > window.start)) throw new Error('the CA gives no window')
  const { fingerprint } = leaf
  const explanationUrl = webUrl(body.explanationURL)
  // RFC 9773 section 4.2: an operator is to be shown why the window is not the usual one.
  if (explanationUrl)
    run.log.warn(
      { leaf: fingerprint, explanationUrl, start: iso(window.start), end: iso(window.end) },
      'the CA explains when it suggests to renew',
    )
  return { fingerprint, window, explanationUrl, nextFetchAt: nextFetchAt(retryAt, now) }
}

/**
 * The window in which the CA suggests to renew (RFC 9773 section 4): one plain GET, no account; null when its
 * directory has no such service. `nextFetchAt` is Retry-After within 1 minute and 1 day, that of an error included. An
 * answer that cannot be used has no window and is asked for again after 6 hours. Never throws.
 */
export async function fetchRenewalInfo(
  connection: AcmeConnection,
  memory: SourceMemory,
  leafPem: string,
  leaf: Leaf,
): Promise<RenewalInfo | null> {
  try {
    const base = resourceUrl(await loadDirectory(connection, memory), 'renewalInfo')
    if (base === null) return null
    const id = certId(new X509Certificate(leafPem))
    if (id === null) throw new Error('the certificate does not name its issuer’s key')
    const url = `${base.replace(/\/$/, '')}/${id}`
    return await read({ ...connection, settings: 'renewal info' }, url, leaf)
  } catch (thrown) {
    return noWindow(leaf, connection.run, asRotationError(thrown).message, null)
  }
}
