import type { Answer } from '../lib/app.ts'
import { formatDuration } from '../lib/base/time.ts'
import type { ReportedLife, TargetResult } from '../lib/rotation/report.ts'
import { resultText } from './text.ts'

/** The fleet in one table, most urgent first. */

export interface OverviewStyle {
  readonly colour: boolean
  /** Columns of the terminal. */
  readonly width: number
  /** With every target's details below. */
  readonly isLong: boolean
}

export type Health = 'well' | 'watch' | 'bad'

const BAR = 20
const CODE: Readonly<Record<Health, number>> = { well: 32, watch: 33, bad: 31 }

/** What is served, or bound where it cannot be seen. */
export const lifeOf = ({ outlook }: TargetResult): ReportedLife | null => outlook.served ?? outlook.bound

/** How much of its life is left, from 1 to 0. */
export function shareLeft({ notBefore, notAfter }: ReportedLife, now: number): number {
  const [from, until] = [Date.parse(notBefore), Date.parse(notAfter)]
  return Math.max(0, Math.min(1, (until - now) / (until - from)))
}

/** Whether a person should look, from the days left and from what is written down. */
export function healthOf(result: TargetResult, now: number): Health {
  const life = lifeOf(result)
  const share = life ? shareLeft(life, now) : 0
  const { outcome, kept, error } = result
  if (error || outcome === 'failed' || share <= 1 / 20) return 'bad'
  const last = kept?.lastResult?.outcome ?? ''
  const isTroubled =
    kept?.held != null || (kept?.failures ?? 0) > 0 || ['failed', 'refused', 'rolled-back'].includes(last)
  if (isTroubled) return share < 1 / 6 ? 'bad' : 'watch'
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
export function conditionOf({ kept, error, decision, outcome }: TargetResult): string {
  if (error) return error.code
  if (kept?.held) return 'held'
  const last = kept?.lastResult
  if (last?.error) return `${last.outcome}: ${last.error}`
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

/** The table. Pure. */
export function overviewText(answer: Answer, style: OverviewStyle): string {
  const now = Date.parse(answer.finishedAt)
  const sorted = byUrgency(answer.results, now)
  const paint = (text: string, code: number): string => (style.colour ? `\x1b[${code}m${text}\x1b[0m` : text)
  const head = ['target', 'left', '', 'slots', 'state', 'next check']
  const rows = sorted.map(result => [
    result.target,
    leftText(lifeOf(result), now),
    barOf(lifeOf(result), now),
    `${result.outlook.slotsUsed}/2`,
    conditionOf(result),
    (result.kept?.retryAfter ?? result.decision.nextCheckAt ?? '')
      .replace(/:\d\d(\.\d+)?Z$/, 'Z')
      .replace('T', ' '),
  ])
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map(row => row[i]?.length ?? 0)))
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd()
      .slice(0, Math.max(60, style.width))
  const lines = sorted.map((result, i) => paint(line(rows[i] ?? []), CODE[healthOf(result, now)]))
  const counts = (['bad', 'watch', 'well'] as const).map(
    health => `${sorted.filter(r => healthOf(r, now) === health).length} ${health}`,
  )
  const table = [paint(line(head), 1), ...lines, '', counts.join(', ')].join('\n')
  const isDetailed = style.isLong || sorted.length <= 3
  return `${table}\n${isDetailed ? `\n${resultText(answer, 'status', style.colour)}` : ''}`
}

function barOf(life: ReportedLife | null, now: number): string {
  if (!life) return ' '.repeat(BAR)
  const full = Math.round(shareLeft(life, now) * BAR)
  return `${'█'.repeat(full)}${'░'.repeat(BAR - full)}`
}
