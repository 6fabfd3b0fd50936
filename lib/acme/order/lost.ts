import { asRotationError, RotationError } from '../../base/rotation-error.ts'
import type { CertificateRequest } from '../../contracts.ts'
import type { AcmeClient } from '../protocol/client.ts'
import { problemOf, problemUrlOf } from '../protocol/problem.ts'
import type { Budget } from './budget.ts'
import type { Notes } from './journal.ts'

/** What a CA no longer knows. */

interface Ordering {
  readonly budget: Budget
  readonly client: AcmeClient
  readonly notes: Notes
  readonly request: CertificateRequest
}

const GONE: readonly string[] = ['malformed', 'unauthorized']

/** Whether there is nothing at a URL any more, or not there: a signed request cannot be redirected. */
const isNotThere = (status = 0): boolean => status === 404 || (status >= 300 && status < 400)

/** Whether the CA says that there is no such order for this account, or has moved without it. */
export const isGone = (client: AcmeClient, url: string, thrown: unknown): boolean => {
  const problem = problemOf(thrown)
  if (problem !== null) return isNotThere(problem.status) || GONE.includes(problem.type)
  const isElsewhere = new URL(client.newAccountUrl).origin !== new URL(url).origin
  return asRotationError(thrown).code === 'unreachable' && isElsewhere
}

const later = ({ connection }: AcmeClient, what: string, thrown: unknown): RotationError =>
  new RotationError('order-failed', `${connection.settings}: ${what}`, {
    cause: (thrown as Error).cause,
    hint: 'The next run places a new order.',
  })

/** An order, authorization or certificate that vanished under the run: the next run starts anew. */
export const lost = async (
  { budget, client, notes, request }: Ordering,
  thrown: unknown,
): Promise<unknown> => {
  const [problem, url] = [problemOf(thrown), problemUrlOf(thrown)]
  if (problem === null || url === null || notes.order() === null) return thrown
  // Only a new order may have another profile.
  const isProfileGone = problem.type === 'invalidProfile' && request.spec.profileFallback !== false
  if (!isNotThere(problem.status) && !isProfileGone) return thrown
  await notes.dropped()
  await budget.ended()
  if (isProfileGone) return later(client, 'the profile of the order is no longer offered', thrown)
  return later(client, `the CA no longer knows ${url}`, thrown)
}
