import * as v from 'valibot'
import { isDeeperThan } from '../base/deep.ts'
import {
  asRotationError,
  type Retry,
  RotationError,
  type RotationErrorOptions,
} from '../base/rotation-error.ts'
import { stopped } from '../base/stopped.ts'
import { type Clock, parseRetryAfter } from '../base/time.ts'
import type { ErrorCode } from '../model/errors.ts'
import { CHECK_PROXY, type Http, HttpFailure, type HttpRequest, type HttpResponse } from './http.ts'

/** What it means that an API refused a call. All that an API says for itself. */
export interface Refusal {
  readonly code: ErrorCode
  /** Default: `later` for `throttled`, the API's own for `unavailable`, else `never`. */
  readonly retry?: Retry
  readonly hint?: string | null
  /** The API's own code. */
  readonly serviceCode?: string | null
  /** The API's own words as they came; they are quoted. Default: it has none. */
  readonly message?: string | null
  /** Goes on after the API's own words, in ours. */
  readonly note?: string
  /** The API's name for this request. */
  readonly requestId?: string | null
  /** Default: what Retry-After says. */
  readonly retryAt?: number | null
  /** Default: a {@link ServiceError}. */
  readonly cause?: unknown
}

/** What an API said when it refused a call: the cause of the RotationError. Holds no secret. */
export interface ServiceError {
  readonly status: number
  /** The API's own code. */
  readonly code: string | null
  /** Its own words, as they are quoted. */
  readonly message: string
}

/** How one API is spoken of in messages. */
export interface ApiTerms {
  /** Says what to do when no answer came; a proxy has its own hint. */
  readonly unansweredHint: (failure: HttpFailure) => string | null
  /** Goes on after the call when no answer came. Default: `: ` and the words of the failure. */
  readonly unanswered?: (failure: HttpFailure) => string
  /** When to call again after what is `unavailable`. Default `later`. */
  readonly unavailableRetry?: Retry
  /** Goes on after the call when its signal was aborted. Default: `: the run was stopped`. */
  readonly stopped?: string
  /** Goes on after the call when it was refused. Default: ` answered HTTP 404 CODE: words`. */
  readonly refused?: (status: number, serviceCode: string | null, quoted: string) => string
  /** Of the API's own words. Default 300. */
  readonly quotedChars?: number
  /** Ends words that were cut off. Default: nothing. */
  readonly cutOff?: string
}

/** One call, as far as errors need it. */
export interface Called {
  /** Begins every message: who calls what, e.g. `solver dns (cloudflare): ListZones`. */
  readonly call: string
  readonly terms: ApiTerms
  /** Whether it may have changed something: then a failure says that nobody knows. Default: no. */
  readonly changes?: boolean
  /** What must not be shown, though the API may repeat it. */
  readonly secrets?: readonly string[]
  /**
   * The body of the request holds a secret, which whoever refuses it may repeat in part or in another form. So
   * nothing of the answer is shown but its status, the API's code and the id of the request. Default: no.
   */
  readonly isConfidential?: boolean
  readonly signal?: AbortSignal | undefined
}

export interface ApiCall extends Called {
  readonly http: Http
  readonly clock: Pick<Clock, 'now'>
  readonly request: Omit<HttpRequest, 'signal'>
  /** Null: it is a success. `json` is null for an empty body and undefined for one that is no JSON. */
  readonly refusalOf: (answer: HttpResponse, json: unknown) => Refusal | null
}

const QUOTED_CHARS = 300
const CODE_CHARS = 128
/** Of a code or an id beside a body that holds a secret: long enough for any UUID. */
const WORD_CHARS = 36
/** Of somebody's words, before they are searched for secrets. */
const HEEDED_CHARS = 8_192
/** So much of a secret is as good as one. */
const FRAGMENT_CHARS = 12
const UNCERTAIN = '; it is unknown whether it took effect'

/** For {@link ApiTerms.unanswered}: says whether the call was sent, where that decides what may be done next. */
export const sentOrNot = ({ sent, message }: HttpFailure): string =>
  `${sent ? ' got no answer' : ' could not be sent'}: ${message}`

