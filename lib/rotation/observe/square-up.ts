import type { TargetDocument } from '../../state/documents.ts'
import { targetKey } from '../../state/state.ts'
import { changed, type Job, type World, warn } from '../world.ts'
import { servedChain } from './inspect.ts'
import { reconcile, wrongWithAdopted } from './reconcile.ts'

/** Squares the diary with what was just looked at, and writes it down where the event may write. */
export async function squareUp(world: World, job: Job): Promise<TargetDocument> {
  const inspected = job.inspection.documents.target
  const { document, adopted, warnings } = reconcile(job.inspection, world.specHash, targetKey(world.target))
  for (const { code, message } of warnings) warn(job, code, message)
  const wrong = adopted && (await wrongWithAdopted(world, adopted, leaf => servedChain(world, leaf)))
  const at = world.run.clock.now()
  const why = `the certificate that somebody else bound is not right for devices: ${wrong}`
  const squared = wrong ? { ...document, held: { since: at, why, specHash: world.specHash } } : document
  if (wrong) warn(job, 'held', why)
  if (world.event.action === 'plan' || world.event.action === 'status' || squared === inspected)
    return squared
  // Only onto the document that was looked at: another run may have moved on since.
  await job.targetDocument.update(d => {
    if (d !== inspected && job.lease) throw changed('the state was changed by another run')
    return d === inspected ? squared : d
  })
  return squared
}
