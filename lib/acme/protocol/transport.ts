import { RotationError } from '../../base/rotation-error.ts'
import { SECOND_MS } from '../../base/time.ts'
import type { Run } from '../../contracts.ts'
import { parseJson, tooMany, unanswered } from '../../http/api-call.ts'
import { type Http, HttpFailure, type HttpRequest, type HttpResponse } from '../../http/http.ts'
import { refusal, termsOf } from './problem.ts'
import { requireWhereabouts } from './whereabouts.ts'

/** Let's Encrypt's for what every order begins with; other CAs document none. https://letsencrypt.org/docs/rate-limits/ */
export const CA_LIMIT = { perSecond: 20, burst: 10 }

const REQUEST_TIMEOUT_MS = 30 * SECOND_MS
const REDIRECTS_AT_MOST = 3
/** How often one request is signed again with another nonce. */
export const MAX_BAD_NONCES = 10

/** One CA as seen by one run. */
export interface AcmeConnection {
  /** Path of the source in the settings, for messages, e.g. `sources.letsencrypt`. */
  readonly settings: string
  readonly directoryUrl: string
  /** Whether the settings trust roots of their own for it. */
  readonly isPrivate?: boolean
  readonly http: Http
  readonly run: Run
}

const outOfTime = (settings: string, call: string, cause?: unknown): RotationError =>
  new RotationError('out-of-time', `${settings}: ${call}: the run has no time left`, { cause, retry: 'now' })

const failed = ({ settings, run }: AcmeConnection, call: string, failure: HttpFailure, hurried: boolean) => {
  const isTimeout = failure.reason === 'timeout'
  const late = run.clock.now() >= run.deadline || (hurried && isTimeout)
  if (run.signal.aborted || late) return outOfTime(settings, call, failure)
  // Even one that was not sent: the CA is there, and slow.
  if (isTimeout)
    return new RotationError('unavailable', `${settings}: ${call}: ${failure.message}`, { cause: failure })
  return unanswered(failure, { call: `${settings}: ${call}`, terms: termsOf(settings) })
}

type Asked = Pick<HttpRequest, 'method' | 'url' | 'headers' | 'body'>

/** Where an answer redirects to; never from HTTPS to anything less. */
export const movedTo = ({ status, headers }: HttpResponse, url: string): string | null => {
  const { location } = headers
  if (![301, 302, 303, 307, 308].includes(status) || location === undefined || !URL.canParse(location, url))
    return null
  const target = new URL(location, url)
  return target.protocol === 'https:' || target.protocol === new URL(url).protocol ? target.href : null
}

/**
 * One request within the run's time. Any answer is returned, whatever its status; redirects of GET and HEAD are
 * followed, three at most. A signed request names its URL (RFC 8555 section 6.4) and cannot be redirected.
 * @throws RotationError `unreachable`, `unavailable` (no whole answer), `out-of-time`
 */
export async function ask(connection: AcmeConnection, call: string, request: Asked): Promise<HttpResponse> {
  let { url } = request
  for (let redirects = 0; ; redirects += 1) {
    const answer = await askOnce(connection, call, { ...request, url })
    const target = request.method === 'POST' ? null : movedTo(answer, url)
    if (target === null || redirects === REDIRECTS_AT_MOST) return answer
    connection.run.log.warn(
      { call, from: url, to: target },
      `${connection.settings}: ${call} has moved to ${target}`,
    )
    url = target
  }
}

/** Refused for the rate of requests. What newOrder and newAccount are refused for is a limit on certificates. */
const isTooFast = ({ status, headers }: HttpResponse, call: string): boolean =>
  (status === 503 && headers['retry-after'] !== undefined) ||
  (status === 429 && call !== 'newOrder' && call !== 'newAccount')

const askOnce = async (connection: AcmeConnection, call: string, request: Asked): Promise<HttpResponse> => {
  const { http, run, settings } = connection
  const leftMs = run.deadline - run.clock.now()
  if (run.signal.aborted || leftMs <= 0) throw outOfTime(settings, call, run.signal.reason)
  const mayConnect = requireWhereabouts(connection, call, request.url)
  try {
    const answer = await http.request({
      ...request,
      mayConnect,
      // Problem documents are for people, in the language of all other messages (RFC 8555 section 6.1).
      headers: { 'accept-language': 'en', ...request.headers },
      timeoutMs: Math.min(REQUEST_TIMEOUT_MS, leftMs),
      signal: run.signal,
    })
    if (isTooFast(answer, call)) tooMany(http, answer, run.clock.now())
    return answer
  } catch (thrown) {
    if (!(thrown instanceof HttpFailure)) throw thrown
    throw failed(connection, call, thrown, leftMs < REQUEST_TIMEOUT_MS)
  }
}

