import * as v from 'valibot'
import { alertGroups } from '../alerts/alert-groups.ts'
import { groupKeyOf, isGroupKey } from '../alerts/cause.ts'
import { aboutRun, composeAlert, type Subject } from '../alerts/compose.ts'
import { endOf } from '../alerts/decide.ts'
import { createDelivery } from '../alerts/deliver.ts'
import { enqueue, type NamedNotifier, writeAlerts } from '../alerts/outbox.ts'
import { DAY_MS, HOUR_MS } from '../base/time.ts'
import type { Run } from '../contracts.ts'
import { EVENTS, type EventName, SEVERITIES } from '../model/events.ts'
import { type AlertRecord, emptyAlertRecord, type OutboxEntry, withoutWords } from '../state/alert-record.ts'
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
      const alerts = withFound(believed(before.alerts, run, found, now), alerting, found, now)
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

/** What is found has one of these names. */
const CONDITION = /^(reach|identity|days|revoked|rotator)$/

/** Whether a key is one that we would have given this event. */
function isOwn(key: string, event: string, found: readonly Found[]): event is EventName {
  if (!Object.hasOwn(EVENTS, event)) return false
  if (isGroupKey(key)) return key === groupKeyOf(event, null)
  const at = key.lastIndexOf('/')
  return CONDITION.test(key.slice(at + 1)) && found.some(({ name }) => name === key.slice(0, at))
}

/**
 * Whoever can write the record must not have messages of their own sent: no word of it is believed. What is still to
 * be told is told anew where it is found again; that a state has ended, in words of ours.
 */
function believed(record: AlertRecord, run: Run, found: readonly Found[], now: number): AlertRecord {
  const isKnown = (target: string): boolean => found.some(({ name }) => name === target)
  const own = Object.entries(record.open).filter(([key, { event }]) => isOwn(key, event, found))
  const isAll = own.length === Object.keys(record.open).length
  const kept = withoutWords(isAll ? record : { ...record, open: Object.fromEntries(own) }, isKnown)
  const ends = record.outbox.flatMap(entry => endAgain(entry, run, found, now) ?? [])
  return ends.length === 0 ? kept : { ...kept, outbox: ends }
}

const End = v.object({
  dedupKey: v.string(),
  since: v.pipe(v.string(), v.isoTimestamp()),
  ends: v.object({ event: v.string(), severity: v.picklist(SEVERITIES) }),
  targets: v.optional(v.object({ names: v.array(v.string()) })),
})

/** The end of a state that could not be told; null: it is none. */
function endAgain(entry: OutboxEntry, run: Run, found: readonly Found[], now: number): OutboxEntry | null {
  const { success, output } = v.safeParse(End, entry.alert)
  if (entry.alert.event !== 'recovered' || !success) return null
  const key = output.dedupKey.slice(`${ID}/`.length)
  const { event, severity } = output.ends
  if (!isOwn(key, event, found)) return null
  const names = output.targets?.names.filter(target => found.some(({ name }) => name === target)) ?? []
  const targets = names.length > 0 ? { count: names.length, names } : undefined
  // Not after now, nor before it began: whoever wrote it may have written any number.
  const since = Math.min(Date.parse(output.since), now)
  const at = Math.min(Math.max(entry.since, since), now)
  const message = endOf(key, { since, severity, event, targets })
  return { ...entry, alert: composeAlert(message, { ...subjectOf(key, run, found), id: ID }, at) }
}

/** What a state of that key is about. */
function subjectOf(key: string, { runId }: Run, found: readonly Found[]): Subject {
  const of = found.find(({ name }) => key.startsWith(`${name}/`))
  return {
    ...aboutRun(ID, runId),
    ...(of ? { target: of.name, domain: of.domain, daysLeft: of.daysLeft } : {}),
  }
}

function withFound(
  before: AlertRecord,
  { run, notifiers }: WatchAlerting,
  found: readonly Found[],
  now: number,
): AlertRecord {
  const names = new Set(found.map(({ name }) => name))
  const { record, alerts } = alertGroups(before, {
    id: ID,
    now,
    affected: found.flatMap(of =>
      of.conditions.map(condition => ({
        condition: { ...condition, key: `${of.name}/${condition.key}` },
        subject: subjectOf(`${of.name}/`, run, [of]),
      })),
    ),
    // A target that is watched no longer is not told of any more.
    isEvaluated: key => isGroupKey(key) || names.has(key.slice(0, key.lastIndexOf('/'))),
    subjectOf: key => subjectOf(key, run, found),
  })
  return enqueue(record, alerts, notifiers, now)
}
