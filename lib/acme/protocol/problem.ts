import { type Retry, RotationError } from '../../base/rotation-error.ts'
import { DAY_MS, parseRetryAfter } from '../../base/time.ts'
import { type ApiTerms, parseJson, quote, type Refusal, refused } from '../../http/api-call.ts'
import type { HttpResponse } from '../../http/http.ts'

const PREFIX = 'urn:ietf:params:acme:error:'
const MAX_DETAIL_CHARS = 1_000
const MAX_WORD_CHARS = 253
const MAX_SUBPROBLEMS = 20
/** A server that is down is back within two days, whatever it says; a limit may be one of a week. */
const DOWN_AT_MOST_MS = 2 * DAY_MS

/** What a CA says is wrong, in an answer or inside an order or a challenge (RFC 8555 section 6.7). */
export interface ProblemDocument {
  /** Without the `urn:ietf:params:acme:error:` prefix; `unknown` when the CA gave none. */
  readonly type: string
  /** HTTP status; 0 when it stands inside an object and has none. */
  readonly status: number
  /** One line. */
  readonly detail: string
  /** The name it speaks of, in a subproblem. */
  readonly identifier: string | null
  readonly subproblems: readonly ProblemDocument[]
  /** A page for a person to open (RFC 8555 section 7.3.3), or null. */
  readonly page: string | null
}

/** The cause of a RotationError that a CA's problem document led to. */
export class AcmeProblem extends Error {
  override readonly name = 'AcmeProblem'
  readonly problem: ProblemDocument
  /** The URL that answered with it; null for a problem inside an object. */
  readonly url: string | null

  constructor(problem: ProblemDocument, url: string | null) {
    super(describeProblem(problem))
    this.problem = problem
    this.url = url
  }
}

/** The members of a JSON object; none of anything else. */
export const asObject = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}

/** A CA's text goes to terminals and chats. */
const oneLine = (text: string, maxChars = MAX_DETAIL_CHARS): string => quote(text, [], maxChars, '…')

const partsOf = (subproblems: unknown): readonly unknown[] =>
  Array.isArray(subproblems) ? subproblems.slice(0, MAX_SUBPROBLEMS) : []

/**
 * Reads a problem document of any quality; `status` is used when it has none itself. Subproblems have no further ones
 * (RFC 8555 section 6.7.1).
 */
export function readProblem(value: unknown, status: number, isPart = false): ProblemDocument {
  const { type, detail, status: own, identifier, subproblems, instance } = asObject(value)
  const name = asObject(identifier).value
  const known = typeof type === 'string' && type.startsWith(PREFIX)
  return {
    type: known ? oneLine(type.slice(PREFIX.length), MAX_WORD_CHARS) : 'unknown',
    status: status || (typeof own === 'number' ? own : 0),
    detail: typeof detail === 'string' ? oneLine(detail) : '',
    identifier: typeof name === 'string' ? oneLine(name, MAX_WORD_CHARS) : null,
    subproblems: isPart ? [] : partsOf(subproblems).map(part => readProblem(part, 0, true)),
    page: typeof instance === 'string' && /^https?:\/\/\S+$/.test(instance) ? oneLine(instance) : null,
  }
}

/** `type: detail`, with the subproblems by name. */
export function describeProblem(problem: ProblemDocument): string {
  const { type, status, detail, subproblems } = problem
  const head = type === 'unknown' && status > 0 ? `status ${status}` : type
  const parts = subproblems.map(part => `${part.identifier ?? 'the order'}: ${describeProblem(part)}`)
  const list = parts.length > 0 ? ` [${parts.join('; ')}]` : ''
  return `${detail === '' ? head : `${head}: ${detail}`}${list}`
}

/** The cause for something a CA wrote into an order or a challenge. */
export const embeddedProblem = (problem: ProblemDocument): AcmeProblem => new AcmeProblem(problem, null)

/** The problem behind an error, with its type (without prefix), HTTP status and detail; null when there is none. */
export function problemOf(error: unknown): ProblemDocument | null {
  const cause = error instanceof RotationError ? error.cause : error
  return cause instanceof AcmeProblem ? cause.problem : null
}

/** The URL that answered with the problem behind an error, if any. */
export function problemUrlOf(error: unknown): string | null {
  const cause = error instanceof RotationError ? error.cause : error
  return cause instanceof AcmeProblem ? cause.url : null
}

