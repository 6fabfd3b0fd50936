import { isOfMany } from '../alerts/cause.ts'
import { composeAlert, type Subject } from '../alerts/compose.ts'
import { decideAlerts } from '../alerts/decide.ts'
import { bounded, createDelivery, enqueue, type NamedNotifier } from '../alerts/deliver.ts'
import { emptyLedger, type Ledger } from '../alerts/ledger.ts'
import { share } from '../alerts/many.ts'
import { openNotifiers } from '../alerts/telling.ts'
import { openState } from '../app/drivers.ts'
import { DAY_MS, HOUR_MS } from '../base/time.ts'
import type { WatchSettings } from '../config/watch.ts'
import type { AlertEvent, DriverContext, Run } from '../contracts.ts'
import { EVENTS } from '../model/events.ts'
import type { Document } from '../state/document.ts'
import type { Found } from './judge.ts'

export interface WatchTelling {
  readonly settings: WatchSettings
  readonly context: (name: string) => DriverContext
  readonly run: Run
  readonly found: readonly Found[]
}

/** Tells people what was found, once for each state where it has a record of its own. Returns how many it could not. */
export async function tellWatch(telling: WatchTelling): Promise<number> {
  const { settings, context, run } = telling
  const notifiers = await openNotifiers(settings, context)
  const delivery = createDelivery(notifiers, run)
  const now = run.clock.now()
  const record = await recordOf(telling)
  const noted = record && (await note(record, telling, notifiers, now))
  if (record === null || noted === null) {
    const { alerts } = alertsOf(emptyLedger, telling, now)
    const due = alerts.filter(
      alert => EVENTS[alert.event].severity === 'critical' || alert.severity === 'critical' || isNewDay(now),
    )
    return (await delivery.send(enqueue(emptyLedger, due, notifiers, now).outbox)).length
  }
  const left = await delivery.send(noted)
  if (left.length < noted.length)
    await record
      .update(before => ({ ...before, alerts: bounded({ ...before.alerts, outbox: [...left] }) }))
      // It was told: at worst it is told again.
      .catch((error: Error) => run.log.warn({ error: error.message }, CANNOT_REMEMBER))
  return left.length
}

const CANNOT_REMEMBER = 'the watchdog cannot remember what it tells'

/** Writes down what is told, then returns all of it, however little is kept. Null: nothing can be written down. */
async function note(
  record: WatchRecord,
  telling: WatchTelling,
  notifiers: readonly NamedNotifier[],
  now: number,
): Promise<Ledger['outbox'] | null> {
  let whole: Ledger = emptyLedger
  try {
    await record.update(before => {
      const decided = alertsOf(before.alerts, telling, now)
      whole = enqueue(decided.ledger, decided.alerts, notifiers, now)
      return whole === before.alerts ? before : { ...before, alerts: bounded(whole) }
    })
    return whole.outbox
  } catch (error) {
    telling.run.log.warn({ error: (error as Error).message }, CANNOT_REMEMBER)
    return null
  }
}

/**
 * Without a record nothing is known of the run before: what is not critical is told by the first run of a day, of
 * runs that come every six hours and up to an hour late.
 */
const isNewDay = (now: number): boolean => now % DAY_MS < 7 * HOUR_MS

type WatchRecord = Document<{ readonly alerts: Ledger; readonly schema: 1 }>

/** The watchdog's own document; null when it has no store, or cannot open it. */
async function recordOf({ settings, context, run }: WatchTelling): Promise<WatchRecord | null> {
  if (settings.store === null) return null
  try {
    const { records } = await openState({ store: settings.store }, context)
    return records.watch()
  } catch (error) {
    run.log.warn({ error: (error as Error).message }, 'the watchdog cannot open its store')
    return null
  }
}

function alertsOf(
  ledger: Ledger,
  { found, run }: WatchTelling,
  now: number,
): { readonly ledger: Ledger; readonly alerts: readonly AlertEvent[] } {
  const affected = found.flatMap(of =>
    of.conditions.map(condition => ({
      condition: { ...condition, key: `${of.name}/${condition.key}` },
      subject: subjectOf(of, run),
    })),
  )
  const shared = share(ledger, affected)
  const names = new Set(found.map(f => f.name))
  // A target that is watched no longer is not told of any more.
  const judged = Object.keys(ledger.open).filter(
    key => isOfMany(key) || names.has(key.slice(0, key.lastIndexOf('/'))),
  )
  const conditions = shared.map(({ condition }) => condition)
  const decided = decideAlerts(ledger, { now, conditions, judged, moments: [] })
  const alerts = decided.messages.map(message => {
    const of = shared.find(({ condition }) => condition.key === message.key)?.subject
    const ended = found.find(f => message.key.startsWith(`${f.name}/`))
    return composeAlert(message, of ?? subjectOf(ended ?? nobody, run), now)
  })
  return { ledger: decided.ledger, alerts }
}

const nobody = { name: null, domain: null, daysLeft: null }

const subjectOf = (
  { name, domain, daysLeft }: Pick<Found, 'domain' | 'daysLeft'> & { readonly name: string | null },
  { runId }: Run,
): Subject => ({
  ...{ id: 'watch', target: name, domain, daysLeft },
  ...{ before: null, after: null, runId, nextTryAt: null },
})
