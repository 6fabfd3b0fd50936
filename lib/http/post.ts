import { RotationError } from '../base/rotation-error.ts'
import { SECOND_MS } from '../base/time.ts'
import { type ApiTerms, type Refusal, refused } from './api-call.ts'
import { type Http, HttpFailure } from './http.ts'

/** One message to a service that takes it by HTTP. */
export interface Post {
  readonly http: Http
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body: string
  readonly signal: AbortSignal
  readonly now: number
  /** Begins every message, e.g. `notifier chat (webhook)`. */
  readonly driver: string
  readonly hint: string
}

export const POST_TIMEOUT_MS = 10 * SECOND_MS

const refusalOf = (status: number, hint: string): Refusal => {
  if (status === 429) return { code: 'throttled', hint }
  return { code: status === 408 || status >= 500 ? 'unavailable' : 'service-refused', hint }
}

/**
 * Posts JSON; the text of a good answer. Messages never repeat the URL, which often is a secret, nor what was
 * answered. @throws RotationError `throttled` and `unavailable` (it may be tried again), `service-refused` (never)
 */
export async function postJson(post: Post): Promise<string> {
  const { http, url, headers = {}, body, signal, now, driver, hint } = post
  const answer = await http
    .request({
      method: 'POST',
      url,
      headers: { 'content-type': 'application/json; charset=utf-8', ...headers },
      body,
      timeoutMs: POST_TIMEOUT_MS,
      signal,
    })
    .catch(thrown => {
      const why = thrown instanceof HttpFailure ? ` (${thrown.reason})` : ''
      // Not as its cause: it names the address.
      throw new RotationError('unavailable', `${driver}: no answer${why}`, { hint })
    })
  const { status, text } = answer
  if (status >= 200 && status < 300) return text
  const terms: ApiTerms = { unansweredHint: () => hint, refused: () => `: answered ${status}` }
  throw refused(answer, refusalOf(status, hint), { call: driver, terms }, now)
}
