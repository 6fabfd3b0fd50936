import { asRotationError } from '../../base/rotation-error.ts'
import type { CertificateRequest, Journal, Run } from '../../contracts.ts'
import type { ErrorCode } from '../../model/errors.ts'
import { problemOf } from '../protocol/problem.ts'
import type { Budget } from './budget.ts'
import { openNotes } from './journal.ts'
import { type OrderWork, type Suspended, validateOnly } from './order.ts'
import { mainJournal, rehearsalJournal } from './staging.ts'

/**
 * A failed validation costs one of five an hour at the CA (and many in a row pause the account), so the next one is
 * tried in the CA's test environment first. What only the test environment is to blame for stops nothing.
 */

/** Failures that may be the test environment's own: production may work all the same. */
const ITS_OWN: readonly ErrorCode[] = [
  'unreachable',
  'unavailable',
  'ca-rejected',
  'order-failed',
  'rate-limited',
]

const saysNothing = (thrown: unknown): boolean => {
  const problem = problemOf(thrown)
  const { code } = asRotationError(thrown)
  // CAA may name the production account, which staging is not (RFC 8657 section 3).
  if (problem?.type === 'caa' || code === 'caa-forbids') return true
  // Our own budget speaks without a problem of the CA.
  return ITS_OWN.includes(code) && !(code === 'rate-limited' && problem === null)
}

interface Doubt {
  readonly request: CertificateRequest
  readonly journal: Journal
  /** Of the production environment. */
  readonly budget: Budget
  readonly run: Run
}

type Validate = (
  work: (parts: Pick<OrderWork, 'client' | 'dns' | 'budget'>) => Promise<Suspended | { kind: 'validated' }>,
) => Promise<Suspended | { kind: 'validated' }>

/**
 * Rehearses if the last validation of these names failed and no order is under way; null: production may be asked.
 * `validate` runs work with the staging account. @throws RotationError `validation-failed` and those of the DNS
 * solver
 */
export async function rehearse(doubt: Doubt, validate: Validate): Promise<Suspended | null> {
  const { request, journal, budget, run } = doubt
  if (openNotes(mainJournal(journal)).order() !== null || !(await budget.isDoubtful())) return null
  const { names } = request.spec
  try {
    const spec = { ...request.spec, profileFallback: true }
    const part = { request: { ...request, spec, replaces: null }, journal: rehearsalJournal(journal) }
    const outcome = await validate(parts => validateOnly({ ...parts, ...part }))
    if (outcome.kind === 'suspended') return { ...outcome, why: `rehearsal on staging: ${outcome.why}` }
    run.log.info({ names }, 'the rehearsal on staging went well')
    await budget.validated()
  } catch (thrown) {
    if (!saysNothing(thrown)) throw thrown
    run.log.warn({ names }, `no rehearsal on staging: ${asRotationError(thrown).message}`)
  }
  return null
}
