import { RotationError } from '../base/rotation-error.ts'
import { parseRetryAfter, SECOND_MS } from '../base/time.ts'
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
  if (answer.status >= 200 && answer.status < 300) return answer.text
  const retryAt = parseRetryAfter(answer.headers['retry-after'], now)
  const passes = answer.status === 408 || answer.status === 429 || answer.status >= 500
  const code = answer.status === 429 ? 'throttled' : passes ? 'unavailable' : 'service-refused'
  throw new RotationError(code, `${driver}: answered ${answer.status}`, {
    retry: passes ? 'later' : 'never',
    hint,
    ...(retryAt === null ? {} : { retryAt }),
  })
}
