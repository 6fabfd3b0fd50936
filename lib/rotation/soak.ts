import { formatDuration, iso } from '../base/time.ts'
import { nextOpening } from '../base/window.ts'
import type { Leaf } from '../model.ts'
import { type Job, type StepResult, suspend, type World } from './world.ts'

/** Soak and change windows: uploaded, but not bound yet. A person's force and the emergency do not wait. */
export function soaking({ target, run, event }: World, { verdict }: Job, leaf: Leaf): StepResult | null {
  if (event.force || verdict.emergency || verdict.reason === 'expired' || verdict.reason === 'no-certificate')
    return null
  const now = run.clock.now()
  const oldEnoughAt = Math.max(now, leaf.notBefore + target.minAgeMs)
  const at = nextOpening(target.bindWindow, oldEnoughAt) ?? now
  if (at <= now) return null
  const soaks = oldEnoughAt > now ? `it is bound when it is ${formatDuration(target.minAgeMs)} old` : null
  const window =
    at > oldEnoughAt
      ? `the next change window (${target.bindWindow.map(w => w.text).join('; ')}) opens then`
      : null
  return suspend(at, `uploaded, bound at ${iso(at)}: ${[soaks, window].filter(Boolean).join(', and ')}`)
}
