import { asRotationError, RotationError } from '../../base/rotation-error.ts'
import { abortAfter, formatDuration, iso, SECOND_MS } from '../../base/time.ts'
import type { CertificateRequest, Inventory } from '../../contracts.ts'
import type { Leaf } from '../../model/certificate.ts'
import type { DueReason } from '../../model/outcomes.ts'
import { covers } from '../../x509/certificate.ts'
import { type Context, type RotationSetup, sourceNamed } from '../context.ts'
import type { Decided, Decision } from '../decide/decision.ts'
import { warn } from '../trace.ts'
import type { Inspection } from './inspection.ts'

/** Certificates that a source holds without an order: whether there is a newer one, and what else is to be said. */

type Validity = Pick<Leaf, 'notBefore' | 'notAfter'>

/** Whether that source makes no certificates to order, but holds what others make. */
export const isHolder = (context: Pick<RotationSetup, 'sources' | 'spec'>, source?: string): boolean =>
  sourceNamed(context, source).inventory !== undefined

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
}: Pick<RotationSetup, 'spec' | 'sources' | 'run' | 'target'>): Promise<Inspection['inventory']> {
  const source = sourceNamed({ spec, sources })
  if (!source.inventory) return null
  const { signal, clear } = abortAfter(WITHIN_MS, run.signal)
  try {
    return { holds: await source.inventory({ ...run, signal }), failure: null }
  } catch (thrown) {
    const isSlow = signal.aborted && !run.signal.aborted
    const failure = isSlow
      ? new RotationError('unavailable', `no answer within ${formatDuration(WITHIN_MS)}`, { cause: thrown })
      : asRotationError(thrown)
    run.log.warn({ target: target.name }, `what the source holds is not known: ${failure.message}`)
    return { holds: null, failure }
  } finally {
    clear()
  }
}

/** A person, or changed settings, may ask for one that is older than what is bound; never for the same. */
const ANY_OTHER: readonly string[] = ['forced', 'settings-changed'] satisfies readonly DueReason[]

/** What is news to this target: see {@link CertificateRequest}. */
export const newsFor =
  (
    { bound, documents }: Pick<Inspection, 'bound' | 'documents'>,
    { reason }: Pick<Decision, 'reason'>,
  ): CertificateRequest['isNews'] =>
  inventory => {
    const leaf = bound?.slot?.leaf
    if (!leaf) return true
    if (!isAnother(inventory, leaf)) return false
    const isUnusable = documents.target.rolledBack.includes(leaf.fingerprint)
    const isLater = isNewer(inventory, leaf) || inventory.notAfter > leaf.notAfter
    return isUnusable || ANY_OTHER.includes(reason) || isLater
  }

/** Names that the settings ask for and a certificate does not have. */
export const missingNames = (names: readonly string[], wanted: readonly string[]): readonly string[] =>
  wanted.filter(name => !covers(names, name))

/**
 * Says what is wrong with the source. What a person has to mend is a failure although nothing is due, and not only
 * when the bound certificate is about to end. @throws RotationError
 */
export function noteInventory(context: Context, { inspection, decision }: Decided): void {
  const { spec, event, run } = context
  if (!inspection.inventory) return
  const { holds, failure } = inspection.inventory
  const source = spec.sources[0] ?? ''
  const isIdle = decision.reason === 'fresh'
  if (failure && failure.retry === 'never' && isIdle && event.action !== 'status') throw failure
  const say = (what: string): void => warn(context, 'source', `sources.${source}: ${what}`)
  if (failure) say(failure.message)
  if (!holds) return
  if (holds.trouble !== null) say(holds.trouble)
  // A run says so by its failure.
  const isAsked = decision.plan === 'deploy' && event.action !== 'rotate'
  if (isAsked && !newsFor(inspection, decision)(holds)) say('it holds nothing newer than what is bound')
  if (holds.notAfter <= run.clock.now()) say(`what it holds expired at ${iso(holds.notAfter)}`)
  const missing = missingNames(holds.names, spec.names)
  if (missing.length > 0) say(`what it holds is not for ${missing.join(', ')}`)
}

/** @throws RotationError `certificate-invalid` when the leaf of a holder lacks a name that the settings ask for */
export function requireNames({ spec }: Pick<RotationSetup, 'spec'>, source: string, leaf: Leaf): void {
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
