import { formatDuration, iso } from '../../base/time.ts'
import { nextOpening } from '../../base/window.ts'
import type { Leaf } from '../../model/certificate.ts'
import { type Job, type StepResult, suspend, type World } from '../world.ts'

/** Soak and change windows: uploaded, but not bound yet. A person's force and the emergency do not wait. */
export function soaking(
  { target, run, event, intervalMs }: World,
  { verdict }: Job,
  leaf: Leaf,
): StepResult | null {
  if (event.force || verdict.emergency || verdict.reason === 'expired' || verdict.reason === 'no-certificate')
    return null
  const now = run.clock.now()
  // What preflight was overruled on would be waited for beyond its end.
  const isPossible = target.minAgeMs < leaf.notAfter - leaf.notBefore
  const oldEnoughAt = Math.max(now, leaf.notBefore + (isPossible ? target.minAgeMs : 0))
  const at = nextOpening(target.bindWindow, oldEnoughAt)
  // In doubt what is bound stays.
  if (at === null) return suspend(now + intervalMs, 'uploaded; no change window opens within two weeks')
  if (at <= now) return null
  const soaks = oldEnoughAt > now ? `it is bound when it is ${formatDuration(target.minAgeMs)} old` : null
  const window =
    at > oldEnoughAt
      ? `the next change window (${target.bindWindow.map(w => w.text).join('; ')}) opens then`
      : null
  return suspend(at, `uploaded, bound at ${iso(at)}: ${[soaks, window].filter(Boolean).join(', and ')}`)
}
