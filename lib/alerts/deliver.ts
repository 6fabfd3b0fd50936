import { asRotationError, type RotationError } from '../base/rotation-error.ts'
import { DAY_MS, SECOND_MS } from '../base/time.ts'
import type { AlertEvent, Run } from '../contracts.ts'
import { EVENTS } from '../model/events.ts'
import type { AlertRecord, OutboxEntry } from '../state/alert-record.ts'
import type { Document } from '../state/document.ts'
import { fitAlert } from './fit.ts'
import { bounded, entryId, type NamedNotifier, type WithAlerts } from './outbox.ts'

/** Sends what is in outboxes, over one run. */
export interface Delivery {
  /** Sends in order; what remains is for a later run. Never throws. */
  send(outbox: readonly OutboxEntry[]): Promise<readonly OutboxEntry[]>
  /** Sends what a document has in its outbox, and keeps what is left; how many those are. Never throws. */
  empty<D extends WithAlerts>(document: Document<D>, outbox: readonly OutboxEntry[]): Promise<number>
  /** How many were delivered so far. */
  sent(): number
}

/** What nobody could be told for so long is old news. */
const KEPT_FOR_MS = 7 * DAY_MS
const ATTEMPTS = 3
const PAUSES_MS = [SECOND_MS, 4 * SECOND_MS] as const
const WAIT_AT_MOST_MS = 15 * SECOND_MS

/** Delivers until `run.deadline`. A notifier that is down is not asked again in this run. */
export function createDelivery(notifiers: readonly NamedNotifier[], run: Run): Delivery {
  const down = new Set<string>()
  const known = new Map(notifiers.map(it => [it.name, it]))
  let delivered = 0
  const isSent = async ({ notifier, alert }: OutboxEntry): Promise<boolean> => {
    // Of a newer version, which tells it when it is back.
    if (!Object.hasOwn(EVENTS, alert.event)) return false
    const to = known.get(notifier)
    if (!to || down.has(notifier) || run.signal.aborted || run.clock.now() >= run.deadline) return false
    // It may have lain in the outbox.
    const error = await attempt(to, fitAlert(alert), run)
    if (error === null) return true
    if (error.retry !== 'never') down.add(notifier)
    const about = { notifier, event: alert.event, error: error.message }
    run.log.warn(about, 'an alert was not delivered; a later run tries again')
    return false
  }
  const send: Delivery['send'] = async outbox => {
    const sent = new Set<OutboxEntry>()
    const inOrder = async (name: string): Promise<void> => {
      for (const entry of outbox.filter(({ notifier }) => notifier === name))
        if (await isSent(entry)) sent.add(entry)
    }
    await Promise.all([...new Set(outbox.map(({ notifier }) => notifier))].map(inOrder))
    delivered += sent.size
    const now = run.clock.now()
    return outbox.filter(
      entry => !sent.has(entry) && known.has(entry.notifier) && now - entry.since < KEPT_FOR_MS,
    )
  }
  return {
    send,
    empty: async (document, outbox) => {
      if (outbox.length === 0) return 0
      // What a document had no room for may have some when the rest was sent.
      const stood = await document.get().then(
        ({ alerts }) => alerts.outbox,
        () => [],
      )
      const left = await send(outbox)
      if (left.length < outbox.length)
        await document
          .update(before => ({ ...before, alerts: keptOf(before.alerts, { stood, outbox, left }) }))
          .catch(
            // They were told: at worst they are told again.
            error =>
              run.log.warn({ error: error.message }, 'that alerts were delivered cannot be written down'),
          )
      return left.length
    },
    sent: () => delivered,
  }
}

const idsOf = (entries: readonly OutboxEntry[]): Set<string> => new Set(entries.map(entryId))

/** An outbox before it was sent. */
interface Sent {
  /** As it stood in the document. */
  readonly stood: readonly OutboxEntry[]
  readonly outbox: readonly OutboxEntry[]
  readonly left: readonly OutboxEntry[]
}

/** What stays in an outbox: what is left, unless another run sent or replaced it, and what others put there meanwhile. */
function keptOf(before: AlertRecord, { stood, outbox, left }: Sent): AlertRecord {
  const had = idsOf([...stood, ...before.outbox])
  const handled = idsOf(outbox)
  for (const id of idsOf(left)) handled.delete(id)
  const dropped = left.filter(entry => !had.has(entryId(entry)))
  const still = before.outbox.filter(entry => !handled.has(entryId(entry)))
  return bounded({ ...before, outbox: [...dropped, ...still] })
}

/** Null when it was taken; else why not, after all attempts that this run has time for. */
async function attempt(
  { notifier }: NamedNotifier,
  alert: AlertEvent,
  run: Run,
): Promise<RotationError | null> {
  for (let tried = 1; ; tried += 1) {
    const error = await (async () => notifier.notify(alert, run))().then(() => null, asRotationError)
    const pauseMs = error && pauseAfter(error, tried, run)
    if (error === null || pauseMs === null) return error
    const isAborted = await run.clock.sleep(pauseMs, run.signal).then(
      () => false,
      () => true,
    )
    if (isAborted) return error
  }
}

/** How long to wait before the next attempt; null: none in this run. */
function pauseAfter(
  { retry, retryAt }: RotationError,
  tried: number,
  { clock, deadline }: Run,
): number | null {
  if (retry === 'never' || tried >= ATTEMPTS) return null
  const now = clock.now()
  const pauseMs = Math.max(PAUSES_MS[tried - 1] ?? 0, (retryAt ?? 0) - now)
  return pauseMs > WAIT_AT_MOST_MS || now + pauseMs >= deadline ? null : pauseMs
}
