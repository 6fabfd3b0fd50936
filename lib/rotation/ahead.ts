import { type Job, type World, warn } from './world.ts'

/**
 * Warns of roots and cross-signs that end soon, and of chains that the CA may come to prefer. Loads nothing where the settings name no roots, but for `status`.
 */
export async function lookAhead({ target, run, event }: World, job: Job): Promise<void> {
  const isAsked = target.trustedRoots !== null || target.profiles.length > 0 || event.action === 'status'
  if (!isAsked || job.inspection.at === 0) return
  const chainPem = job.inspection.bound?.slot?.certificatePem ?? null
  try {
    const { calendar } = await import('../devices/calendar.ts')
    for (const { message } of calendar({ target, chainPem, at: run.clock.now() }))
      warn(job, 'root-ends', message)
    for (const message of (await job.certificateDocument.get()).otherChains)
      warn(job, 'other-chains', message)
  } catch (error) {
    // Roots that cannot be read are refused where they are needed.
    run.log.warn({ target: target.name, error: (error as Error).message }, 'the roots could not be looked at')
  }
}
