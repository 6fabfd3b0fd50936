import { asRotationError } from '../../base/rotation-error.ts'
import type { Run } from '../../contracts.ts'
import { problemOf } from '../protocol/problem.ts'

/** When a CA takes orders of the account again, by directory; as long as the run. */
const closed = new WeakMap<Run, Map<string, number>>()

interface Asked {
  readonly directoryUrl: string
  readonly run: Run
}

/** Until when the CA takes no order of the account, whatever its names; null: nothing of that is known. */
export function ordersFrom({ run, directoryUrl }: Asked): number | null {
  const until = closed.get(run)?.get(directoryUrl) ?? 0
  return until > run.clock.now() ? until : null
}

/**
 * Remembers a refusal that is for the number of orders of the account (RFC 8555 section 6.6 has one type for all limits,
 * so that only words tell): the other certificates of the run need not ask. https://letsencrypt.org/docs/rate-limits/
 */
export function noteAccountLimit({ run, directoryUrl }: Asked, thrown: unknown): void {
  const problem = problemOf(thrown)
  const { retryAt } = asRotationError(thrown)
  if (problem?.type !== 'rateLimited' || retryAt === null) return
  if (!/\borders\b.*\baccount\b/i.test(problem.detail)) return
  const known = closed.get(run) ?? new Map<string, number>()
  closed.set(run, known.set(directoryUrl, retryAt))
}
