import { asRotationError, RotationError } from '../../base/rotation-error.ts'
import { iso, SECOND_MS } from '../../base/time.ts'
import type { Obtained } from '../../contracts.ts'
import { HttpFailure } from '../../http/http.ts'
import { generateKey } from '../../x509/key.ts'
import { createCsr } from '../protocol/client.ts'
import { problemOf } from '../protocol/problem.ts'
import type { Order } from '../protocol/resources.ts'
import { pause } from '../protocol/transport.ts'
import { acceptedChain, flawOf } from './chains.ts'
import { openNotes } from './journal.ts'
import { endOrder, knownOrder, vanished } from './known-order.ts'
import { placeOrder } from './new-order.ts'
import { type OpenOrderWork, type OrderWork, removeTxtValues } from './order-work.ts'
import { authorize, validationFailure } from './validation.ts'

export type Suspended = Extract<Obtained, { kind: 'suspended' }>

/** Every name is validated, and nothing is issued. */
export interface Validated {
  readonly kind: 'validated'
}

/** What a step of an order comes to: the order as the CA shows it now, or a wait for a later run. */
type Next = { readonly kind: 'order'; readonly order: Order } | Suspended

/** Many CAs are done at once; one that is not is asked three times more in the first second than by whole seconds. */
const POLL_FIRST_MS = SECOND_MS / 10
const POLL_MOST_MS = 10 * SECOND_MS
const RETRY_AFTER_MOST_MS = 30 * SECOND_MS

const pollDelayMs = (order: Order, attempt: number, now: number): number =>
  order.retryAt === null
    ? Math.min(POLL_FIRST_MS * 2 ** attempt, POLL_MOST_MS)
    : Math.min(Math.max(order.retryAt - now, SECOND_MS), RETRY_AFTER_MOST_MS)

/** Reads the order until its status changes (RFC 8555 section 7.4). Only the order: it follows its authorizations. */
const poll = async ({ client }: OpenOrderWork, first: Order, what: string): Promise<Next> => {
  const { run } = client.connection
  let order = first
  for (let attempt = 0; order.status === first.status; attempt += 1) {
    const now = run.clock.now()
    const delayMs = pollDelayMs(order, attempt, now)
    if (now + delayMs >= run.deadline)
      return { kind: 'suspended', until: now + delayMs, why: `the CA ${what}` }
    await pause(client.connection, delayMs, 'order')
    order = await client.order(first.url)
  }
  return { kind: 'order', order }
}

// --- the steps -----------------------------------------------------------------------------------------------------

const validate = async (work: OpenOrderWork, order: Order): Promise<Next> => {
  const outcome = await authorize(work, work.request.spec.names, order)
  if (outcome.kind === 'suspended') return outcome
  const next = await poll(work, order, 'has not yet validated every name')
  if (next.kind === 'order' && next.order.status !== 'invalid') await work.budget.validated()
  return next
}

/** Whether no answer came, so that the request may or may not have taken effect. */
const isAmbiguous = (thrown: unknown): boolean =>
  thrown instanceof RotationError && thrown.cause instanceof HttpFailure

/**
 * Sends the CSR (RFC 8555 section 7.4), once more where the first had no effect. A lost answer is no failed request: the
 * order is read before anything else.
 */
const finalize = async (work: OpenOrderWork, order: Order, csr: string, isLast = false): Promise<Next> => {
  const { client } = work
  try {
    const answer = await client.finalize(order, csr)
    return answer.status === 'ready'
      ? await poll(work, answer, 'has not yet begun to issue')
      : { kind: 'order', order: answer }
  } catch (thrown) {
    // A CA may show an order as ready a moment before its finalize believes it.
    const notReady = problemOf(thrown)?.type === 'orderNotReady'
    if (!notReady && asRotationError(thrown).code !== 'unavailable') throw thrown
    const seen = await client.order(order.url)
    if (seen.status !== 'ready') return { kind: 'order', order: seen }
    if (isLast || !(notReady || isAmbiguous(thrown))) throw thrown
    return finalize(work, order, csr, true)
  }
}

const issue = async (work: OpenOrderWork, order: Order): Promise<Next> => {
  const { journal, request } = work
  const key = await journal.privateKey(() => generateKey(request.spec.keyType))
  return finalize(work, order, await createCsr(request.spec.names, key))
}

/**
 * Downloads the chain. One for another key or other names never gets better, and ends the order; one that cannot be
 * read may have been damaged on the way.
 */
