import type { JWK } from 'jose'
import type { Call } from '../kit/http.ts'
import type { Chain, Leaf } from './certificates/issuing.ts'
import type { AcmeCaSwitches } from './options.ts'
import type { Problem } from './wire/problems.ts'

/** RFC 8555 section 7.1.2. */
export interface Account {
  readonly id: string
  /** Changed when the CA moves. */
  url: string
  /** Changed by keyChange. */
  jwk: JWK
  thumbprint: string
  status: 'valid' | 'deactivated'
  contact: readonly string[]
  readonly externalAccountBinding: object | null
  readonly externalAccountKid: string | null
}

/** RFC 8555 section 7.1.5. */
export interface Challenge {
  readonly url: string
  readonly type: string
  /** Absent for types that have none: clients must filter by type first. */
  readonly token: string | null
  readonly extra: Readonly<Record<string, unknown>>
  status: 'pending' | 'processing' | 'valid' | 'invalid'
  validatedAt: number | null
  error: Problem | null
}

/** RFC 8555 section 7.1.4; `expired` is derived. */
export interface Authorization {
  readonly id: string
  readonly url: string
  readonly account: Account
  /** Without `*.`. */
  readonly name: string
  readonly wildcard: boolean
  readonly profile: string
  readonly challenges: readonly Challenge[]
  status: 'pending' | 'valid' | 'invalid' | 'deactivated'
  expiresAt: number
}

/** RFC 8555 section 7.1.3; the status is derived. */
export interface Order {
  readonly id: string
  readonly url: string
  readonly account: Account
  readonly placedAt: number
  readonly names: readonly string[]
  readonly profile: string
  readonly replaces: string | null
  readonly authorizations: readonly Authorization[]
  readonly expiresAt: number
  /** Reads that will still say `pending` although all authorizations are valid. */
  lateReads: number
  processing: { readonly dueAt: number; readonly issue: () => Promise<Leaf> } | null
  issuing: Promise<void> | null
  certificate: Certificate | null
  problem: Problem | null
}

/** An issued certificate and what became of it. */
export interface Certificate extends Leaf {
  readonly id: string
  readonly url: string
  /** Changed when the CA moves. */
  accountUrl: string | null
  readonly replaces: string | null
  readonly issuedAt: number
  revoked: { readonly at: number; readonly reason: number } | null
}

/** A window given by hand. */
export interface RenewalWindow {
  readonly start: Date | string
  readonly end: Date | string
  readonly explanationURL?: string
  readonly retryAfterSeconds?: number
}

/** `error` answers 500; any other string is sent as the body of a 200. */
export type RenewalOverride = RenewalWindow | string

/** A verified request body (RFC 8555 section 6.2). */
export interface Verified {
  /** Null when the request was signed by a key of its own (`jwk`). */
  readonly account: Account | null
  readonly jwk: JWK
  readonly thumbprint: string
  /** As sent; empty for POST-as-GET. */
  readonly payload: string
  /** The payload as a JSON object, or a `malformed` failure. */
  object(): Readonly<Record<string, unknown>>
}

/** Verifies a POST; `keys` says which way of naming the key is allowed (RFC 8555 section 6.2). */
export type Verifier = <K extends 'kid' | 'jwk' | 'either'>(
  call: Call,
  keys: K,
) => Promise<Verified & (K extends 'kid' ? { readonly account: Account } : unknown)>

/** Everything the CA remembers. */
export interface State {
  readonly accounts: Account[]
  readonly authorizations: Authorization[]
  readonly orders: Order[]
  readonly certificates: Certificate[]
  readonly failures: { readonly account: Account; readonly name: string; readonly at: number }[]
  /** By account and name; a valid one resets it. */
  readonly failuresInRow: Map<string, number>
  readonly pausedNames: Set<string>
  /** Set by setRenewalInfo; the keys are CertIDs. */
  readonly renewalOverrides: Map<string, RenewalOverride>
}

/** What every handler works with. */
export interface Ca {
  readonly now: () => number
  /** The absolute URL of a path. */
  readonly url: (path: string) => string
  readonly switches: AcmeCaSwitches
  readonly state: State
  /** Another one when the CA changes its root. */
  chain: Chain
  readonly verify: Verifier
  /** Aborted when the CA is disposed of. */
  readonly signal: AbortSignal
  /** The Retry-After header in the form the switches ask for, or none. */
  readonly retryAfter: () => Record<string, string>
  readonly requestUrl: (call: Call) => string
}

/** RFC 3339 without fractions, as the big CAs write it. */
export const isoTime = (atMs: number): string => new Date(atMs).toISOString().replace(/\.\d+Z$/, 'Z')

/** The status of an authorization now (RFC 8555 section 7.1.6). */
export function authorizationStatus(
  authorization: Authorization,
  nowMs: number,
): Authorization['status'] | 'expired' {
  const { status, expiresAt } = authorization
  return (status === 'pending' || status === 'valid') && expiresAt <= nowMs ? 'expired' : status
}

/** The status of an order now, derived from its parts (RFC 8555 section 7.1.6). */
export function orderStatus(
  order: Order,
  nowMs: number,
): 'pending' | 'ready' | 'processing' | 'valid' | 'invalid' {
  if (order.certificate) return 'valid'
  if (order.problem) return 'invalid'
  if (order.processing) return 'processing'
  const statuses = order.authorizations.map(authorization => authorizationStatus(authorization, nowMs))
  if (order.expiresAt <= nowMs || statuses.some(s => s !== 'pending' && s !== 'valid')) return 'invalid'
  if (statuses.includes('pending')) return 'pending'
  return order.lateReads > 0 ? 'pending' : 'ready'
}

/** An order whose names all have valid authorizations counts a read that still answers `pending`. */
export function countLateRead(order: Order): void {
  if (order.lateReads > 0 && order.authorizations.every(a => a.status === 'valid')) order.lateReads -= 1
}
