import { formatDuration } from '../base/time.ts'
import type { ReportedLife, TargetResult } from './result.ts'

/** How a target is doing, for people: in words, as a share, and in which order. Pure. */

export type Health = 'well' | 'watch' | 'bad'

/** What is served, or bound where it cannot be seen. */
export const lifeOf = ({ outlook }: TargetResult): ReportedLife | null => outlook.served ?? outlook.bound

/** How much of its life is left, from 1 to 0. */
export function shareLeft({ notBefore, notAfter }: ReportedLife, now: number): number {
  const [from, until] = [Date.parse(notBefore), Date.parse(notAfter)]
  return Math.max(0, Math.min(1, (until - now) / (until - from)))
}

const FAILED: readonly string[] = ['failed', 'refused', 'rolled-back']

/** Whether a person should look, from the days left and from what is written down. */
export function healthOf(result: TargetResult, now: number): Health {
  const life = lifeOf(result)
  const share = life ? shareLeft(life, now) : 0
  const { outcome, kept, error } = result
  if (share <= 1 / 20) return 'bad'
  const last = kept?.lastResult?.outcome ?? ''
  const isTroubled =
    error !== null ||
    kept?.held != null ||
    (kept?.failures ?? 0) > 0 ||
    [outcome, last].some(it => FAILED.includes(it))
  if (isTroubled) return share < 1 / 6 ? 'bad' : 'watch'
  const isRefused = result.devices?.verdicts.some(({ ok }) => !ok) ?? false
  if (isRefused) return 'bad'
  return share < 1 / 4 || result.warnings.length > 0 ? 'watch' : 'well'
}

const ORDER: Readonly<Record<Health, number>> = { bad: 0, watch: 1, well: 2 }

/** Most urgent first: what is bad, then what ends first. */
export function byUrgency(results: readonly TargetResult[], now: number): readonly TargetResult[] {
  const endOf = (result: TargetResult): number => Date.parse(lifeOf(result)?.notAfter ?? '1970-01-01')
  return results.toSorted(
    (a, b) =>
      ORDER[healthOf(a, now)] - ORDER[healthOf(b, now)] ||
      endOf(a) - endOf(b) ||
      (a.target < b.target ? -1 : 1),
  )
}

/** What to say of a target in a few words. */
export function conditionOf({ kept, error, decision, outcome, devices }: TargetResult): string {
  if (error) return error.code
  const last = kept?.lastResult
  if (last?.error) return `${last.outcome}: ${last.error}`
  const refusal = devices?.verdicts.find(({ ok }) => !ok)
  if (refusal) return refusal.profile === null ? 'devices refuse it' : `${refusal.profile} refuses it`
  if (kept?.held) return 'held'
  if (kept && kept.failures > 0) return `${kept.failures} failures`
  return decision.due ? decision.reason : outcome === 'planned' || outcome === 'idle' ? 'fresh' : outcome
}

/** `12d`, `5h`, or `ended 2d ago`. */
export function leftText(life: ReportedLife | null, now: number): string {
  if (!life) return 'not seen'
  const leftMs = Date.parse(life.notAfter) - now
  const [unit = '0s'] = formatDuration(leftMs).split(' ')
  return leftMs < 0 ? `ended ${unit} ago` : unit
}
