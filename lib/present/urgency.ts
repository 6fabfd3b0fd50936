import { formatDuration } from '../base/time.ts'
import { healthOf, isNearEnd, lifeOf, STATES, type StateName, shareLeft, stateOf } from '../report/health.ts'
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

/** What to say of a target in a few words, for each language to say. */
export type Condition =
  /** Of this run. */
  | { readonly is: 'error'; readonly code: string }
  /** Of an earlier run. */
  | { readonly is: 'ended'; readonly outcome: string; readonly code: string }
  | { readonly is: 'refused'; readonly profile: string }
  | { readonly is: 'failures'; readonly count: number }
  | { readonly is: 'due'; readonly reason: string }
  | { readonly is: 'outcome'; readonly outcome: string }
  | { readonly is: 'state'; readonly state: StateName }

export function conditionOf(result: TargetResult, now: number): Condition {
  const { kept, error, decision, outcome, devices } = result
  const state = stateOf(result, now)
  const last = kept?.lastResult
  if (error) return { is: 'error', code: error.code }
  if (STATES[state].health === 'unwell' && last?.error)
    return { is: 'ended', outcome: last.outcome, code: last.error }
  if (state === 'refused-by-devices') {
    const profile = devices?.verdicts.find(({ ok }) => !ok)?.profile
    return profile ? { is: 'refused', profile } : { is: 'state', state }
  }
  if (state === 'failing' && last?.outcome === 'rolled-back') return { is: 'outcome', outcome: last.outcome }
  if (state === 'failing' && kept && kept.failures > 0) return { is: 'failures', count: kept.failures }
  if (state !== 'held' && decision.due) return { is: 'due', reason: decision.reason }
  return state === 'fine' && outcome !== 'idle' && outcome !== 'planned'
    ? { is: 'outcome', outcome }
    : { is: 'state', state }
}

/** In English, by the names that the answer has for them. */
export function conditionText(condition: Condition): string {
  switch (condition.is) {
    case 'error':
      return condition.code
    case 'ended':
      return `${condition.outcome}: ${condition.code}`
    case 'refused':
      return `${condition.profile} refuses it`
    case 'failures':
      return counted(condition.count, 'failure')
    case 'due':
      return condition.reason
    case 'outcome':
      return condition.outcome
    case 'state':
      return STATES[condition.state].why
  }
}

/** In the largest unit; negative: how long ago it ended. */
export interface Left {
  readonly amount: number
  readonly unit: string
}

/** `1 failure`, `2 failures`. */
export const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`

/** How long it lasts yet; null: it was not seen. */
export function leftOf(life: ReportedLife | null, now: number): Left | null {
  if (!life) return null
  const leftMs = Date.parse(life.notAfter) - now
  const [, amount = '0', unit = 's'] = /^(\d+)(\w+)/.exec(formatDuration(leftMs)) ?? []
  return { amount: Number(amount) * (leftMs < 0 ? -1 : 1), unit }
}

/** `12d`, `5h`, or `ended 2d ago`. */
export function leftText(left: Left | null): string {
  if (!left) return 'not seen'
  return left.amount < 0 ? `ended ${-left.amount}${left.unit} ago` : `${left.amount}${left.unit}`
}
