import { RotationError } from '../../base/rotation-error.ts'
import { asObject, type ProblemDocument, readProblem } from './problem.ts'

export type OrderStatus = 'pending' | 'ready' | 'processing' | 'valid' | 'invalid'

/** An order (RFC 8555 section 7.1.3). */
export interface Order {
  readonly url: string
  readonly status: OrderStatus
  readonly finalize: string
  readonly authorizations: readonly string[]
  /** Present once the order is valid. */
  readonly certificate: string | null
  /** Milliseconds since the epoch. */
  readonly expires: number | null
  readonly error: ProblemDocument | null
  /** The instant Retry-After of this answer named. */
  readonly retryAt: number | null
}

export interface Challenge {
  readonly type: string
  readonly url: string
  readonly status: string
  /** Null for challenge types without one, such as dns-persist-01. */
  readonly token: string | null
  readonly error: ProblemDocument | null
}

/** An authorization (RFC 8555 section 7.1.4). A wildcard's name stands without its `*.`. */
export interface Authorization {
  readonly url: string
  readonly name: string
  readonly wildcard: boolean
  readonly status: string
  readonly challenges: readonly Challenge[]
}

/** More than any order has names. */
const AUTHORIZATIONS_AT_MOST = 1_000

const text = (value: unknown): string => (typeof value === 'string' ? value : '')
const STATUSES: readonly string[] = ['pending', 'ready', 'processing', 'valid', 'invalid']

/** Reads an order of any quality. @throws RotationError `unavailable` when its status is none that is known */
export const readOrder = (settings: string, url: string, value: unknown, retryAt: number | null): Order => {
  const { status, finalize, authorizations, certificate, expires, error } = asObject(value)
  if (!STATUSES.includes(text(status)))
    throw new RotationError('unavailable', `${settings}: order: the answer has no status that is known`)
  const expiresAt = Date.parse(text(expires))
  return {
    url,
    status: status as OrderStatus,
    finalize: text(finalize),
    authorizations: (Array.isArray(authorizations) ? authorizations : [])
      .slice(0, AUTHORIZATIONS_AT_MOST)
      .map(text),
    certificate: text(certificate) || null,
    expires: Number.isNaN(expiresAt) ? null : expiresAt,
    error: error ? readProblem(error, 0) : null,
    retryAt,
  }
}

/** Reads an authorization of any quality. */
export const readAuthorization = (url: string, value: unknown): Authorization => {
  const { identifier, wildcard, status, challenges } = asObject(value)
  return {
    url,
    name: text(asObject(identifier).value),
    wildcard: wildcard === true,
    status: text(status),
    challenges: (Array.isArray(challenges) ? challenges : []).map(asObject).map(challenge => ({
      type: text(challenge.type),
      url: text(challenge.url),
      status: text(challenge.status),
      token: text(challenge.token) || null,
      error: challenge.error ? readProblem(challenge.error, 0) : null,
    })),
  }
}
