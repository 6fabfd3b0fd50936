import { asRotationError, RotationError } from '../../base/rotation-error.ts'
import { abortAfter, formatDuration, iso, SECOND_MS } from '../../base/time.ts'
import type { CertificateRequest, Inventory } from '../../contracts.ts'
import type { Leaf } from '../../model/certificate.ts'
import type { DueReason } from '../../model/outcomes.ts'
import { covers } from '../../x509/certificate.ts'
import { type Inspection, type Job, sourceNamed, type World, warn } from '../world.ts'

/** Certificates that a source holds without an order: whether there is a newer one, and what else is to be said. */

type Validity = Pick<Leaf, 'notBefore' | 'notAfter'>

/** Whether that source makes no certificates to order, but holds what others make. */
export const isHolder = (world: Pick<World, 'sources' | 'spec'>, source?: string): boolean =>
  sourceNamed(world, source).inventory !== undefined

/** Whether it is certainly not that leaf; one that cannot be read may be any. */
export const isAnother = ({ serial }: Inventory, leaf: Leaf | null): boolean =>
  leaf !== null && bare(serial) !== bare(leaf.serial)
const bare = (serial: string): string => serial.replace(/^0+/, '')

/** Issued later; where both were issued at once, with the later end. */
export const isNewer = ({ notBefore, notAfter }: Inventory, than: Validity): boolean =>
  notBefore > than.notBefore || (notBefore === than.notBefore && notAfter > than.notAfter)

/** Nothing else of a run waits for it longer than that. */
const WITHIN_MS = 10 * SECOND_MS

/** Asks the first source what it holds. Never throws; null when it makes certificates to order. */
export async function readInventory({
  spec,
  sources,
  run,
  target,
}: Pick<World, 'spec' | 'sources' | 'run' | 'target'>): Promise<Inspection['inventory']> {
  const source = sourceNamed({ spec, sources })
  if (!source.inventory) return null
  const { signal, clear } = abortAfter(WITHIN_MS, run.signal)
  try {
    return { held: await source.inventory({ ...run, signal }), failure: null }
  } catch (thrown) {
    const isSlow = signal.aborted && !run.signal.aborted
    const failure = isSlow
      ? new RotationError('unavailable', `no answer within ${formatDuration(WITHIN_MS)}`, { cause: thrown })
      : asRotationError(thrown)
    run.log.warn({ target: target.name }, `what the source holds is not known: ${failure.message}`)
    return { held: null, failure }
  } finally {
    clear()
  }
}

/** A person, or changed settings, may ask for one that is older than what is bound; never for the same. */
const ANY_OTHER: readonly string[] = ['forced', 'settings-changed'] satisfies readonly DueReason[]

/** What is news to this target: see {@link CertificateRequest}. */
export const newsFor =
  ({ inspection: { bound, documents }, verdict: { reason } }: Job): CertificateRequest['isNews'] =>
  inventory => {
    const slot = bound?.slot
    if (!slot?.leaf) return true
    const { leaf } = slot
    if (!isAnother(inventory, leaf)) return false
    const isUnusable = documents.target.rolledBack.includes(leaf.fingerprint)
    return (
      isUnusable ||
      ANY_OTHER.includes(reason) ||
      isNewer(inventory, leaf) ||
      inventory.notAfter > leaf.notAfter
    )
  }

/** Names that the settings ask for and a certificate does not have. */
export const missingNames = (names: readonly string[], wanted: readonly string[]): readonly string[] =>
  wanted.filter(name => !covers(names, name))

/**
 * Says what is wrong with the source. What a person has to mend is a failure although nothing is due, and not only
 * when the bound certificate is about to end. @throws RotationError
 */
export function noteInventory({ spec, event, run }: World, job: Job): void {
  const { inventory } = job.inspection
  if (!inventory) return
  const { held, failure } = inventory
  const source = spec.sources[0] ?? ''
  const isIdle = job.verdict.reason === 'fresh'
  if (failure && failure.retry === 'never' && isIdle && event.action !== 'status') throw failure
  if (failure) warn(job, 'source', `sources.${source}: ${failure.message}`)
  if (!held) return
  const said = (what: string): void => warn(job, 'source', `sources.${source}: ${what}`)
  if (held.trouble !== null) said(held.trouble)
  // A run says so by its failure.
  const isAsked = job.verdict.plan === 'deploy' && event.action !== 'rotate'
  if (isAsked && !newsFor(job)(held)) said('it holds nothing newer than what is bound')
  if (held.notAfter <= run.clock.now()) said(`what it holds expired at ${iso(held.notAfter)}`)
  const missing = missingNames(held.names, spec.names)
  if (missing.length > 0) said(`what it holds is not for ${missing.join(', ')}`)
}

/** @throws RotationError `certificate-invalid` when the leaf of a holder lacks a name that the settings ask for */
export function requireNames({ spec }: World, source: string, leaf: Leaf): void {
  const missing = missingNames(leaf.names, spec.names)
  if (missing.length === 0) return
  const has = leaf.names.join(', ') || 'none'
  throw new RotationError(
    'certificate-invalid',
    `source ${source} holds a certificate whose names (${has}) do not cover ${missing.join(', ')}`,
    {
      retry: 'never',
      hint: `Nothing on IoTDA was changed. Get a certificate with these names, or change certificates.${spec.name}.names.`,
    },
  )
}

/** @throws RotationError `preflight-refused` for a leaf that had to be rolled back before, unless it is accepted */
export function refuseRolledBack(
  fingerprint: string,
  rolledBack: readonly string[],
  accept: string | null,
): void {
  if (!rolledBack.includes(fingerprint) || accept === fingerprint) return
  throw new RotationError(
    'preflight-refused',
    'it had to be rolled back before, and is not bound again unattended',
    {
      retry: 'never',
      hint: `The bound certificate stays. Have another one issued, or bind exactly this one: --accept ${fingerprint}`,
    },
  )
}
