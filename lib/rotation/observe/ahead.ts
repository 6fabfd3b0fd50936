import { iso } from '../../base/time.ts'
import { calendar } from '../../devices/calendar.ts'
import { isShown } from '../../report/result.ts'
import { type Job, type World, warn } from '../world.ts'

/**
 * Warns of roots and cross-signs that end soon, and of chains that the CA may come to prefer; has devices judge what
 * they are given where somebody looks. Loads nothing where the settings name no roots and nobody looks.
 */
export async function lookAhead(world: World, job: Job): Promise<void> {
  const { target, run } = world
  const isAsked = target.trustedRoots !== null || target.profiles.length > 0 || isShown(world)
  if (!isAsked || job.inspection.at === 0) return
  const chainPem = job.inspection.bound?.slot?.certificatePem ?? null
  try {
    const entries = calendar({ target, chainPem, at: run.clock.now() })
    for (const { message } of entries) warn(job, 'root-ends', message)
    for (const message of (await job.certificateDocument.get()).otherChains)
      warn(job, 'other-chains', message)
    if (!isShown(world)) return
    const { verdictsOf } = await import('../steps/verdicts.ts')
    const ends = entries.map(({ at, message }) => ({ at: iso(at), what: message }))
    job.devices = { verdicts: await verdictsOf(world, job), ends }
  } catch (error) {
    // Roots that cannot be read are refused where they are needed.
    run.log.warn({ target: target.name, error: (error as Error).message }, 'the roots could not be looked at')
  }
}
