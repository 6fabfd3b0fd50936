import { asRotationError, RotationError } from '../../base/rotation-error.ts'
import { DAY_MS } from '../../base/time.ts'
import type { AcmeClient } from '../protocol/client.ts'
import { problemOf, problemUrlOf } from '../protocol/problem.ts'
import type { Order } from '../protocol/resources.ts'
import type { OpenOrderWork } from './order-work.ts'

/** The order that the journal names, and what becomes of one that the CA no longer knows. */

const GONE: readonly string[] = ['malformed', 'unauthorized']

/** Whether there is nothing at a URL any more, or not there: a signed request cannot be redirected. */
const isNotThere = (status: number): boolean => status === 404 || (status >= 300 && status < 400)

/** Whether the CA says that there is no such order for this account, or has moved without it. */
const isGone = (client: AcmeClient, url: string, thrown: unknown): boolean => {
  const problem = problemOf(thrown)
  if (problem !== null) return isNotThere(problem.status) || GONE.includes(problem.type)
  const isElsewhere = new URL(client.newAccountUrl).origin !== new URL(url).origin
  return asRotationError(thrown).code === 'unreachable' && isElsewhere
}

/** The order of an earlier run, if it can still lead to a certificate. */
export async function knownOrder({ client, notes, budget }: OpenOrderWork): Promise<Order | null> {
  const noted = notes.order()
  if (noted === null) return null
  const { log, clock } = client.connection.run
  try {
    const order = await client.order(noted.url)
    await budget.placed()
    const ends = order.expires ?? noted.expires ?? Number.POSITIVE_INFINITY
    // A certificate is there for longer than its order; one that never comes is not waited for without end.
    const isOver = ends + (order.status === 'valid' ? DAY_MS : 0) <= clock.now()
    const told = { order: order.url, status: order.status }
    if (order.status !== 'invalid' && !isOver) {
      log.info(told, 'going on with the order of an earlier run')
      return order
    }
    log.info(told, 'the order of an earlier run is dead')
    if (order.status === 'invalid' && ends > clock.now()) await budget.failed()
    else await budget.ended()
  } catch (thrown) {
    if (!isGone(client, noted.url, thrown)) throw thrown
    log.info({ order: noted.url }, 'the CA no longer knows the order of an earlier run')
    await budget.ended()
  }
  await notes.dropped()
  return null
}

/** The error for a dead order, after it is dropped from the journal and the budget: the next run starts anew. */
export async function endOrder(
  { budget, client, notes }: OpenOrderWork,
  what: string,
  cause?: unknown,
): Promise<RotationError> {
  await notes.dropped()
  await budget.ended()
  return new RotationError('order-failed', `${client.connection.settings}: ${what}`, {
    cause,
    hint: 'The next run places a new order.',
  })
}

/** What is thrown for an error under way: an order, authorization or certificate that vanished ends the order. */
export async function vanished(work: OpenOrderWork, thrown: unknown): Promise<unknown> {
  const [problem, url] = [problemOf(thrown), problemUrlOf(thrown)]
  if (problem === null || url === null || work.notes.order() === null) return thrown
  const { cause } = thrown as Error
  // Only a new order may have another profile.
  if (problem.type === 'invalidProfile' && work.request.spec.profileFallback !== false)
    return endOrder(work, 'the profile of the order is no longer offered', cause)
  return isNotThere(problem.status) ? endOrder(work, `the CA no longer knows ${url}`, cause) : thrown
}