/** Where a text repeats a part of a secret; both are walked through once. */
function fragmentsIn(text: string, it: string): readonly (readonly [from: number, to: number])[] {
  const parts = new Set<string>()
  for (let at = 0; at + FRAGMENT_CHARS <= it.length; at += 1) parts.add(it.slice(at, at + FRAGMENT_CHARS))
  const found: [number, number][] = []
  for (let at = 0; parts.size > 0 && at + FRAGMENT_CHARS <= text.length; at += 1) {
    if (!parts.has(text.slice(at, at + FRAGMENT_CHARS))) continue
    const last = found.at(-1)
    if (last && at <= last[1]) last[1] = at + FRAGMENT_CHARS
    else found.push([at, at + FRAGMENT_CHARS])
  }
  return found
}

const MASK = '[secret]'

/** A text without a secret, and without any longer part of it. */
const masked = (text: string, it: string): string =>
  fragmentsIn(text, it)
    .toReversed()
    .reduce((left, [from, to]) => `${left.slice(0, from)}${MASK}${left.slice(to)}`, text)
    .replaceAll(it, MASK)

/** Somebody's words made fit to be shown: one short line that repeats nothing secret. */
export function quote(
  text: string,
  secrets: readonly string[],
  maxChars = QUOTED_CHARS,
  cutOff = '',
): string {
  const line = secrets
    .filter(it => it !== '')
    .toSorted((a, b) => b.length - a.length)
    .reduce(masked, text.slice(0, Math.max(HEEDED_CHARS, Math.min(maxChars, text.length))))
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .trim()
  return line.length > maxChars ? `${line.slice(0, maxChars)}${cutOff}` : line
}

/** No API answers with more; what goes on for ever would end whoever walks through it. */
const DEPTH_AT_MOST = 64

/** The JSON of a body: null for an empty one, undefined when it is none, or none that an API would give. */
export function parseJson(text: string): unknown {
  if (text.trim() === '') return null
  try {
    const json: unknown = JSON.parse(text)
    return isDeeperThan(json, DEPTH_AT_MOST) ? undefined : json
  } catch {
    return undefined
  }
}

/** What a status means when the body says no more. */
export function codeOfStatus(status: number): ErrorCode {
  if (status === 401) return 'unauthorized'
  if (status === 403) return 'forbidden'
  if (status === 429) return 'throttled'
  return status >= 400 && status < 500 ? 'service-refused' : 'unavailable'
}

/** What the API said behind an error; null when no answer of one is behind it. */
export function serviceErrorOf(error: unknown): ServiceError | null {
  const cause = error instanceof RotationError ? (error.cause as Partial<ServiceError> | null) : null
  return typeof cause?.status === 'number' ? (cause as ServiceError) : null
}

/** Words as they came, of errors that do not show them all. */
const words = new WeakMap<object, string>()

/** Whether the API's own words behind an error have this in them, shown or not. */
export const serviceSays = (error: unknown, pattern: RegExp): boolean => {
  const said = serviceErrorOf(error)
  return said !== null && pattern.test(words.get(said) ?? '')
}

const retryOf = ({ unavailableRetry = 'later' }: ApiTerms): Retry => unavailableRetry

const uncertain = (code: ErrorCode, { changes }: Called): string =>
  changes && code === 'unavailable' ? UNCERTAIN : ''

/** What an answer says that may be shown. */
function shownOf(refusal: Refusal, { terms, secrets = [], isConfidential = false }: Called) {
  // Whoever answers may write anything there.
  const word = (text: string | null | undefined): string | null => {
    const said = quote(text ?? '', secrets, CODE_CHARS)
    return said === '' || (isConfidential && said.length > WORD_CHARS) ? null : said
  }
  return {
    serviceCode: word(refusal.serviceCode),
    requestId: word(refusal.requestId),
    quoted: quote(isConfidential ? '' : (refusal.message ?? ''), secrets, terms.quotedChars, terms.cutOff),
  }
}

