import { allVisible } from '../base/visible.ts'
import type { Answer } from '../report/answer.ts'
import { lifeOf, shareLeft } from '../report/health.ts'
import { nameIn, type ReportedLife, type TargetResult } from '../report/result.ts'
import { columnsOf, padded, shortened } from './fit.ts'
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

/** What a cell takes before others are left out for it. */
const LEAST_NAME = 12
const GAP = 2

interface Column {
  readonly title: string
  readonly cells: readonly string[]
  /** A name is cut in the middle: its end often tells it from others. */
  readonly cut: 'middle' | 'end'
}

const naturalWidth = ({ title, cells }: Column): number => Math.max(columnsOf(title), ...cells.map(columnsOf))

const widthOf = (widths: readonly number[]): number => widths.reduce((sum, it) => sum + it + GAP, -GAP)

/** The columns that there is room for, each with its width: the last in `spare` goes first. */
function inWidth(
  columns: Readonly<Record<'target' | 'left' | 'bar' | 'shortBar' | 'slots' | 'state' | 'next', Column>>,
  width: number,
): readonly (readonly [Column, number])[] {
  const { target, left, bar, shortBar, slots, state, next } = columns
  const choices = [
    [target, left, bar, slots, state, next],
    [target, left, shortBar, slots, state, next],
    [target, left, slots, state, next],
    [target, left, slots, state],
    [target, left, state],
  ]
  const nameAtMost = Math.max(LEAST_NAME, Math.floor(width / 3))
  const naturals = (of: readonly Column[]) =>
    of.map(it => (it === target ? Math.min(naturalWidth(it), nameAtMost) : naturalWidth(it)))
  const fitting = choices.find(of => widthOf(naturals(of)) <= width)
  if (fitting) {
    const spare = width - widthOf(naturals(fitting))
    return fitting.map(it =>
      it === target
        ? [it, Math.min(naturalWidth(it), Math.min(naturalWidth(it), nameAtMost) + spare)]
        : [it, naturalWidth(it)],
    )
  }
  // Not even the fewest columns have room: what they say is cut.
  const [first, second, last] = [target, left, state]
  const rest = Math.max(2, width - naturalWidth(second) - 2 * GAP)
  const name = Math.min(naturalWidth(first), Math.max(1, Math.floor(rest / 2)))
  return [
    [first, name],
    [second, naturalWidth(second)],
    [last, Math.max(1, rest - name)],
  ]
}

/** The table. Pure. */
export function overviewText(answer: Answer, style: OverviewStyle): string {
  const now = Date.parse(answer.finishedAt)
  const sorted = byUrgency(allVisible(answer.results), now)
  const paint = painter(style.colour)
  const column = (
    title: string,
    cellOf: (result: TargetResult) => string,
    cut: Column['cut'] = 'end',
  ): Column => ({ title, cells: sorted.map(cellOf), cut })
  const columns = {
    target: column('target', nameIn, 'middle'),
    left: column('left', result => leftText(leftOf(lifeOf(result), now))),
    bar: column('', result => barOf(lifeOf(result), now, BAR)),
    shortBar: column('', result => barOf(lifeOf(result), now, BAR / 2)),
    slots: column('slots', result => `${result.outlook.slotsUsed ?? '?'}/2`),
    state: column('state', result => conditionText(conditionOf(result, now))),
    next: column('next check', result =>
      (result.kept?.retryAfter ?? result.decision.nextCheckAt ?? '')
        .replace(/:\d\d(\.\d+)?Z$/, 'Z')
        .replace('T', ' '),
    ),
  }
  const shown = inWidth(columns, style.width)
  const line = (cellOf: (column: Column) => string): string =>
    shown
      .map(([it, width]) => padded(shortened(cellOf(it), width, it.cut), width))
      .join(' '.repeat(GAP))
      .trimEnd()
  const lines = sorted.map((result, i) =>
    paint(
      line(({ cells }) => cells[i] ?? ''),
      CODE[urgencyOf(result, now)],
    ),
  )
  const counts = countsOf(sorted, now).map(([urgency, count]) => `${count} ${urgency}`)
  const table = [
    paint(
      line(({ title }) => title),
      1,
    ),
    ...lines,
    '',
    counts.join(', '),
  ].join('\n')
  const isDetailed = style.isLong || sorted.length <= 3
  return `${table}\n${isDetailed ? `\n${resultText(answer, 'status', style.colour)}` : ''}`
}

function barOf(life: ReportedLife | null, now: number, length: number): string {
  if (!life) return ' '.repeat(length)
  const full = Math.round(shareLeft(life, now) * length)
  return `${'█'.repeat(full)}${'░'.repeat(length - full)}`
}
