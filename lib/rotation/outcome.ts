import type { RotationError } from '../base/rotation-error.ts'
import { ERROR_CODES, type ErrorCode } from '../model/errors.ts'
import type { Outcome } from '../model/outcomes.ts'
import type { TargetDocument } from '../state/documents.ts'
import { backOffMs } from './decide/decide.ts'
import type { Job, World } from './world.ts'

const HISTORY_AT_MOST = 50

/** Codes that end a run as `refused`: nothing was deployed, and nothing is broken. */
const REFUSALS: readonly ErrorCode[] = ['preflight-refused', 'certificate-invalid', 'slots-full']

/** The outcome that an error stands for. */
export function outcomeOf({ code }: RotationError): Outcome {
  if (code === 'busy' || code === 'lease-lost') return 'busy'
  if (code === 'out-of-time') return 'suspended'
  return REFUSALS.includes(code) ? 'refused' : 'failed'
}

/** Writes down how a run ended, when that says something new. */
export async function afterRun(
  world: World,
  job: Job,
  outcome: Outcome,
  error: RotationError | null,
): Promise<void> {
  if (world.event.action === 'plan' || world.event.action === 'status' || outcome === 'busy') return
  const { runId, clock } = world.run
  const at = clock.now()
  const { lastResult } = await job.targetDocument.get()
  const isNews = outcome !== 'idle' || (lastResult !== null && lastResult.outcome !== 'idle')
  if (!isNews || (lastResult?.outcome === outcome && ['suspended', 'held'].includes(outcome))) return
  await job.targetDocument.update(d => ({
    ...d,
    ...(outcome === 'repaired' ? { failures: 0, retryAfter: null } : {}),
    lastResult: { runId, at, outcome, error: error?.code ?? null },
  }))
  if (!['rotated', 'repaired', 'rolled-back', 'refused', 'failed'].includes(outcome)) return
  const entry = {
    ...{ runId, at, outcome, reason: job.verdict.reason, error: error?.code ?? null },
    ...changeOf(job, outcome, await job.targetDocument.get()),
  }
  const lastSteps = job.steps.map(({ step, status, durationMs }) => ({ step, status, durationMs }))
  await world.records
    .history(world.target)
    .update(h => ({ ...h, rotations: [...h.rotations, entry].slice(-HISTORY_AT_MOST), lastSteps }))
}

/** By fingerprint; a bind that a later run proved was inspected as bound already. */
function changeOf({ inspection, material }: Job, outcome: Outcome, { current, previous }: TargetDocument) {
  const bound = inspection.bound?.slot?.leaf ?? null
  const leaf = material?.leaf ?? (outcome === 'rotated' ? bound : null)
  const before = outcome === 'rotated' && !material ? previous?.fingerprint : bound?.fingerprint
  return {
    before: before ?? null,
    after: (outcome === 'rotated' ? current?.fingerprint : null) ?? leaf?.fingerprint ?? null,
    until: leaf?.notAfter ?? null,
  }
}

/** Writes a failure down with its back-off. Never throws: a failure that cannot be written is still reported. */
export async function afterFailure(
  world: World,
  job: Job,
  outcome: Outcome,
  error: RotationError,
): Promise<void> {
  try {
    if (
      world.event.action === 'rotate' &&
      outcome !== 'busy' &&
      outcome !== 'suspended' &&
      costs(world, job, error)
    ) {
      await job.targetDocument.update(d => backedOff(d, world, job, error))
    }
    await afterRun(world, job, outcome, error)
  } catch (thrown) {
    world.run.log.warn(
      { target: world.target.name, error: (thrown as Error).message },
      'how the run ended could not be written down',
    )
  }
}

/**
 * Whether trying again costs anybody anything: what a person mends in the settings may be tried at once after
 * mending, what reached a CA may not. A source that makes nothing to order is not even asked for anything new.
 */
function costs({ spec }: World, { verdict, inspection }: Job, { code }: RotationError): boolean {
  if (!verdict.due || code === 'not-renewed') return false
  if (inspection.inventory && spec.sources.length === 1 && code === 'certificate-invalid') return false
  return ERROR_CODES[code].exit === 1 || code === 'ca-rejected' || code === 'certificate-invalid'
}

function backedOff(document: TargetDocument, { run }: World, job: Job, error: RotationError): TargetDocument {
  const now = run.clock.now()
  const failures = document.failures + 1
  const leftMs = (job.inspection.bound?.slot?.expiryDate ?? now) - now
  const retryAfter = Math.max(now + backOffMs(failures, leftMs), error.retryAt ?? 0)
  return { ...document, failures, retryAfter }
}