/** Sleeps within a run. @throws RotationError `out-of-time` when the run is aborted meanwhile */
export async function pause(connection: AcmeConnection, durationMs: number, what: string): Promise<void> {
  const { clock, signal } = connection.run
  try {
    await clock.sleep(durationMs, signal)
  } catch (thrown) {
    throw signal.aborted ? outOfTime(connection.settings, what, thrown) : thrown
  }
}

/** A JSON object out of an answer. @throws RotationError `unavailable` when it is something else */
export function jsonObject(connection: AcmeConnection, call: string, text: string): Record<string, unknown> {
  const value = parseJson(text)
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>
  throw new RotationError('unavailable', `${connection.settings}: ${call}: the answer cannot be read`, {
    hint: `Check that ${connection.settings}.directory is the URL of an ACME directory.`,
  })
}

/** What acme-client expects of its HTTP layer. */
export interface AcmeAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** The JSON object, PEM text, or an empty object when there is no body. */
  readonly data: unknown
}

/** URLs of one relation in a Link header (RFC 8288 section 3), against the URL that was asked. */
export function linksOf(header: string | undefined, relation: string, base: string): readonly string[] {
  const found: string[] = []
  const text = header ?? ''
  for (let at = text.indexOf('<'); at >= 0; at = text.indexOf('<', at)) {
    const end = text.indexOf('>', at)
    if (end < 0) break
    const target = text.slice(at + 1, end)
    let rel: string | null = null
    PARAMETER.lastIndex = end + 1
    for (let one = PARAMETER.exec(text); one !== null; one = PARAMETER.exec(text)) {
      at = PARAMETER.lastIndex
      if (one[1]?.toLowerCase() === 'rel') rel ??= one[2] ?? one[3] ?? ''
    }
    at = Math.max(at, end)
    const isOf = rel?.toLowerCase().split(/\s+/).includes(relation) ?? false
    if (isOf && URL.canParse(target, base)) found.push(new URL(target, base).href)
  }
  return found
}

/** `; name="value"`; nothing in it can be read in two ways, since the header is somebody else's. */
const PARAMETER = /\s*;\s*([\w*-]+)\s*=\s*(?:"([^"]*)"|([^",;\s]*))/y

/** Where something new is may be said from where it was asked for (RFC 9110 section 10.2.2); what is no URL is left out. */
const withPlace = ({ location, ...rest }: HttpResponse['headers'], url: string): HttpResponse['headers'] =>
  location !== undefined && URL.canParse(location, url)
    ? { ...rest, location: new URL(location, url).href }
    : rest

const dataOf = (connection: AcmeConnection, call: string, method: string, text: string): unknown => {
  if (method === 'HEAD' || text.trim() === '') return {}
  return text.trimStart().startsWith('-----BEGIN ') ? text : jsonObject(connection, call, text)
}

/**
 * The transport of one client in one run: nonces are kept per client (RFC 8555 section 6.5), a refused one is
 * given back to acme-client to sign again. `nameOf` tells what a URL is called in messages.
 */
export function createTransport(connection: AcmeConnection, nameOf: (url: string) => string) {
  const { run, settings } = connection
  const nonces: string[] = []
  let badNonces = 0

  const isBadNonce = (method: string, answer: HttpResponse): boolean =>
    method === 'POST' && answer.status === 400 && answer.text.includes('urn:ietf:params:acme:error:badNonce')

  return {
    /** Those that earlier answers brought and nobody has used. */
    nonces,
    /** Stands in for acme-client's `http.request`. @throws RotationError, except for a nonce that can be replaced */
    request: async (
      url: string,
      verb: string,
      options: { readonly data?: unknown } = {},
    ): Promise<AcmeAnswer> => {
      const method = verb.toUpperCase() as HttpRequest['method']
      const call = nameOf(url)
      const answer = await ask(connection, call, {
        method,
        url,
        ...(options.data !== undefined && {
          headers: { 'content-type': 'application/jose+json' },
          body: JSON.stringify(options.data),
        }),
      })
      run.log.debug({ call, method, status: answer.status }, 'request to the CA')
      if (isBadNonce(method, answer) && badNonces < MAX_BAD_NONCES) {
        badNonces += 1
        // Not kept: acme-client takes this answer's nonce for its next try.
        return { status: 400, headers: answer.headers, data: jsonObject(connection, call, answer.text) }
      }
      badNonces = 0
      const nonce = answer.headers['replay-nonce']
      if (nonce && method === 'POST') nonces.push(nonce)
      if (answer.status >= 300) throw refusal(settings, call, url, answer, run.clock.now())
      return {
        status: answer.status,
        headers: withPlace(answer.headers, url),
        data: dataOf(connection, call, method, answer.text),
      }
    },
  }
}