const download = async (work: OpenOrderWork, order: Order): Promise<Obtained> => {
  const { journal, request } = work
  const key = await journal.privateKey(() => generateKey(request.spec.keyType))
  const chainPem = await acceptedChain(work, order)
  const flaw = chainPem === null ? 'the order names none' : flawOf(chainPem, key, request.spec.names)
  if (chainPem !== null && flaw === null) return { kind: 'obtained', chainPem }
  throw await endOrder(work, `certificate: ${flaw}`)
}

/** Why an order is invalid; a failed validation is counted. */
const failed = async ({ client, notes, budget }: OpenOrderWork, order: Order): Promise<RotationError> => {
  const failure = await validationFailure(client, notes, order)
  if (failure.code === 'validation-failed') await budget.failed()
  else await budget.ended()
  return failure
}

/** What is done with an order whose names are all validated. */
type AtReady<Done> = (work: OpenOrderWork, order: Order) => Promise<Next | Done>

const drive = async <Done extends Validated>(
  work: OpenOrderWork,
  first: Order,
  atReady: AtReady<Done>,
  seen: (order: Order) => void,
): Promise<Obtained | Done> => {
  for (let order = first; ; ) {
    seen(order)
    let next: Next | Done
    switch (order.status) {
      case 'pending':
        next = await validate(work, order)
        break
      case 'ready':
        next = await atReady(work, order)
        break
      case 'processing':
        next = await poll(work, order, 'is issuing the certificate')
        break
      case 'valid':
        return download(work, order)
      case 'invalid':
        throw await failed(work, order)
    }
    if (next.kind !== 'order') return next
    order = next.order
  }
}

const advance = async <Done extends Validated>(
  work: OpenOrderWork,
  atReady: AtReady<Done>,
): Promise<Obtained | Done> => {
  const first = (await knownOrder(work)) ?? (await placeOrder(work))
  if ('kind' in first) return first
  let latest: Order = first
  try {
    return await drive(work, first, atReady, order => {
      latest = order
    })
  } catch (thrown) {
    throw await vanished(work, thrown)
  } finally {
    // Only a pending order still needs its values; a dropped one has none.
    if (latest.status !== 'pending' || work.notes.order() === null) await removeTxtValues(work)
  }
}

/** An order that is out of time goes on in a later run. */
const inTime = async <Done extends Validated>(
  work: OpenOrderWork,
  atReady: AtReady<Done>,
): Promise<Obtained | Done> => {
  const { run } = work.client.connection
  try {
    return await advance(work, atReady)
  } catch (thrown) {
    const resumable = work.notes.order() !== null && !run.signal.aborted
    if (!(thrown instanceof RotationError) || thrown.code !== 'out-of-time' || !resumable) throw thrown
    return { kind: 'suspended', until: run.clock.now(), why: `no time left (${iso(run.deadline)})` }
  }
}

/**
 * Obtains a certificate through one order (RFC 8555 section 7.4), going on where the journal says an earlier
 * run stopped. What a run of the CA's or of DNS's takes longer than this run has is `suspended`.
 * @throws RotationError `validation-failed` (a name could not be validated), `order-failed`,
 * `propagation-timeout`, `caa-forbids` and `delegation-mismatch` (both before the order is placed), those of
 * AcmeClient, and those of the DNS solver
 */
export async function obtainCertificate(given: OrderWork): Promise<Obtained> {
  const obtained = await inTime<never>({ ...given, notes: openNotes(given.journal) }, issue)
  const txt = openNotes(given.journal).txt()
  return obtained.kind === 'obtained' && txt.length > 0 ? { ...obtained, leftovers: { txt } } : obtained
}

/**
 * Drives an order until all its names are validated, and no further; then it is given up together with what was
 * validated, so that another one would validate anew. @throws RotationError as {@link obtainCertificate}
 */
export async function validateOnly(given: OrderWork): Promise<Suspended | Validated> {
  const work = { ...given, notes: openNotes(given.journal) }
  const validated: Validated = { kind: 'validated' }
  const outcome = await inTime(work, async () => validated)
  if (outcome.kind === 'suspended') return outcome
  const noted = work.notes.order()
  if (noted !== null) {
    const { authorizations } = await given.client.order(noted.url)
    for (const url of authorizations) await given.client.deactivate(url)
    await work.notes.dropped()
  }
  return validated
}
