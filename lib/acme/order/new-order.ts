import { X509Certificate } from 'node:crypto'
import { asRotationError, RotationError } from '../../base/rotation-error.ts'
import { DAY_MS, iso } from '../../base/time.ts'
import type { Obtained } from '../../contracts.ts'
import { HttpFailure } from '../../http/http.ts'
import { certId } from '../../x509/certificate.ts'
import type { OrderRequest } from '../protocol/client.ts'
import { problemOf } from '../protocol/problem.ts'
import type { Order } from '../protocol/resources.ts'
import { noteAccountLimit, ordersFrom } from './account-limit.ts'
import { type OpenOrderWork, removeTxtValues } from './order-work.ts'

type Asking = Pick<OpenOrderWork, 'client' | 'request'>

/** RFC 9773 section 5; null when the CA has no renewal info or there is no predecessor it could know. */
const predecessorOf = ({ client, request }: Asking): string | null => {
  if (!client.supportsRenewalInfo || request.replaces === null) return null
  try {
    return certId(new X509Certificate(request.replaces))
  } catch {
    return null
  }
}

/**
 * The profile to ask for (draft-ietf-acme-profiles section 4): none of a CA that lists none, if the settings allow
 * that. @throws RotationError `ca-rejected`
 */
const profileFor = ({ client, request }: Asking): string | null => {
  const { profile, profileFallback, name } = request.spec
  if (profile === null || client.offersProfiles) return profile
  const { settings, run } = client.connection
  const why = `${settings}: the CA offers no profiles, and not ${profile}`
  if (profileFallback !== true)
    throw new RotationError('ca-rejected', why, {
      retry: 'never',
      hint: `Set profileFallback of certificates.${name} to true, or its profile to null.`,
    })
  run.log.warn({ profile }, why)
  return null
}

/** Refusals that certainly are about something else than `replaces`. */
const OF_OTHERS = [
  'accountDoesNotExist',
  'badNonce',
  'badPublicKey',
  'badSignatureAlgorithm',
  'caa',
  'compound',
  'externalAccountRequired',
  'invalidProfile',
  'rateLimited',
  'rejectedIdentifier',
  'unsupportedIdentifier',
  'userActionRequired',
]

/**
 * Whether a refusal may be one of `replaces`; a second one, without it, is meant. A server that stumbles over it says so
 * by any 5xx, and would for as long as it is sent; one that names an instant is down.
 */
const mayBlameReplaces = (thrown: unknown): boolean => {
  const problem = problemOf(thrown)
  if (problem === null || problem.status < 400 || problem.status === 429) return false
  if (problem.status >= 500) return asRotationError(thrown).retryAt === null
  return [404, 409].includes(problem.status) || !OF_OTHERS.includes(problem.type)
}

/**
 * Whether there is no order: the CA answered with an error (RFC 8555 section 6.7), whatever kind, or the request
 * never got to it.
 */
const isRefusal = (thrown: unknown): boolean => {
  const cause = thrown instanceof RotationError ? thrown.cause : thrown
  return problemOf(thrown) !== null || (cause instanceof HttpFailure && !cause.sent)
}

/** What to ask for instead of what the CA does not take; null: nothing else, the refusal stands. */
const lessThan = (
  wanted: OrderRequest,
  thrown: unknown,
  { client, request }: Asking,
): OrderRequest | null => {
  const { log } = client.connection.run
  const { message } = asRotationError(thrown)
  const { profileFallback } = request.spec
  const isOfProfile = wanted.profile !== null && problemOf(thrown)?.type === 'invalidProfile'
  if (isOfProfile && profileFallback !== false) {
    const profile = profileFallback === true ? null : profileFallback
    if (profile === wanted.profile) return null
    log.warn(
      { profile: wanted.profile },
      `ordering with profile ${profile ?? 'of the CA’s choice'}: ${message}`,
    )
    return { ...wanted, profile }
  }
  if (wanted.replaces === null || !mayBlameReplaces(thrown)) return null
  log.warn({ replaces: wanted.replaces }, `ordering without the predecessor: ${message}`)
  return { ...wanted, replaces: null }
}

/** Asks for an order, first as the specification says, then without what the CA does not take. */
const newOrder = async (work: Asking, wanted: OrderRequest): Promise<Order> => {
  try {
    return await work.client.newOrder(wanted)
  } catch (thrown) {
    const less = lessThan(wanted, thrown, work)
    if (less === null) throw thrown
    return newOrder(work, less)
  }
}

/** Of an order whose end the CA does not tell, though it should (RFC 8555 section 7.1.3). */
const LIFE_MS = 7 * DAY_MS

/** The CA takes no more orders of the account: all others would be refused as this one. */
type Closed = Extract<Obtained, { kind: 'suspended' }>
const closedUntil = (until: number): Closed => ({
  kind: 'suspended',
  until,
  why: `the CA takes no more orders of this account before ${iso(until)}`,
})

/** Places a new order (RFC 8555 section 7.4). It is counted before it is placed: no crash loop orders for ever. */
export async function placeOrder(work: OpenOrderWork): Promise<Order | Closed> {
  const { budget, client, dns, notes, request } = work
  const { connection } = client
  const { run } = connection
  const until = ordersFrom(connection)
  if (until !== null) return closedUntil(until)
  // Values of a dead order: its authorizations are abandoned.
  await removeTxtValues(work)
  const { names } = request.spec
  const profile = profileFor(work)
  await dns.prepare(names, client.issuer)
  await client.ready()
  await budget.order()
  const wanted = { names, profile, replaces: predecessorOf(work) }
  const order = await newOrder(work, wanted).catch(async (thrown: unknown) => {
    if (isRefusal(thrown)) await budget.refused()
    noteAccountLimit(connection, thrown)
    const from = ordersFrom(connection)
    if (from === null) throw thrown
    return closedUntil(from)
  })
  if ('kind' in order) return order
  await notes.placed({ ...order, expires: order.expires ?? run.clock.now() + LIFE_MS })
  await budget.placed()
  run.log.info({ order: order.url, status: order.status, names }, 'order placed')
  return order
}
