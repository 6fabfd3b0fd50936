import type { AlertEvent } from '../contracts.ts'
import { composeAlert, type Subject } from './compose.ts'
import { decideAlerts } from './decide.ts'
import { type Affected, groupConditions } from './group.ts'
import type { Ledger } from './ledger.ts'

/** What is seen of many targets, by whoever keeps one record for all of them: a run, or the watchdog. */
export interface SeenOfMany {
  /** Begins every dedup key. */
  readonly id: string
  readonly now: number
  readonly affected: readonly Affected[]
  /** Keys of groups that are known to be some. */
  readonly always?: ReadonlySet<string>
  /** Whether it is known how things stand under a key. */
  readonly isEvaluated: (key: string) => boolean
  /** What the end of a state is about. */
  readonly subjectOf: (key: string) => Subject
}

/** Conditions grouped, decided and composed. Pure. */
export function alertGroups(
  before: Ledger,
  { id, now, affected, always, isEvaluated, subjectOf }: SeenOfMany,
): { readonly ledger: Ledger; readonly alerts: readonly AlertEvent[] } {
  const grouped = groupConditions(before, affected, always)
  const { ledger, messages } = decideAlerts(before, {
    now,
    conditions: grouped.map(({ condition }) => condition),
    evaluated: Object.keys(before.open).filter(isEvaluated),
    moments: [],
  })
  const alerts = messages.map(message => {
    const subject = grouped.find(({ condition }) => condition.key === message.key)?.subject
    // What else names the subject stands in the key already.
    return composeAlert(message, { ...(subject ?? subjectOf(message.key)), id }, now)
  })
  return { ledger, alerts }
}
