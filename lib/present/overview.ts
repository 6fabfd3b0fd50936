import { allVisible } from '../base/visible.ts'
import type { Answer } from '../report/answer.ts'
import { lifeOf, shareLeft } from '../report/health.ts'
import type { ReportedLife } from '../report/result.ts'
import { painter } from './paint.ts'
import { resultText } from './text.ts'
import {
  byUrgency,
  conditionOf,
  conditionText,
  countsOf,
  leftOf,
  leftText,
  type Urgency,
  urgencyOf,
} from './urgency.ts'

/** The fleet in one table, most urgent first. */

export interface OverviewStyle {
  readonly colour: boolean
  /** Columns of the terminal. */
  readonly width: number
  /** With every target's details below. */
  readonly isLong: boolean
}

const BAR = 20
const CODE: Readonly<Record<Urgency, number>> = { well: 32, watch: 33, bad: 31 }

/** The table. Pure. */
export function overviewText(answer: Answer, style: OverviewStyle): string {
  const now = Date.parse(answer.finishedAt)
  const sorted = byUrgency(allVisible(answer.results), now)
  const paint = painter(style.colour)
  const head = ['target', 'left', '', 'slots', 'state', 'next check']
  const rows = sorted.map(result => [
    result.target,
    leftText(leftOf(lifeOf(result), now)),
    barOf(lifeOf(result), now),
    `${result.outlook.slotsUsed ?? '?'}/2`,
    conditionText(conditionOf(result, now)),
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
  const lines = sorted.map((result, i) => paint(line(rows[i] ?? []), CODE[urgencyOf(result, now)]))
  const counts = countsOf(sorted, now).map(([urgency, count]) => `${count} ${urgency}`)
  const table = [paint(line(head), 1), ...lines, '', counts.join(', ')].join('\n')
  const isDetailed = style.isLong || sorted.length <= 3
  return `${table}\n${isDetailed ? `\n${resultText(answer, 'status', style.colour)}` : ''}`
}

function barOf(life: ReportedLife | null, now: number): string {
  if (!life) return ' '.repeat(BAR)
  const full = Math.round(shareLeft(life, now) * BAR)
  return `${'█'.repeat(full)}${'░'.repeat(BAR - full)}`
}
