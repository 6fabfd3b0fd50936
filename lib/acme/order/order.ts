import { asRotationError, RotationError } from '../../base/rotation-error.ts'
import { DAY_MS, iso, SECOND_MS } from '../../base/time.ts'
import type { CertificateRequest, Journal, Obtained } from '../../contracts.ts'
import { HttpFailure } from '../../http/http.ts'
import { generateKey } from '../../x509/key.ts'
import type { AcmeClient } from '../protocol/client.ts'
import { problemOf } from '../protocol/problem.ts'
import type { Order } from '../protocol/resources.ts'
import { pause } from '../protocol/transport.ts'
import type { Budget } from './budget.ts'
import { acceptedChain, flawOf } from './chains.ts'
import { createCsr } from './csr.ts'
import type { Dns01 } from './dns01.ts'
import { type Notes, openNotes } from './journal.ts'
import { isGone, lost } from './lost.ts'
import { asked, isRefusal, predecessorOf, profileFor } from './new-order.ts'
import { authorize, validationFailure } from './validation.ts'

/** One order being driven to its certificate. */
export interface OrderWork {
  readonly client: AcmeClient
  readonly dns: Dns01
  readonly request: CertificateRequest
  readonly journal: Journal
  readonly budget: Budget
}

export type Suspended = Extract<Obtained, { kind: 'suspended' }>

interface World extends OrderWork {
  readonly notes: Notes
  /** Nothing is issued: the order ends when its names are validated. */
  readonly validateOnly: boolean
}

const VALIDATED = { kind: 'validated' } as const

/** What a step of an order comes to: the order as the CA shows it now, or a wait for a later run. */
type Next = { readonly kind: 'order'; readonly order: Order } | Suspended

/** Of an order whose end the CA does not tell, though it should (RFC 8555 section 7.1.3). */
const LIFE_MS = 7 * DAY_MS
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

// --- the order: an old one or a new one ------------------------------------------------------------------------

/** The order of an earlier run, if it can still lead to a certificate. */
const resumed = async ({ client, notes, budget }: World): Promise<Order | null> => {
  const noted = notes.order()
  if (noted === null) return null
  const { run } = client.connection
  try {
    const order = await client.order(noted.url)
    await budget.placed()
    const ends = order.expires ?? noted.expires ?? Number.POSITIVE_INFINITY
    // A certificate is there for longer than its order; one that never comes is not waited for without end.
    const isOver = ends + (order.status === 'valid' ? DAY_MS : 0) <= run.clock.now()
    if (order.status !== 'invalid' && !isOver) {
      run.log.info({ order: order.url, status: order.status }, 'going on with the order of an earlier run')
      return order
    }
    run.log.info({ order: order.url, status: order.status }, 'the order of an earlier run is dead')
    if (order.status === 'invalid' && ends > run.clock.now()) await budget.failed()
    else await budget.ended()
  } catch (thrown) {
    if (!isGone(client, noted.url, thrown)) throw thrown
    run.log.info({ order: noted.url }, 'the CA no longer knows the order of an earlier run')
    await budget.ended()
  }
  await notes.dropped()
  return null
}

/** Places a new order (RFC 8555 section 7.4). It is counted before it is placed: no crash loop orders for ever. */
const placed = async (world: World): Promise<Order> => {
  const { budget, client, dns, notes, request } = world
  const { run } = client.connection
  // Values of a dead order: its authorizations are abandoned.
  await sweep(world)
  const { names } = request.spec
  const profile = profileFor(world)
  await dns.prepare(names, client.issuer, request.emergency)
  await client.ready()
  await budget.order()
  const order = await asked(world, { names, profile, replaces: predecessorOf(world) }).catch(
    async (thrown: unknown) => {
      if (isRefusal(thrown)) await budget.refused()
      throw thrown
    },
  )
  await notes.placed({ ...order, expires: order.expires ?? run.clock.now() + LIFE_MS })
  await budget.placed()
  run.log.info({ order: order.url, status: order.status, names }, 'order placed')
  return order
}

/** Removes the values of the journal; those that stay are tried again by a later run. Never throws. */
const sweep = async ({ client, dns, notes }: World): Promise<void> => {
  const { run } = client.connection
  if (notes.txt().length === 0 || run.signal.aborted) return
  const left = await dns.remove(notes.txt())
  try {
    await notes.removed(left)
  } catch (thrown) {
    run.log.warn({}, `the journal still names removed TXT values: ${asRotationError(thrown).message}`)
  }
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
  const { budget, client, journal, request, notes } = world
  const { settings } = client.connection
  const key = await journal.privateKey(() => generateKey(request.spec.keyType))
  const chainPem = order.certificate === null ? null : await acceptedChain(world, order)
  const flaw = chainPem === null ? 'the order names none' : flawOf(chainPem, key, request.spec.names)
  if (chainPem !== null && flaw === null) return { kind: 'obtained', chainPem }
  await notes.dropped()
  await budget.ended()
  throw new RotationError('order-failed', `${settings}: certificate: ${flaw}`, {
    hint: 'The next run places a new order.',
  })
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
): Promise<Obtained | typeof VALIDATED> => {
  for (let order = first; ; ) {
    seen(order)
    let next: Next
    switch (order.status) {
      case 'pending':
        next = await validate(world, order)
        break
      case 'ready':
        if (world.validateOnly) return VALIDATED
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

const advance = async (world: World): Promise<Obtained | typeof VALIDATED> => {
  const first = (await resumed(world)) ?? (await placed(world))
  let latest = first
  try {
    return await drive(world, first, order => {
      latest = order
    })
  } catch (thrown) {
    throw await lost(world, thrown)
  } finally {
    // Only a pending order still needs its values; a dropped one has none.
    if (latest.status !== 'pending' || world.notes.order() === null) await sweep(world)
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
export async function validateOnly(work: OrderWork): Promise<Suspended | typeof VALIDATED> {
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
  return VALIDATED
}

/** An order that is out of time goes on in a later run. */
async function inTime(world: World): Promise<Obtained | typeof VALIDATED> {
  const { run } = world.client.connection
  try {
    return await advance(world)
  } catch (thrown) {
    const resumable = world.notes.order() !== null && !run.signal.aborted
    if (!(thrown instanceof RotationError) || thrown.code !== 'out-of-time' || !resumable) throw thrown
    return { kind: 'suspended', until: run.clock.now(), why: `no time left (${iso(run.deadline)})` }
  }
}
