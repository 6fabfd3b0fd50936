import * as v from 'valibot'
import { type AlertEvent, SEVERITIES } from '../model/events.ts'

/** What was told and what is still to be told, kept between runs. Instants are milliseconds since the epoch. */

const instant = v.number()
const Cause = v.nullable(v.object({ code: v.string(), message: v.string(), hint: v.nullable(v.string()) }))

const Firing = v.object({
  /** When it was first seen. */
  since: instant,
  /** Null: not told yet. */
  toldAt: v.nullable(instant),
  /** The worst that was told. */
  severity: v.picklist(SEVERITIES),
  event: v.string(),
  error: Cause,
  /** What was told of it already, so that causes which take turns are not told each time. */
  signatures: v.array(v.string()),
  /** The lowest level of days left that was told. */
  level: v.nullable(v.number()),
  /** Of a target's state that is told as one of many: as which, and whether it had been told by itself before. */
  shared: v.optional(v.object({ cause: v.string(), alone: v.boolean() })),
  /** Of a state of many targets: which, when it was last told. */
  targets: v.optional(v.object({ count: v.number(), names: v.array(v.string()) })),
})
export type Firing = v.InferOutput<typeof Firing>

const OutboxEntry = v.object({
  /** Name of the notifier. */
  notifier: v.string(),
  since: instant,
  alert: v.custom<AlertEvent>(it => typeof it === 'object' && it !== null, 'must be an alert'),
})
export type OutboxEntry = v.InferOutput<typeof OutboxEntry>

export const AlertRecord = v.object({
  /** States that are not over, by key. */
  open: v.record(v.string(), Firing),
  /** When a state ended, for those that come back soon. */
  ended: v.record(v.string(), instant),
  outbox: v.array(OutboxEntry),
  /** Moments that every run would show, and that were told; the newest last. */
  told: v.optional(v.array(v.string())),
})
export type AlertRecord = v.InferOutput<typeof AlertRecord>

export const emptyAlertRecord: AlertRecord = { open: {}, ended: {}, outbox: [] }

/**
 * What a record is believed for that others may have written: that states were told, and no words. What waits in its
 * outbox is forgotten, and so is the state it is about, which is told anew where it is found again; the rest loses
 * its texts, but for names of targets that are known. Pure; the same object where nothing is taken away.
 */
export function withoutWords(
  record: AlertRecord,
  isKnown: (name: string) => boolean = () => false,
): AlertRecord {
  const waiting = record.outbox
    .filter(({ alert }) => alert.event !== 'recovered')
    .map(({ alert }) => String(alert.dedupKey))
  const open = Object.entries(record.open)
    .filter(([key]) => !waiting.some(it => it.endsWith(`/${key}`)))
    .map(([key, firing]) => [key, wordless(firing, isKnown)] as const)
  const isSame = record.outbox.length === 0 && open.every(([key, firing]) => firing === record.open[key])
  return isSame ? record : { ...record, open: Object.fromEntries(open), outbox: [] }
}

function wordless(firing: Firing, isKnown: (name: string) => boolean): Firing {
  const { targets, ...rest } = firing
  const names = (targets?.names ?? []).filter(isKnown)
  if (firing.error === null && (!targets || names.length === targets.names.length)) return firing
  return { ...rest, error: null, ...(targets ? { targets: { count: targets.count, names } } : {}) }
}
