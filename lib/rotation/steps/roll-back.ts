import { RotationError } from '../../base/rotation-error.ts'
import type { Slot } from '../../model/certificate.ts'
import type { ErrorCode } from '../../model/errors.ts'
import type { Replaced } from '../../state/documents.ts'
import type { Lease } from '../../state/lease.ts'
import { type Context, changed, targetDocument } from '../context.ts'
import { revokedHere, unfitToReturn } from '../observe/way-back.ts'
import { freeze, kindInSlot } from '../rings/await-turn.ts'
import { done, type StepResult, skipped, warn } from '../trace.ts'
import { type Bound, putBinding } from './bind.ts'
import { configBack } from './ocsp-stapling.ts'
import { type Ending, type Proof, promote } from './record.ts'
import { ANYBODY, watchPort } from './verify.ts'

/** Puts the predecessor back when verify said so, and sees that it is served again. */
export async function rollBack(
  context: Context,
  lease: Lease,
  bound: Bound,
  proof: Proof,
): Promise<StepResult<Ending>> {
  if (proof.kind !== 'bad') return skipped(proof, 'not needed')
  const { inspection, binding } = bound
  const { why } = proof
  const replaced = binding.replaces
  if (!replaced || replaced === 'first') throw changed('there is nothing to put back')
  const kind = binding.kind ?? kindInSlot(context, inspection, binding.serverCertificateId)
  const obstacle = await inTheWayBack(context, bound, replaced)
  if (obstacle !== null) {
    if (kind) await freeze(context, kind, why)
    await promote(context, bound, why)
    throw new RotationError('not-served', `the bound certificate is not served: ${why}`, {
      hint: `The previous certificate ${obstacle}, so there is no way back: another one is obtained after the back-off.`,
    })
  }
  await targetDocument(context)
    .update(d => ({ ...d, pending: d.pending && { ...d.pending, failedWhy: why } }))
    .catch(error => {
      // A later run would verify again and come to the same: putting back must not wait for a disk.
      if (!isStoreDown(error)) throw error
      warn(context, 'state-not-written', error.message)
    })
  await putBack(context, lease, bound, replaced)
  if (kind) await freeze(context, kind, why)
  if (replaced.fingerprint !== null) {
    const wanted = replaced.fingerprint
    const silent = replaced.silent ?? []
    const state = await watchPort(context, { ...ANYBODY, wanted, old: [binding.fingerprint], silent })
    if (state.kind !== 'new')
      warn(context, 'rollback-unverified', `the previous certificate is bound again, but ${state.where}`)
  }
  return done(
    { kind: 'rolled-back', why },
    `${replaced.serverCertificateId} is bound again: ${why}`,
    'UpdateDomainConfiguration',
  )
}

const predecessorOf = ({ inspection }: Bound, { serverCertificateId }: Replaced): Slot | undefined =>
  inspection.slots.find(s => s.serverCertificateId === serverCertificateId)

/** What is wrong with the predecessor; null: it may be put back. */
async function inTheWayBack(context: Context, bound: Bound, replaced: Replaced): Promise<string | null> {
  const predecessor = predecessorOf(bound, replaced)
  if (!predecessor) return 'is gone'
  if (predecessor.expiryDate <= context.run.clock.now()) return 'has expired'
  // This run saw for itself what was replaced, and that devices lived with it; else it is only remembered.
  const wasSeen = bound.inspection.bound?.serverCertificateId === replaced.serverCertificateId
  return wasSeen ? revokedHere(context, predecessor) : unfitToReturn(context, predecessor)
}

/**
 * Whether a failed bind is only remembered, with a predecessor that must not be bound: then devices are asked again,
 * since whoever wrote that down may have meant to have another certificate bound.
 */
export async function isDoubtful(context: Context, bound: Bound): Promise<boolean> {
  const { replaces } = bound.binding
  if (!replaces || replaces === 'first') return true
  const predecessor = predecessorOf(bound, replaces)
  return predecessor !== undefined && (await unfitToReturn(context, predecessor)) !== null
}

async function putBack(
  context: Context,
  lease: Lease,
  { inspection: { configuration }, binding }: Bound,
  replaced: Replaced,
): Promise<void> {
  const { iotda, run } = context
  if (!configuration) throw changed('the domain configuration is gone')
  await lease.guard().catch(error => {
    // A full disk must not leave devices with what they refuse; a lease that another run has taken must.
    if (!isStoreDown(error)) throw error
    warn(context, 'state-not-written', `the lease could not be prolonged: ${error.message}`)
  })
  const now = await iotda.showDomainConfiguration(configuration.configurationId, run.signal)
  if (now.serverCertificateId === replaced.serverCertificateId) return
  if (now.serverCertificateId !== binding.serverCertificateId)
    throw changed(`${now.serverCertificateId} was bound meanwhile`)
  await putBinding(
    context,
    now,
    replaced.serverCertificateId,
    configBack(now, replaced, binding.staplingBack),
  )
  await targetDocument(context)
    .update(d => ({ ...d, lastBoundAt: run.clock.now() }))
    .catch(error => warn(context, 'state-not-written', (error as Error).message))
}

/** Somebody else is at work, or the run is over. */
const OTHERS: readonly ErrorCode[] = ['store-conflict', 'lease-lost', 'changed', 'out-of-time']

/** Whether the store does not do its work, for whatever reason: devices come first then. */
const isStoreDown = (error: unknown): error is RotationError =>
  error instanceof RotationError && !OTHERS.includes(error.code)
