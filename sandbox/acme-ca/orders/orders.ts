import { randomUUID } from 'node:crypto'
import type { Answer, Call } from '../../kit/http.ts'
import { recordCertificate } from '../certificates/certificates.ts'
import { type CheckedCsr, checkCsr } from '../certificates/csr.ts'
import type { Leaf } from '../certificates/issuing.ts'
import { checkReplaces } from '../certificates/renewal-info.ts'
import { type Profile, profileOf } from '../options.ts'
import {
  type Account,
  authorizationStatus,
  type Ca,
  countLateRead,
  isoTime,
  type Order,
  orderStatus,
} from '../state.ts'
import { requireEmpty } from '../wire/jws.ts'
import { fail, problem } from '../wire/problems.ts'
import { authorizationFor } from './authorizations.ts'
import { namesOf } from './identifiers.ts'
import { checkLimits } from './rate-limits.ts'

const orderBody = (ca: Ca, order: Order): object => ({
  status: orderStatus(order, ca.now()),
  expires: isoTime(order.expiresAt),
  identifiers: order.names.map(value => ({ type: 'dns', value })),
  ...(ca.switches.profiles && { profile: order.profile }),
  ...(order.replaces !== null && { replaces: order.replaces }),
  authorizations: order.authorizations.map(a => a.url),
  finalize: `${order.url}/finalize`,
  ...(order.problem && { error: order.problem }),
  ...(order.certificate && { certificate: order.certificate.url }),
})

const answerWith = (ca: Ca, order: Order, status: number, poll: boolean): Answer => {
  const waiting = ['pending', 'processing'].includes(orderStatus(order, ca.now()))
  return {
    status,
    headers: { location: order.url, ...(poll && waiting ? ca.retryAfter() : {}) },
    body: orderBody(ca, order),
  }
}

interface Wanted {
  readonly names: readonly string[]
  readonly profile: string
  readonly replaces: string | null
}

const wantedOf = (ca: Ca, account: Account, payload: Readonly<Record<string, unknown>>): Wanted => {
  for (const member of ['notBefore', 'notAfter']) {
    if (payload[member] !== undefined) throw fail('malformed', 400, `${member} is not supported`)
  }
  const { profiles } = ca.switches
  const name = profiles === null ? 'classic' : (payload.profile ?? 'classic')
  const isOffered = typeof name === 'string' && (profiles?.includes(name) ?? true)
  const profile = isOffered ? profileOf(name, ca.switches) : null
  if (!profile) throw fail('invalidProfile', 400, `Profile "${String(name)}" is not offered`)
  const names = namesOf(payload.identifiers, profile.maxNames, ca.switches.rejectedNames)
  const replaces = payload.replaces ?? null
  return {
    names,
    profile: String(name),
    replaces: replaces === null ? null : checkReplaces(ca, account, replaces, names),
  }
}

/** Boulder hands out an unfinished order of the same names and profile again. */
const unfinished = (ca: Ca, account: Account, wanted: Wanted): Order | undefined =>
  ca.state.orders.find(
    order =>
      order.account === account &&
      order.profile === wanted.profile &&
      (wanted.replaces === null || order.replaces === wanted.replaces) &&
      order.names.length === wanted.names.length &&
      order.names.every(name => wanted.names.includes(name)) &&
      ['pending', 'ready'].includes(orderStatus(order, ca.now())),
  )

const createOrder = (ca: Ca, account: Account, wanted: Wanted): Order => {
  const id = randomUUID()
  const authorizations = wanted.names.map(name => authorizationFor(ca, account, name, wanted.profile))
  const { orderSeconds } = profileOf(wanted.profile, ca.switches) as Profile
  const fresh = authorizations.some(a => a.status === 'pending')
  const order: Order = {
    id,
    url: ca.url(`/orders/${id}`),
    account,
    placedAt: ca.now(),
    ...wanted,
    authorizations,
    expiresAt: Math.min(ca.now() + orderSeconds * 1000, ...authorizations.map(a => a.expiresAt)),
    lateReads: fresh ? ca.switches.readyAfterPolls : 0,
    processing: null,
    issuing: null,
    certificate: null,
    problem: null,
  }
  ca.state.orders.push(order)
  return order
}

