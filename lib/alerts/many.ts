import { worst } from '../model/events.ts'
import { causeOf, isOfMany, MANY_ABOVE } from './cause.ts'
import type { Subject } from './compose.ts'
import type { Condition } from './decide.ts'
import type { Ledger } from './ledger.ts'

/** One state, and what it is about. */
export interface Affected {
  readonly condition: Condition
  readonly subject: Subject
}

const NAMED_AT_MOST = 50

/**
 * States that more than three targets share become one. It stays one until the last of them is over, however few
 * are left; a state that was told by itself stays by itself. Pure.
 *
 * `always` names reasons that are known to be shared.
 */
export function share(
  ledger: Ledger,
  affected: readonly Affected[],
  always: ReadonlySet<string> = new Set(),
): readonly Affected[] {
  const byCause = new Map<string, Affected[]>()
  const single: Affected[] = []
  for (const one of affected) {
    const { key, event, error } = one.condition
    const isByItself = event === null || one.subject.target === null || isOfMany(key) || key in ledger.open
    if (isByItself) single.push(one)
    else byCause.set(causeOf(event, error), [...(byCause.get(causeOf(event, error)) ?? []), one])
  }
  const shared = [...byCause].flatMap(([cause, all]) =>
    all.length > MANY_ABOVE || cause in ledger.open || always.has(cause) ? [merge(cause, all)] : all,
  )
  return [...single, ...shared]
}

/** The most urgent one speaks for all. */
function merge(cause: string, all: readonly Affected[]): Affected {
  const sorted = all.toSorted((a, b) => (a.subject.daysLeft ?? Infinity) - (b.subject.daysLeft ?? Infinity))
  const { condition, subject } = sorted[0] as Affected
  const levels = all.flatMap(({ condition: { level } }) => (level === null ? [] : [level]))
  const tries = all.flatMap(({ subject: { nextTryAt } }) => (nextTryAt === null ? [] : [nextTryAt]))
  const names = sorted.slice(0, NAMED_AT_MOST).map(({ subject: { target } }) => target ?? '')
  return {
    condition: {
      ...condition,
      key: cause,
      level: levels.length > 0 ? Math.min(...levels) : null,
      severity: all.map(one => one.condition.severity ?? 'info').reduce(worst),
      graceMs: Math.min(...all.map(one => one.condition.graceMs ?? 0)),
      targets: { count: all.length, names },
    },
    subject: {
      ...{ id: subject.id, target: null, domain: null, daysLeft: subject.daysLeft },
      ...{ before: null, after: null, runId: subject.runId },
      nextTryAt: tries.toSorted()[0] ?? null,
    },
  }
}
