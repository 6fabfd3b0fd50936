import { asRotationError, RotationError } from '../../base/rotation-error.ts'
import type { CertificateRequest, Journal, Obtained, Run, SourceMemory } from '../../contracts.ts'
import type { ErrorCode } from '../../model/errors.ts'
import { asObject, problemOf } from '../protocol/problem.ts'
import type { Budget } from './budget.ts'
import { openNotes } from './journal.ts'
import { type Suspended, type Validated, validateOnly } from './order.ts'
import type { OrderWork } from './order-work.ts'

/**
 * A failed validation costs one of five an hour at the CA (and many in a row pause the account), so the next one is
 * tried in the CA's test environment first. What only the test environment is to blame for stops nothing.
 */

type Notes = Readonly<Record<string, unknown>>

const stagingIn = ({ staging }: Notes): Notes => asObject(staging)

/** A part of a source's memory for its staging environment: account, directory and budget of its own. */
export const stagingMemory = (memory: SourceMemory): SourceMemory => ({
  read: async () => stagingIn(await memory.read()),
  update: change =>
    memory.update(notes => {
      const before = stagingIn(notes)
      const after = change(before)
      return after === before ? notes : { ...notes, staging: after }
    }),
  secret: (name, make) => memory.secret(`staging-${name}`, make),
  forget: name => memory.forget(`staging-${name}`),
})

const rehearsalIn = ({ rehearsal }: Notes): Notes => asObject(rehearsal)

const withPart = (main: Notes, part: Notes): Notes =>
  Object.keys(part).length === 0 ? main : { ...main, rehearsal: part }

const keyless = (): Promise<never> =>
  Promise.reject(new RotationError('internal', 'a rehearsal has no private key'))

/** What a journal says of the rehearsal: an order and TXT values of its own, never a key. */
export const rehearsalJournal = (journal: Journal): Journal => ({
  get notes() {
    return rehearsalIn(journal.notes)
  },
  write: notes => {
    const { rehearsal: _, ...main } = journal.notes
    return journal.write(withPart(main, notes))
  },
  privateKey: keyless,
  adoptKey: keyless,
})

/** The rest of the journal, written without losing what it says of the rehearsal. */
export const mainJournal = (journal: Journal): Journal => ({
  get notes() {
    const { rehearsal: _, ...main } = journal.notes
    return main
  },
  write: notes => journal.write(withPart(notes, rehearsalIn(journal.notes))),
  privateKey: journal.privateKey,
  adoptKey: journal.adoptKey,
})

/** TXT values of the rehearsal that could not be removed are left over like any other. */
export function withRehearsal(obtained: Obtained, journal: Journal): Obtained {
  const rehearsal = rehearsalIn(journal.notes)
  if (obtained.kind !== 'obtained' || Object.keys(rehearsal).length === 0) return obtained
  return { ...obtained, leftovers: { ...obtained.leftovers, rehearsal } }
}

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

interface Rehearsal {
  readonly request: CertificateRequest
  readonly journal: Journal
  /** Of the production environment. */
  readonly budget: Budget
  readonly run: Run
}

type Validate = (
  work: (parts: Pick<OrderWork, 'client' | 'dns' | 'budget'>) => Promise<Suspended | Validated>,
) => Promise<Suspended | Validated>

/**
 * Rehearses if the last validation of these names failed and no order is under way; null: production may be asked.
 * `validate` runs work with the staging account. @throws RotationError `validation-failed` and those of the DNS
 * solver
 */
export async function rehearse(rehearsal: Rehearsal, validate: Validate): Promise<Suspended | null> {
  const { request, journal, budget, run } = rehearsal
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
