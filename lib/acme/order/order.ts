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

interface World extends OpenOrderWork {
  /** Nothing is issued: the order ends when its names are validated. */
  readonly validateOnly: boolean
}

/** What a step of an order comes to: the order as the CA shows it now, or a wait for a later run. */
type Next = { readonly kind: 'order'; readonly order: Order } | Suspended

const POLL_FIRST_MS = SECOND_MS
const POLL_MOST_MS = 10 * SECOND_MS
const RETRY_AFTER_MOST_MS = 30 * SECOND_MS

const pollDelayMs = (order: Order, attempt: number, now: number): number =>
  order.retryAt === null
    ? Math.min(POLL_FIRST_MS * 2 ** attempt, POLL_MOST_MS)
    : Math.min(Math.max(order.retryAt - now, SECOND_MS), RETRY_AFTER_MOST_MS)

/** Reads the order until its status changes (RFC 8555 section 7.4). Only the order: it follows its authorizations. */
const poll = async ({ client }: World, first: Order, what: string): Promise<Next> => {
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

const validate = async (world: World, order: Order): Promise<Next> => {
  const outcome = await authorize(world, world.request.spec.names, order)
  if (outcome.kind === 'suspended') return outcome
  const next = await poll(world, order, 'has not yet validated every name')
  if (next.kind === 'order' && next.order.status !== 'invalid') await world.budget.validated()
  return next
}

/** Whether no answer came, so that the request may or may not have taken effect. */
const isAmbiguous = (thrown: unknown): boolean =>
  thrown instanceof RotationError && thrown.cause instanceof HttpFailure

/** Sends the CSR (RFC 8555 section 7.4). A lost answer is no failed request: the order is read before anything else. */
const finalize = async (world: World, order: Order): Promise<Next> => {
  const { client, journal, request } = world
  const key = await journal.privateKey(() => generateKey(request.spec.keyType))
  const csr = await createCsr(request.spec.names, key)
  for (const last of [false, true]) {
    try {
      const answer = await client.finalize(order, csr)
      return answer.status === 'ready'
        ? await poll(world, answer, 'has not yet begun to issue')
        : { kind: 'order', order: answer }
    } catch (thrown) {
      // A CA may show an order as ready a moment before its finalize believes it.
      const notReady = problemOf(thrown)?.type === 'orderNotReady'
      if (!notReady && asRotationError(thrown).code !== 'unavailable') throw thrown
      const seen = await client.order(order.url)
      if (seen.status !== 'ready') return { kind: 'order', order: seen }
      if (last || !(notReady || isAmbiguous(thrown))) throw thrown
    }
  }
  throw new RotationError('internal', `${client.connection.settings}: finalize: no verdict`)
}

/**
 * Downloads the chain. One for another key or other names never gets better, and ends the order; one that cannot be
 * read may have been damaged on the way.
 */
const download = async (world: World, order: Order): Promise<Obtained> => {
  const { journal, request } = world
  const key = await journal.privateKey(() => generateKey(request.spec.keyType))
  const chainPem = await acceptedChain(world, order)
  const flaw = chainPem === null ? 'the order names none' : flawOf(chainPem, key, request.spec.names)
  if (chainPem !== null && flaw === null) return { kind: 'obtained', chainPem }
  throw await endOrder(world, `certificate: ${flaw}`)
}

/** Why an order is invalid; a failed validation is counted. */
const failed = async ({ client, notes, budget }: World, order: Order): Promise<RotationError> => {
  const failure = await validationFailure(client, notes, order)
  if (failure.code === 'validation-failed') await budget.failed()
  else await budget.ended()
  return failure
}

const drive = async (
  world: World,
  first: Order,
  seen: (order: Order) => void,
): Promise<Obtained | Validated> => {
  for (let order = first; ; ) {
    seen(order)
    let next: Next
    switch (order.status) {
      case 'pending':
        next = await validate(world, order)
        break
      case 'ready':
        if (world.validateOnly) return { kind: 'validated' }
        next = await finalize(world, order)
        break
      case 'processing':
        next = await poll(world, order, 'is issuing the certificate')
        break
      case 'valid':
        return download(world, order)
      case 'invalid':
        throw await failed(world, order)
    }
    if (next.kind === 'suspended') return next
    order = next.order
  }
}

const advance = async (world: World): Promise<Obtained | Validated> => {
  const first = (await knownOrder(world)) ?? (await placeOrder(world))
  let latest = first
  try {
    return await drive(world, first, order => {
      latest = order
    })
  } catch (thrown) {
    throw await vanished(world, thrown)
  } finally {
    // Only a pending order still needs its values; a dropped one has none.
    if (latest.status !== 'pending' || world.notes.order() === null) await removeTxtValues(world)
  }
}

/**
 * Obtains a certificate through one order (RFC 8555 section 7.4), going on where the journal says an earlier
 * run stopped. What a run of the CA's or of DNS's takes longer than this run has is `suspended`.
 * @throws RotationError `validation-failed` (a name could not be validated), `order-failed`,
 * `propagation-timeout`, `caa-forbids` and `delegation-mismatch` (both before the order is placed), those of
 * AcmeClient, and those of the DNS solver
 */
export async function obtainCertificate(work: OrderWork): Promise<Obtained> {
  const obtained = await inTime({ ...work, notes: openNotes(work.journal), validateOnly: false })
  if (obtained.kind === 'validated') throw new RotationError('internal', 'an order stopped before its end')
  const txt = openNotes(work.journal).txt()
  return obtained.kind === 'obtained' && txt.length > 0 ? { ...obtained, leftovers: { txt } } : obtained
}

/**
 * Drives an order until all its names are validated, and no further; then it is given up together with what was
 * validated, so that another one would validate anew. @throws RotationError as {@link obtainCertificate}
 */
export async function validateOnly(work: OrderWork): Promise<Suspended | Validated> {
  const { client, journal } = work
  const outcome = await inTime({ ...work, notes: openNotes(journal), validateOnly: true })
  if (outcome.kind === 'suspended') return outcome
  const notes = openNotes(journal)
  const noted = notes.order()
  if (noted !== null) {
    const { authorizations } = await client.order(noted.url)
    for (const url of authorizations) await client.deactivate(url)
    await notes.dropped()
  }
  return { kind: 'validated' }
}

/** An order that is out of time goes on in a later run. */
async function inTime(world: World): Promise<Obtained | Validated> {
  const { run } = world.client.connection
  try {
    return await advance(world)
  } catch (thrown) {
    const resumable = world.notes.order() !== null && !run.signal.aborted
    if (!(thrown instanceof RotationError) || thrown.code !== 'out-of-time' || !resumable) throw thrown
    return { kind: 'suspended', until: run.clock.now(), why: `no time left (${iso(run.deadline)})` }
  }
}