const HINTS: Readonly<Record<string, string>> = {
  userActionRequired: 'Open the page that the CA names, or agree to its new terms.',
  unauthorized: 'See whether the account is still valid at the CA and whether accountKey is the right one.',
  externalAccountRequired: 'Get a key id and an HMAC key from the CA and set externalAccount.',
  accountDoesNotExist: 'The CA does not know the account key: see directory and accountKey.',
  rejectedIdentifier: 'The CA will not issue for a name of this certificate.',
  unsupportedIdentifier: 'The CA does not issue for this kind of name.',
  invalidContact: 'Correct email.',
  unsupportedContact: 'Correct email.',
  invalidProfile: 'Set the certificate’s profile to one the CA offers, or to null.',
  caa: 'Allow the CA in the CAA records of the name.',
  badRevocationReason: 'The CA does not take this reason: give another one.',
  badCSR: 'Choose another keyType, or see which names the CA accepts.',
  badPublicKey: 'Choose another keyType or accountKey.',
  badSignatureAlgorithm: 'Choose another accountKey.',
  malformed: 'See the words of the CA: names, profile or key of the certificate do not suit it.',
}

/** Undefined: trying again may help. A compound problem is as bad as the worst of its parts. */
const hintOf = ({ type, subproblems }: ProblemDocument): string | undefined =>
  HINTS[type] ?? subproblems.map(part => HINTS[part.type]).find(hint => hint !== undefined)

type Refused = Pick<Refusal, 'code' | 'hint'> & { readonly retry: Retry }

const rateLimited = (problem: ProblemDocument, retryAt: number | null): Refused => {
  if (retryAt !== null) return { code: 'rate-limited', retry: 'later', hint: 'The next try waits by itself.' }
  // Let's Encrypt gives no Retry-After when it paused the account for the name; its detail holds the link to undo it.
  const link = /https?:\/\/\S+/.test(problem.detail)
  return link
    ? { code: 'rate-limited', retry: 'never', hint: `The CA has paused issuance: ${problem.detail}` }
    : { code: 'rate-limited', retry: 'later', hint: `The CA says: ${problem.detail || 'too many requests'}` }
}

const movedHint = (settings: string): string =>
  `See whether the CA has moved, and set ${settings}.directory to where its directory is now.`

const notAcme = (settings: string): string =>
  `Check that ${settings}.directory is the URL of an ACME directory.`

const notOffered = (settings: string): string => `The CA does not offer this (${settings}).`

const refusalOf = (problem: ProblemDocument, retryAt: number | null, settings: string): Refused => {
  const { status, type } = problem
  if (status < 400) return { code: 'unavailable', retry: 'later', hint: movedHint(settings) }
  // It is no outage that passes: the CA will not do this.
  if (status === 501) return { code: 'ca-rejected', retry: 'later', hint: notOffered(settings) }
  if (status >= 500) return { code: 'unavailable', retry: 'later' }
  if (status === 429 || type === 'rateLimited') return rateLimited(problem, retryAt)
  if (type === 'badNonce') return { code: 'unavailable', retry: 'later' }
  if (type === 'orderNotReady') return { code: 'order-failed', retry: 'now' }
  const hint = hintOf(problem)
  const page = problem.page === null ? '' : `${problem.page} `
  if (hint !== undefined) return { code: 'ca-rejected', retry: 'never', hint: `${hint} ${page}(${settings})` }
  return { code: 'ca-rejected', retry: 'later', hint: type === 'unknown' ? notAcme(settings) : null }
}

/** How a CA is spoken of in messages. */
export const termsOf = (settings: string): ApiTerms => ({
  refused: (_status, _code, quoted) => `: the CA answers ${quoted}`,
  quotedChars: Number.POSITIVE_INFINITY,
  unansweredHint: ({ reason }) => {
    if (reason === 'connect') return `Check ${settings}.directory and the way out to it.`
    if (reason !== 'tls') return null
    return `Check ${settings}.directory; a private CA needs its root in ${settings}.caCertificates.`
  },
})

/**
 * The error for an answer of 300 and above (RFC 8555 section 6.7). `settings` is the path of the source in the
 * settings, `call` what was asked for. `retryAt` comes from Retry-After in either form and is never slept on.
 */
export function refusal(
  settings: string,
  call: string,
  url: string,
  answer: HttpResponse,
  now: number,
): RotationError {
  // What is no JSON is a proxy's page, or nothing: the status has to do.
  const problem = readProblem(parseJson(answer.text), answer.status)
  const told = parseRetryAfter(answer.headers['retry-after'], now)
  const retryAt = told !== null && answer.status >= 500 ? Math.min(told, now + DOWN_AT_MOST_MS) : told
  const why = refusalOf(problem, retryAt, settings)
  const isNoDirectory = call === 'directory' && why.code === 'ca-rejected'
  return refused(
    answer,
    {
      ...why,
      ...(isNoDirectory && { hint: notAcme(settings) }),
      message: describeProblem(problem),
      retryAt,
      cause: new AcmeProblem(problem, url),
    },
    { call: `${settings}: ${call}`, terms: termsOf(settings) },
    now,
  )
}
