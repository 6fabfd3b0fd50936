import type { AlertEvent, Notifier } from '../contracts.ts'
import { type EventName, isWorse, SEVERITIES, type Severity } from '../model/events.ts'
import type { Document } from '../state/state.ts'
import type { Ledger, Undelivered } from './ledger.ts'

/** Which alerts a notifier is told of. */
export interface AlertFilter {
  readonly minSeverity: Severity
  /** Null: every event. */
  readonly events: readonly EventName[] | null
}

/** A notifier by its name. */
export interface NamedNotifier {
  readonly name: string
  readonly filter: AlertFilter
  readonly notifier: Notifier
}

/** Whether a notifier is to be told. The end of a state goes to whoever was told of its worst. */
export function wants({ minSeverity, events }: AlertFilter, alert: AlertEvent): boolean {
  const severity = alert.ends?.severity ?? alert.severity
  if (isWorse(minSeverity, severity)) return false
  if (events === null) return true
  return events.includes(alert.event) || (alert.ends !== null && events.includes(alert.ends.event))
}

const OUTBOX_AT_MOST = 16

/**
 * Puts alerts into the outbox, one entry for each notifier that wants them. What was not delivered of the same state
 * gives way to the newer alert, which says more. Pure.
 */
export function enqueue(
  ledger: Ledger,
  alerts: readonly AlertEvent[],
  notifiers: readonly Pick<NamedNotifier, 'name' | 'filter'>[],
  now: number,
): Ledger {
  const added = alerts.flatMap(alert =>
    notifiers
      .filter(({ filter }) => wants(filter, alert))
      .map(({ name }) => ({ notifier: name, since: now, alert })),
  )
  if (added.length === 0) return ledger
  const isReplaced = (old: Undelivered): boolean =>
    old.alert.event !== 'recovered' &&
    added.some(
      ({ notifier, alert }) =>
        notifier === old.notifier && alert.dedupKey === old.alert.dedupKey && alert.event !== 'recovered',
    )
  return { ...ledger, outbox: [...ledger.outbox.filter(old => !isReplaced(old)), ...added] }
}

/** What of an outbox is kept for a later run: the worst, and of those the newest; documents are small. Pure. */
export function bounded(ledger: Ledger): Ledger {
  const { outbox } = ledger
  if (outbox.length <= OUTBOX_AT_MOST) return ledger
  const rankOf = ({ alert }: Undelivered): number => SEVERITIES.indexOf(alert.severity)
  const kept = new Set(
    outbox
      .toReversed()
      .toSorted((a, b) => rankOf(b) - rankOf(a))
      .slice(0, OUTBOX_AT_MOST),
  )
  return { ...ledger, outbox: outbox.filter(entry => kept.has(entry)) }
}

/** A document of the state that keeps what was told, and what is still to be told. */
export interface WithAlerts {
  readonly alerts: Ledger
}

/** A document as it was written, with all that is to be sent, however little of it the document keeps. */
export interface Written<D extends WithAlerts> {
  readonly document: D
  readonly outbox: readonly Undelivered[]
}

/** Changes a document and what is in its outbox. @throws RotationError when it cannot be written */
export async function writeAlerts<D extends WithAlerts>(
  document: Document<D>,
  change: (before: D) => D,
): Promise<Written<D>> {
  let outbox: readonly Undelivered[] = []
  const written = await document.update(before => {
    const after = change(before)
    const alerts = bounded(after.alerts)
    outbox = after.alerts.outbox
    return alerts === after.alerts ? after : { ...after, alerts }
  })
  return { document: written, outbox }
}
