import { formatDuration } from '../base/time.ts'
import { healthOf, isNearEnd, lifeOf, STATES, shareLeft, stateOf } from '../report/health.ts'
import type { ReportedLife, TargetResult } from '../report/result.ts'

/** How soon a person should look at a target, what to say of it, and which comes first. Pure. */
export type Urgency = 'well' | 'watch' | 'bad'

/** From how the target is, and from how much of its certificate's life is left to mend it. */
export function urgencyOf(result: TargetResult, now: number): Urgency {
  const life = lifeOf(result)
  if (!life || isNearEnd(result, now)) return 'bad'
  const share = shareLeft(life, now)
  const health = healthOf(result, now)
  if (health === 'unwell')
    return share < 1 / 6 || stateOf(result, now) === 'refused-by-devices' ? 'bad' : 'watch'
  return health === 'waiting' || share < 1 / 4 || result.warnings.length > 0 ? 'watch' : 'well'
}

const ORDER: Readonly<Record<Urgency, number>> = { bad: 0, watch: 1, well: 2 }

/** Most urgent first: what is bad, then what ends first. */
export function byUrgency(results: readonly TargetResult[], now: number): readonly TargetResult[] {
  const endOf = (result: TargetResult): number => Date.parse(lifeOf(result)?.notAfter ?? '1970-01-01')
  return results.toSorted(
    (a, b) =>
      ORDER[urgencyOf(a, now)] - ORDER[urgencyOf(b, now)] ||
      endOf(a) - endOf(b) ||
      (a.target < b.target ? -1 : 1),
  )
}

/** How many targets are in each urgency, the worst first. */
export function countsOf(results: readonly TargetResult[], now: number): readonly [Urgency, number][] {
  const all = results.map(result => urgencyOf(result, now))
  return (['bad', 'watch', 'well'] as const).map(it => [it, all.filter(other => other === it).length])
}

/** What to say of a target in a few words. */
export function conditionOf(result: TargetResult, now: number): string {
  const { kept, error, decision, outcome, devices } = result
  const state = stateOf(result, now)
  const { health, why } = STATES[state]
  const last = kept?.lastResult
  if (error) return error.code
  if (health === 'unwell' && last?.error) return `${last.outcome}: ${last.error}`
  if (state === 'refused-by-devices') {
    const profile = devices?.verdicts.find(({ ok }) => !ok)?.profile
    return profile ? `${profile} refuses it` : why
  }
  if (state === 'failing' && kept && kept.failures > 0) return `${kept.failures} failures`
  if (state !== 'held' && decision.due) return decision.reason
  return state === 'fine' && outcome !== 'idle' && outcome !== 'planned' ? outcome : why
}

/** `12d`, `5h`, or `ended 2d ago`. */
export function leftText(life: ReportedLife | null, now: number): string {
  if (!life) return 'not seen'
  const leftMs = Date.parse(life.notAfter) - now
  const [unit = '0s'] = formatDuration(leftMs).split(' ')
  return leftMs < 0 ? `ended ${unit} ago` : unit
}
