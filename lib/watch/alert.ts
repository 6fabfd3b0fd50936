import { alertGroups } from '../alerts/alert-groups.ts'
import { isGroupKey } from '../alerts/cause.ts'
import { aboutRun, type Subject } from '../alerts/compose.ts'
import { createDelivery } from '../alerts/deliver.ts'
import { enqueue, type NamedNotifier, writeAlerts } from '../alerts/outbox.ts'
import { DAY_MS, HOUR_MS } from '../base/time.ts'
import type { Run } from '../contracts.ts'
import { EVENTS } from '../model/events.ts'
import { type AlertRecord, emptyAlertRecord } from '../state/alert-record.ts'
import type { Document } from '../state/document.ts'
import type { WatchDocument } from '../state/documents.ts'
import type { Found } from './conditions.ts'

/** Who is told by the watchdog, and where it remembers what it told. */
export interface WatchAlerting {
  readonly run: Run
  readonly notifiers: readonly NamedNotifier[]
  /** Null: it has no store, or cannot open it. */
  readonly record: Document<WatchDocument> | null
}

/** Tells people what was found, once for each state where it has a record of its own. Returns how many it could not. */
export async function alertWatch(alerting: WatchAlerting, found: readonly Found[]): Promise<number> {
  const { run, notifiers, record } = alerting
  const now = run.clock.now()
  const delivery = createDelivery(notifiers, run)
  const written =
    record &&
    (await writeAlerts(record, before => {
      const alerts = withFound(withoutWords(before.alerts), alerting, found, now)
      return alerts === before.alerts ? before : { ...before, alerts }
    }).catch((error: Error) => {
      run.log.warn({ error: error.message }, 'the watchdog cannot remember what it tells')
      return null
    }))
  if (record && written) return delivery.empty(record, written.outbox)
  const { outbox } = withFound(emptyAlertRecord, alerting, found, now)
  const due = outbox.filter(
    ({ alert: { event, severity } }) =>
      EVENTS[event].severity === 'critical' || severity === 'critical' || isNewDay(now),
  )
  return (await delivery.send(due)).length
}

/**
 * Without a record nothing is known of the run before: what is not critical is told by the first run of a day, of
 * runs that come every six hours and up to an hour late.
 */
const isNewDay = (now: number): boolean => now % DAY_MS < 7 * HOUR_MS

const ID = 'watch'

/**
 * Whoever can write the record must not have messages of their own sent: of what is still to be told only the key is
 * believed, and what is found now is told anew. That a state has ended is told once or never.
 */
function withoutWords(record: AlertRecord): AlertRecord {
  if (record.outbox.length === 0) return record
  const waiting = new Set(record.outbox.map(({ alert }) => alert.dedupKey))
  const open = Object.entries(record.open).filter(([key]) => !waiting.has(`${ID}/${key}`))
  return { ...record, open: Object.fromEntries(open), outbox: [] }
}

function withFound(
  before: AlertRecord,
  { run, notifiers }: WatchAlerting,
  found: readonly Found[],
  now: number,
): AlertRecord {
  const subjectOf = (of: Found | undefined): Subject => ({
    ...aboutRun(ID, run.runId),
    ...(of ? { target: of.name, domain: of.domain, daysLeft: of.daysLeft } : {}),
  })
  const names = new Set(found.map(({ name }) => name))
  const { record, alerts } = alertGroups(before, {
    id: ID,
    now,
    affected: found.flatMap(of =>
      of.conditions.map(condition => ({
        condition: { ...condition, key: `${of.name}/${condition.key}` },
        subject: subjectOf(of),
      })),
    ),
    // A target that is watched no longer is not told of any more.
    isEvaluated: key => isGroupKey(key) || names.has(key.slice(0, key.lastIndexOf('/'))),
    subjectOf: key => subjectOf(found.find(({ name }) => key.startsWith(`${name}/`))),
  })
  return enqueue(record, alerts, notifiers, now)
}
