import { formatDuration, iso, MINUTE_MS } from '../../base/time.ts'
import { nextOpening } from '../../base/window.ts'
import type { Leaf } from '../../model/certificate.ts'
import type { Target } from '../../model/target.ts'
import type { Context, RotationSetup } from '../context.ts'
import { type Decision, WITHOUT_WAIT } from '../decide/decision.ts'
import { Suspension, warn } from '../trace.ts'

/** What a bind must leave of the run: verify's own time, and a rollback's. */
export const timeToBindMs = (target: Target): number => target.probe.withinMs + MINUTE_MS

/** Says so when a run is too short for any cut-over: it would wait for ever, run after run. */
export function warnOfTime(context: Context): void {
  const { run, target, trace } = context
  const budgetMs = run.deadline - trace.startedAt
  if (target.probe.mode === 'off' || budgetMs >= timeToBindMs(target)) return
  const needs = formatDuration(timeToBindMs(target))
  warn(
    context,
    'too-little-time',
    `a run has ${formatDuration(budgetMs)}, but a cut-over needs ${needs} to verify and, if needed, to roll back: raise the function's timeout, or lower targets[].probe.within`,
  )
}

/**
 * Soak and change windows: uploaded, but not bound before they open; null: it may be bound now. A person's force, the
 * emergency, and what replaces a revoked certificate do not wait.
 */
export function openingFor(
  { target, run, event, intervalMs }: Pick<RotationSetup, 'target' | 'run' | 'event' | 'intervalMs'>,
  { emergency, reason }: Pick<Decision, 'emergency' | 'reason'>,
  leaf: Leaf,
): Suspension | null {
  if (event.force || emergency || WITHOUT_WAIT.includes(reason)) return null
  const now = run.clock.now()
  // What preflight was overruled on would be waited for beyond its end.
  const isPossible = target.minAgeMs < leaf.notAfter - leaf.notBefore
  const oldEnoughAt = Math.max(now, leaf.notBefore + (isPossible ? target.minAgeMs : 0))
  const at = nextOpening(target.bindWindow, oldEnoughAt)
  // In doubt what is bound stays.
  if (at === null)
    return new Suspension(now + intervalMs, 'uploaded; no change window opens within two weeks')
  if (at <= now) return null
  const soaks = oldEnoughAt > now ? `it is bound when it is ${formatDuration(target.minAgeMs)} old` : null
  const window =
    at > oldEnoughAt
      ? `the next change window (${target.bindWindow.map(w => w.text).join('; ')}) opens then`
      : null
  const why = [soaks, window].filter(Boolean).join(', and ')
  return new Suspension(at, `uploaded, bound at ${iso(at)}: ${why}`)
}