/** The error for an answer that is no success. */
export function refused(
  { status, headers }: HttpResponse,
  refusal: Refusal,
  called: Called,
  now: number,
): RotationError {
  const { call, terms } = called
  const { code, hint } = refusal
  const { serviceCode, requestId, quoted } = shownOf(refusal, called)
  const plain = `${serviceCode === null ? '' : ` ${serviceCode}`}${quoted === '' ? '' : `: ${quoted}`}`
  const said = terms.refused?.(status, serviceCode, quoted) ?? ` answered HTTP ${status}${plain}`
  const note = `${refusal.note ?? ''}${requestId === null ? '' : ` (request ${requestId})`}`
  const retryAt =
    refusal.retryAt === undefined ? parseRetryAfter(headers['retry-after'], now) : refusal.retryAt
  const retry = code === 'unavailable' ? retryOf(terms) : code === 'throttled' ? 'later' : 'never'
  const cause: ServiceError = { status, code: serviceCode, message: quoted }
  words.set(cause, refusal.message ?? '')
  return new RotationError(code, `${call}${said}${note}${uncertain(code, called)}`, {
    cause: refusal.cause ?? cause,
    retry: refusal.retry ?? retry,
    ...(hint ? { hint } : {}),
    ...(retryAt === null ? {} : { retryAt }),
  })
}

/** The error for a call without an answer, from whatever was thrown. */
export function unanswered(thrown: unknown, called: Called): RotationError {
  const { call, terms, signal } = called
  const sent = thrown instanceof HttpFailure && thrown.sent
  if (signal?.aborted || (thrown instanceof HttpFailure && thrown.reason === 'aborted')) {
    const how = terms.stopped && `${terms.stopped}${sent && called.changes ? UNCERTAIN : ''}`
    return stopped({ signal }, call, how)
  }
  if (!(thrown instanceof HttpFailure)) return asRotationError(thrown)
  if (thrown.reason === 'left-alone')
    return new RotationError('out-of-time', `${call}: ${thrown.message}; the next run goes on`, {
      cause: thrown,
      ...(thrown.until === null ? {} : { retryAt: thrown.until }),
    })
  const code = sent ? 'unavailable' : 'unreachable'
  const said = terms.unanswered?.(thrown) ?? `: ${thrown.message}`
  const hint = thrown.reason === 'proxy' ? CHECK_PROXY : terms.unansweredHint(thrown)
  return new RotationError(code, `${call}${said}${uncertain(code, called)}`, {
    // What Node could not read of an answer is in its error.
    cause: called.isConfidential ? new HttpFailure(thrown.reason, thrown.message, thrown.sent) : thrown,
    // The same answer would be too large again.
    retry: sent && thrown.reason !== 'too-large' ? retryOf(terms) : 'later',
    ...(hint === null ? {} : { hint }),
  })
}

/** Tells the client that a service asks for fewer calls, with what it says of when. */
export const tooMany = (http: Http, answer: HttpResponse, now: number): void =>
  http.tooMany?.(answer, Math.max(0, (parseRetryAfter(answer.headers['retry-after'], now) ?? now) - now))

/** A success, with its JSON (null for an empty body, undefined when it is none). */
export type ApiResponse = HttpResponse & { readonly json: unknown }

/**
 * Makes a call once: its answer when it is a success.
 * @throws RotationError what `refusalOf` says of the answer; `unreachable` (it was not sent), `unavailable` (no
 *   whole answer), `out-of-time` or the signal's own error when that was aborted
 */
export async function callApi(given: ApiCall): Promise<ApiResponse> {
  const { call, terms, http, clock, request, signal, refusalOf } = given
  if (signal?.aborted) throw stopped(given, call, terms.stopped)
  const answer = await http.request({ ...request, ...(signal ? { signal } : {}) }).catch(thrown => {
    throw unanswered(thrown, given)
  })
  const json = parseJson(answer.text)
  const refusal = refusalOf(answer, json)
  if (refusal) {
    if (refusal.code === 'throttled') tooMany(http, answer, clock.now())
    throw refused(answer, refusal, given, clock.now())
  }
  return { ...answer, json }
}

/** JSON checked by a schema. @throws RotationError `unavailable` when it does not fit */
export function expected<T>(
  json: unknown,
  schema: v.GenericSchema<unknown, T>,
  call: string,
  options: RotationErrorOptions = {},
): T {
  const checked = v.safeParse(schema, json, { abortEarly: true })
  if (checked.success) return checked.output
  const field = v.getDotPath(checked.issues[0]) ?? 'its body'
  const message = `${call} gave an answer that cannot be used: ${field} is not as documented`
  throw new RotationError('unavailable', message, options)
}
