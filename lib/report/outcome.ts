import type { RotationError } from '../base/rotation-error.ts'
import type { Run } from '../contracts.ts'
import type { Leaf } from '../model/certificate.ts'
import type { ErrorCode } from '../model/errors.ts'
import type { Outcome, RunEvent } from '../model/outcomes.ts'
import type { Target } from '../model/target.ts'
import type { TargetDocument } from '../state/documents.ts'
import type { Records } from '../state/state.ts'
import type { Ended, Happened } from './result.ts'

const HISTORY_AT_MOST = 50

/** Codes that end a run as `refused`: nothing was deployed, and nothing is broken. */
const REFUSALS: readonly ErrorCode[] = ['preflight-refused', 'certificate-invalid', 'slots-full']

/** The outcome that an error stands for. */
export function outcomeOf({ code }: RotationError): Outcome {
  if (code === 'busy' || code === 'lease-lost') return 'busy'
  // Nothing is broken: the service takes it later, and the next run goes on.
  if (code === 'out-of-time' || code === 'throttled') return 'suspended'
  return REFUSALS.includes(code) ? 'refused' : 'failed'
}

interface Recorded {
  readonly target: Target
  readonly event: RunEvent
  readonly run: Pick<Run, 'runId' | 'clock'>
  readonly records: Records
  readonly trace: Happened & { readonly leaves: readonly Leaf[] }
}

/** Writes down how a run ended, when that says something new. */
export async function writeOutcome(
  { target, event, run, records, trace }: Recorded,
  { outcome, error, decision: { reason } }: Pick<Ended, 'outcome' | 'error' | 'decision'>,
): Promise<void> {
  if (event.action === 'plan' || event.action === 'status' || outcome === 'busy') return
  // Only waits for its time: what came before it is still how things stand.
  if (outcome === 'suspended' && (reason === 'backing-off' || reason === 'paused')) return
  const document = records.target(target)
  const { lastResult } = await document.get()
  const isNews = outcome !== 'idle' || (lastResult !== null && lastResult.outcome !== 'idle')
  if (!isNews || (lastResult?.outcome === outcome && ['suspended', 'held'].includes(outcome))) return
  const ended = { runId: run.runId, at: run.clock.now(), outcome, error: error?.code ?? null }
  const written = await document.update(d => ({
    ...d,
    ...(outcome === 'repaired' ? { failures: 0, retryAfter: null } : {}),
    lastResult: ended,
  }))
  if (!['rotated', 'repaired', 'rolled-back', 'refused', 'failed'].includes(outcome)) return
  const entry = { ...ended, reason, ...changeOf(trace, outcome, written) }
  const lastSteps = trace.steps.map(({ step, status, durationMs }) => ({ step, status, durationMs }))
  await records
    .history(target)
    .update(h => ({ ...h, rotations: [...h.rotations, entry].slice(-HISTORY_AT_MOST), lastSteps }))
}

/** By fingerprint; a bind that a later run proved was inspected as bound already. */
function changeOf(
  { inspections, leaves }: Recorded['trace'],
  outcome: Outcome,
  { current, previous }: TargetDocument,
) {
  const bound = inspections.at(-1)?.bound?.slot?.leaf ?? null
  const obtained = leaves.at(-1) ?? null
  const leaf = obtained ?? (outcome === 'rotated' ? bound : null)
  const before = outcome === 'rotated' && !obtained ? previous?.fingerprint : bound?.fingerprint
  return {
    before: before ?? null,
    after: (outcome === 'rotated' ? current?.fingerprint : null) ?? leaf?.fingerprint ?? null,
    until: leaf?.notAfter ?? null,
  }
}
