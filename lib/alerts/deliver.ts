import { asRotationError } from '../base/rotation-error.ts'
import { DAY_MS, SECOND_MS } from '../base/time.ts'
import type { AlertEvent, Notifier, Run } from '../contracts.ts'
import { type EventName, isWorse, SEVERITIES, type Severity } from '../model/events.ts'
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
/** What nobody could be told for so long is old news. */
const KEPT_FOR_MS = 7 * DAY_MS

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

/** Sends what is in outboxes, over one run. */
export interface Delivery {
  /** Sends in order; what remains is for a later run. Never throws. */
  send(outbox: readonly Undelivered[]): Promise<readonly Undelivered[]>
  /** How many were delivered so far. */
  sent(): number
}

const ATTEMPTS = 3
const PAUSES_MS = [SECOND_MS, 4 * SECOND_MS] as const
const WAIT_AT_MOST_MS = 15 * SECOND_MS

/** Delivers until `run.deadline`. A notifier that is down is not asked again in this run. */
export function createDelivery(notifiers: readonly NamedNotifier[], run: Run): Delivery {
  const down = new Set<string>()
  let delivered = 0
  const attempt = async (to: NamedNotifier, alert: AlertEvent): Promise<boolean> => {
    for (let tried = 1; ; tried += 1) {
      try {
        await to.notifier.notify(alert, run)
        return true
      } catch (thrown) {
        const pauseMs = pauseAfter(asRotationError(thrown), tried, run)
        if (pauseMs !== null) {
          await run.clock.sleep(pauseMs, run.signal)
          continue
        }
        const error = asRotationError(thrown)
        if (error.retry !== 'never') down.add(to.name)
        const about = { notifier: to.name, event: alert.event, error: error.message }
        run.log.warn(about, 'an alert was not delivered; a later run tries again')
        return false
      }
    }
  }
  const isSent = async ({ notifier, alert }: Undelivered): Promise<boolean> => {
    const to = notifiers.find(({ name }) => name === notifier)
    if (!to || down.has(notifier) || run.signal.aborted || run.clock.now() >= run.deadline) return false
    return attempt(to, alert).catch(() => false)
  }
  return {
    send: async outbox => {
      const sent = new Set<Undelivered>()
      const names = [...new Set(outbox.map(({ notifier }) => notifier))]
      await Promise.all(
        names.map(async name => {
          for (const entry of outbox.filter(({ notifier }) => notifier === name))
            if (await isSent(entry)) sent.add(entry)
        }),
      )
      delivered += sent.size
      const known = new Set(notifiers.map(({ name }) => name))
      const now = run.clock.now()
      return outbox.filter(
        entry => !sent.has(entry) && known.has(entry.notifier) && now - entry.since < KEPT_FOR_MS,
      )
    },
    sent: () => delivered,
  }
}

/** How long to wait before the next attempt; null: none in this run. */
function pauseAfter(
  { retry, retryAt }: ReturnType<typeof asRotationError>,
  tried: number,
  { clock, deadline }: Run,
): number | null {
  if (retry === 'never' || tried >= ATTEMPTS) return null
  const now = clock.now()
  const pauseMs = Math.max(PAUSES_MS[tried - 1] ?? 0, (retryAt ?? 0) - now)
  return pauseMs > WAIT_AT_MOST_MS || now + pauseMs >= deadline ? null : pauseMs
}
