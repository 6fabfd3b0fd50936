import { RotationError } from '../../base/rotation-error.ts'
import { formatDuration } from '../../base/time.ts'
import type { Outcome } from '../../model/outcomes.ts'
import { squareUp } from '../observe/square-up.ts'
import { findRoom } from '../steps/slots.ts'
import { type Job, timeToBindMs, type World, warn } from '../world.ts'

/** A missing domain configuration is made only when the settings say so. @throws RotationError */
export function requireConfiguration({ target }: World, { inspection, verdict }: Job): void {
  if (inspection.configuration || !verdict.due || target.domainConfiguration === 'create') return
  throw new RotationError(
    'domain-configuration-missing',
    `target ${target.name}: the instance has no domain configuration for ${target.domain}`,
    {
      retry: 'never',
      hint: 'Add the custom domain in the console (instance, Overview, Access Details), or set targets[].domainConfiguration to "create".',
    },
  )
}

/** Says so when a run is too short for any cut-over: it would wait for ever, run after run. */
export function warnOfTime({ run, target }: World, job: Job): void {
  const budgetMs = run.deadline - job.startedAt
  if (job.verdict.plan !== 'deploy' || target.probe.mode === 'off' || budgetMs >= timeToBindMs(target)) return
  const needs = formatDuration(timeToBindMs(target))
  warn(
    job,
    'too-little-time',
    `a run has ${formatDuration(budgetMs)}, but a cut-over needs ${needs} to verify and, if needed, to roll back: raise the function's timeout, or lower targets[].probe.within`,
  )
}

/** What `plan` and `status` say beyond the decision: which slot would be used, and why. */
export async function planned(world: World, job: Job): Promise<Outcome> {
  if (job.verdict.plan !== 'deploy') return 'planned'
  const { target, inspection, pressing } = {
    ...world,
    ...job,
    pressing: world.event.force || job.verdict.emergency,
  }
  const document = await squareUp(world, job)
  const fingerprint = inspection.documents.certificate.pending?.fingerprint ?? null
  const room = findRoom(inspection, { target, document, fingerprint, pressing })
  const detail = {
    present: () => 'the certificate is in a slot already',
    room: () => 'would use the free slot',
    delete: () =>
      room.kind === 'delete' ? `would delete ${room.slot.serverCertificateId}: ${room.why}` : '',
    blocked: () => (room.kind === 'blocked' ? `no slot: ${room.why}` : ''),
  }[room.kind]()
  ;(await import('../steps/preflight.ts')).preview(world, job)
  job.steps.push({ step: 'free', status: 'skipped', durationMs: 0, call: null, detail })
  return 'planned'
}