/** Places an order (RFC 8555 section 7.4; `replaces` of RFC 9773 section 5; `profile`). */
export async function newOrder(ca: Ca, call: Call): Promise<Answer> {
  const verified = await ca.verify(call, 'kid')
  const wanted = wantedOf(ca, verified.account, verified.object())
  const known = unfinished(ca, verified.account, wanted)
  if (!known) checkLimits(ca, verified.account, wanted)
  const order = known ?? createOrder(ca, verified.account, wanted)
  return answerWith(ca, order, 201, false)
}

const find = (ca: Ca, call: Call, account: Account): Order => {
  const order = ca.state.orders.find(o => o.id === call.params.id)
  if (!order) throw fail('malformed', 404, `No order for ID ${String(call.params.id)}`)
  if (order.account !== account) throw fail('unauthorized', 403, 'Account does not own this order')
  return order
}

const issueFor = async (ca: Ca, order: Order, issue: () => Promise<Leaf>): Promise<void> => {
  const { issuanceProblem } = ca.switches
  if (issuanceProblem) order.problem = problem(issuanceProblem.type, 403, issuanceProblem.detail)
  else {
    const leaf = await issue()
    order.certificate = recordCertificate(ca, leaf, order.account.url, order.replaces)
  }
}

/** Issues when the time of processing is over; simultaneous polls share one issuance. */
const settle = async (ca: Ca, order: Order): Promise<void> => {
  const { processing } = order
  if (!processing || processing.dueAt > ca.now()) return
  order.issuing ??= issueFor(ca, order, processing.issue)
  await order.issuing
}

/** Lists an account's orders, all but the invalid ones (RFC 8555 section 7.1.2.1). */
export async function ordersOf(ca: Ca, call: Call): Promise<Answer> {
  const verified = await ca.verify(call, 'kid')
  requireEmpty(verified)
  if (verified.account.id !== call.params.id)
    throw fail('unauthorized', 403, 'Request signing key did not match account key')
  const own = ca.state.orders.filter(
    it => it.account === verified.account && orderStatus(it, ca.now()) !== 'invalid',
  )
  return { status: 200, body: { orders: own.map(({ url }) => url) } }
}

/** Reads an order (RFC 8555 section 7.4). */
export async function order(ca: Ca, call: Call): Promise<Answer> {
  const verified = await ca.verify(call, 'kid')
  requireEmpty(verified)
  const found = find(ca, call, verified.account)
  await settle(ca, found)
  const answer = answerWith(ca, found, 200, true)
  countLateRead(found)
  return answer
}

const issuer = (ca: Ca, order: Order, csr: CheckedCsr) => (): Promise<Leaf> => {
  const profile = profileOf(order.profile, ca.switches) as Profile
  const notBeforeMs = Math.floor(ca.now() / 1000) * 1000 - ca.switches.backdateSeconds * 1000
  const short = csr.names.find(name => name.length < 64) ?? null
  return ca.chain.issue({
    publicKey: csr.publicKey,
    names: csr.names,
    notBefore: new Date(notBeforeMs),
    // The last second counts (RFC 5280 section 4.1.2.5).
    notAfter: new Date(notBeforeMs + profile.validitySeconds * 1000 - 1000),
    commonName: profile.commonName ? (csr.commonName ?? short) : null,
    subjectKeyIdentifier: profile.subjectKeyIdentifier,
    keyEncipherment: profile.keyEncipherment,
  })
}

/** Takes the certificate request of a ready order (RFC 8555 section 7.4). */
export async function finalize(ca: Ca, call: Call): Promise<Answer> {
  const verified = await ca.verify(call, 'kid')
  const found = find(ca, call, verified.account)
  const requireReady = () => {
    const status = orderStatus(found, ca.now())
    if (status !== 'ready') throw fail('orderNotReady', 403, `Order's status ("${status}") is not ready`)
  }
  // Its reads may be late; the authorizations are what counts.
  if (found.authorizations.every(a => authorizationStatus(a, ca.now()) === 'valid')) found.lateReads = 0
  requireReady()
  const csr = await checkCsr(verified.object().csr, found.names, verified.thumbprint)
  requireReady()
  const { asyncFinalize, asyncFinalizeMs } = ca.switches
  const dueAt = asyncFinalize ? ca.now() + asyncFinalizeMs : ca.now()
  found.processing = { dueAt, issue: issuer(ca, found, csr) }
  if (!asyncFinalize) await settle(ca, found)
  return answerWith(ca, found, 200, true)
}
