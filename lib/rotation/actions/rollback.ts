import { RotationError } from '../../base/rotation-error.ts'
import type { Slot } from '../../model/certificate.ts'
import type { TargetResult } from '../../report/result.ts'
import type { TargetDocument } from '../../state/documents.ts'
import { parseChain } from '../../x509/certificate.ts'
import { type Context, type RotationSetup, targetDocument } from '../context.ts'
import type { Decided, DueToDeploy } from '../decide/decision.ts'
import { boundLeaf } from '../observe/inspection.ts'
import { barredFromReturn } from '../observe/way-back.ts'
import { conclude, cutOver, lookAndDecide } from '../rotate.ts'
import { newBinding, type Uploaded } from '../steps/add.ts'
import { preflightPrevious } from '../steps/preflight.ts'
import { warn } from '../trace.ts'

const WHY = 'rolled back by hand'

/** `rollback`: binds the previous certificate again, proves it, and holds. */
export const rollback = (setup: RotationSetup): Promise<TargetResult> =>
  conclude(
    setup,
    async (context, lock) => {
      await lookAndDecide(context)
      const lease = await lock()
      const previous = await takePrevious(context, await lookAndDecide(context, lease))
      return cutOver(context, lease, previous)
    },
    async context => {
      warn(context, 'held', `${WHY}; run \`iotda-cert resume\` to rotate again`)
      return null
    },
  )

/** What was bound before, as if it had just been uploaded. */
async function takePrevious(context: Context, decided: Decided): Promise<Uploaded> {
  const { run, specHash, trace } = context
  const { inspection } = decided
  const document = await targetDocument(context).get()
  const { slot, staplingBack } = previousSlot(context, decided, document)
  refuseKnownBad(context, document, slot)
  const { leaf, certificatePem: chainPem, serverCertificateId } = slot
  if (!leaf || !chainPem) throw unusable(`certificate ${serverCertificateId} cannot be read`)
  const barred = await barredFromReturn(context, slot)
  if (barred !== null) throw unusable(`the previous certificate ${serverCertificateId} ${barred}`)
  const table = preflightPrevious(context, decided, { chainPem, leaf, staplingBack })
  const material = { chainPem, leaf, key: null, specHash }
  const binding = { ...newBinding(material, serverCertificateId), staplingBack }
  const banned = boundLeaf(inspection)?.fingerprint ?? null
  // The hold comes first: a scheduled run must not undo what a person is doing.
  await targetDocument(context).update(d => ({
    ...d,
    held: { since: run.clock.now(), why: WHY, specHash },
    rolledBack: banned === null ? d.rolledBack : [...d.rolledBack, banned],
    pending: binding,
  }))
  const { nextCheckAt, emergency } = decided.decision
  const forced = { due: true, reason: 'forced', detail: WHY, plan: 'deploy' } as const
  const decision: DueToDeploy = { ...forced, nextCheckAt, emergency }
  trace.add('decisions', decision)
  trace.add('leaves', leaf)
  return { inspection, document, decision, material, table, binding }
}

/** What stands in the other slot, and whether our bind switched stapling off for what replaced it. */
function previousSlot(
  { target, run }: Context,
  { inspection: { bound, slots } }: Decided,
  { pending, previous }: TargetDocument,
): { readonly slot: Slot; readonly staplingBack: boolean } {
  const boundId = bound?.serverCertificateId ?? null
  // A bind without a verdict is what is rolled back: to what it replaced.
  const open =
    pending?.serverCertificateId === boundId && pending?.replaces !== 'first' ? pending?.replaces : null
  const wanted = open ?? previous
  const slot = wanted
    ? slots.find(s => s.serverCertificateId === wanted.serverCertificateId)
    : slots.find(s => s.serverCertificateId !== boundId)
  if (!slot || slot.serverCertificateId === boundId)
    throw unusable('there is no previous certificate in the other slot')
  if (slot.expiryDate <= run.clock.now())
    throw unusable(`the previous certificate ${slot.serverCertificateId} has expired`)
  if (slot.certificatePem) parseChain(slot.certificatePem)
  run.log.info({ target: target.name, serverCertificateId: slot.serverCertificateId }, 'rolling back by hand')
  return { slot, staplingBack: wanted?.staplingOff === true }
}

/** What was rolled back before is no way back: a second `rollback` must not bind it again. */
function refuseKnownBad(
  { event }: Context,
  { rolledBack }: TargetDocument,
  { leaf, serverCertificateId }: Slot,
): void {
  if (!leaf || !rolledBack.includes(leaf.fingerprint) || event.accept === leaf.fingerprint) return
  throw new RotationError(
    'nothing-to-roll-back',
    `no rollback: ${serverCertificateId} in the other slot was itself rolled back before`,
    {
      retry: 'never',
      hint: `The bound certificate stays. To bind exactly that one all the same: --accept ${leaf.fingerprint}`,
    },
  )
}

const unusable = (why: string): RotationError =>
  new RotationError('nothing-to-roll-back', `no rollback: ${why}`, {
    retry: 'never',
    hint: 'The bound certificate stays. `iotda-cert status` shows what is in the slots.',
  })
