import { RotationError } from '../../base/rotation-error.ts'
import type { Slot } from '../../model/certificate.ts'
import type { Outcome } from '../../model/outcomes.ts'
import { report, type TargetResult } from '../../report/result.ts'
import type { TargetDocument } from '../../state/documents.ts'
import { takeLease } from '../../state/lease.ts'
import { instanceKey } from '../../state/state.ts'
import { parseChain } from '../../x509/certificate.ts'
import { startJob } from '../job.ts'
import { fail, lookAndDecide, perform } from '../rotate.ts'
import { boundId, type Job, type World, warn } from '../world.ts'

/** `hold`: no unattended change from now on. */
export async function hold(world: World): Promise<TargetResult> {
  const { run, specHash } = world
  const job = startJob(world)
  const why = 'held by hand'
  try {
    await job.targetDocument.update(d => ({ ...d, held: { since: run.clock.now(), why, specHash } }))
  } catch (thrown) {
    return fail(world, job, thrown)
  }
  // Only then a look, for the report: whatever is wrong with the instance must not keep a person from holding it.
  await lookAndDecide(world, job).catch(thrown =>
    warn(
      job,
      'not-looked-at',
      `held, but what is bound could not be looked at: ${(thrown as Error).message}`,
    ),
  )
  const detail = `${why}; \`iotda-cert resume\` ends it`
  job.verdict = { ...job.verdict, due: false, reason: 'held', detail }
  return report(world, job, 'idle', null)
}

/** `resume`: ends a hold and the back-off; the next run goes on. */
export const resume = (world: World): Promise<TargetResult> =>
  byHand(world, async job => {
    const { held } = await job.targetDocument.get()
    await job.targetDocument.update(d =>
      d.held || d.retryAfter ? { ...d, held: null, retryAfter: null, failures: 0, rollBacks: 0 } : d,
    )
    await lookAndDecide(world, job)
    const next = job.verdict.due ? 'the next run rotates' : 'nothing is due'
    job.verdict = {
      ...job.verdict,
      detail: `${held ? `no longer held (${held.why})` : 'was not held'}; ${next}: ${job.verdict.detail}`,
    }
    return 'idle'
  })

/** `rollback`: binds the previous certificate again, proves it, and holds. */
export const rollback = (world: World): Promise<TargetResult> =>
  byHand(world, async job => {
    job.lease = await takeLease(world.store, instanceKey(world.target), world.run)
    await lookAndDecide(world, job)
    const document = await job.targetDocument.get()
    const { slot, staplingBack } = previousSlot(world, job, document)
    refuseKnownBad(world, document, slot)
    const leaf = slot.leaf
    if (!leaf || !slot.certificatePem)
      throw unusable(`certificate ${slot.serverCertificateId} cannot be read`)
    const { checkRollback } = await import('../steps/preflight.ts')
    checkRollback(world, job, slot.certificatePem, { leaf, staplingBack })
    const banned = job.inspection.bound?.slot?.leaf?.fingerprint ?? null
    // The hold comes first: a scheduled run must not undo what a person is doing.
    const why = 'rolled back by hand'
    await job.targetDocument.update(d => ({
      ...d,
      held: { since: world.run.clock.now(), why, specHash: world.specHash },
      rolledBack: banned === null ? d.rolledBack : [...d.rolledBack, banned],
      pending: {
        fingerprint: leaf.fingerprint,
        specHash: world.specHash,
        serverCertificateId: slot.serverCertificateId,
        replaces: null,
        staplingBack,
        boundAt: null,
        failedWhy: null,
      },
    }))
    job.uploadedId = slot.serverCertificateId
    job.material = { chainPem: slot.certificatePem, leaf, key: null }
    job.verdict = { ...job.verdict, due: true, reason: 'forced', detail: why, plan: 'deploy' }
    const outcome = await perform(world, job, await steps())
    warn(job, 'held', `${why}; run \`iotda-cert resume\` to rotate again`)
    return outcome
  })

const steps = async () => {
  const { bind } = await import('../steps/deploy.ts')
  const { rollBack, verify } = await import('../steps/verify.ts')
  const { record } = await import('../steps/record.ts')
  return [
    ['bind', bind],
    ['verify', verify],
    ['roll-back', rollBack],
    ['record', record],
  ] as const
}

/** What stands in the other slot, and whether our bind switched stapling off for what replaced it. */
function previousSlot(
  { target, run }: World,
  job: Job,
  document: TargetDocument,
): { readonly slot: Slot; readonly staplingBack: boolean } {
  const bound = boundId(job)
  const { slots } = job.inspection
  const { pending, previous } = document
  // A bind without a verdict is what is rolled back: to what it replaced.
  const open =
    pending?.serverCertificateId === bound && pending?.replaces !== 'first' ? pending?.replaces : null
  const wanted = open ?? previous
  const slot = wanted
    ? slots.find(s => s.serverCertificateId === wanted.serverCertificateId)
    : slots.find(s => s.serverCertificateId !== bound)
  if (!slot || slot.serverCertificateId === bound)
    throw unusable('there is no previous certificate in the other slot')
  if (slot.expiryDate <= run.clock.now())
    throw unusable(`the previous certificate ${slot.serverCertificateId} has expired`)
  if (slot.certificatePem) parseChain(slot.certificatePem)
  run.log.info({ target: target.name, serverCertificateId: slot.serverCertificateId }, 'rolling back by hand')
  return { slot, staplingBack: wanted?.staplingOff === true }
}

/** What was rolled back before is no way back: a second `rollback` must not bind it again. */
function refuseKnownBad(
  { event }: World,
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

async function byHand(world: World, work: (job: Job) => Promise<Outcome>): Promise<TargetResult> {
  const job = startJob(world)
  try {
    await lookAndDecide(world, job)
    return report(world, job, await work(job), null)
  } catch (thrown) {
    return await fail(world, job, thrown)
  } finally {
    await job.lease?.release()
  }
}
