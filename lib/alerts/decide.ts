import { DAY_MS, HOUR_MS, MINUTE_MS } from '../base/time.ts'
import type { AlertEvent } from '../contracts.ts'
import { EVENTS, type EventName, isWorse, type Severity, worst } from '../model/events.ts'
import type { AlertRecord, Firing } from '../state/alert-record.ts'
import { type Cause, groupKeyOf } from './cause.ts'
import { severityOf } from './levels.ts'

/** A state as it is now: one that lasts until it is over. */
export interface Condition {
  /** States with the same key are one matter for people: it begins once and ends once. */
  readonly key: string
  /** Null: whatever is open under the key goes on, and nothing else is known. */
  readonly event: EventName | null
  readonly reason: string
  readonly error: Cause
  /** The level of days left of what is served; see levels.ts. */
  readonly level: number | null
  /** At least this bad. Default: what the event says. */
  readonly severity?: Severity
  /** Told only when it has lasted so long. Default: at once. */
  readonly graceMs?: number
  /** Of a group. */
  readonly targets?: NonNullable<Firing['targets']>
}

/** Something that happened. */
export interface Moment {
  readonly event: EventName
  readonly reason: string
  /** Every run shows it: told once under this name. */
  readonly once?: string
}

/** What one run saw of a target, or of the run as a whole. */
export interface Observation {
  readonly now: number
  readonly conditions: readonly Condition[]
  /** Keys of which it is known how things stand: a state among them that is not in `conditions` is over. */
  readonly evaluated: readonly string[]
  readonly moments: readonly Moment[]
}

/** One thing to tell. */
export interface Message
  extends Pick<AlertEvent, 'event' | 'severity' | 'kind' | 'reason' | 'error' | 'ends' | 'targets'> {
  readonly key: string
  /** When the state began; null for a moment. */
  readonly since: number | null
}

const REMIND_MS: Readonly<Record<Severity, number>> = {
  critical: DAY_MS,
  warning: 7 * DAY_MS,
  info: 7 * DAY_MS,
}
/** A state that comes back so soon is told only when it lasts, unless it is critical. */
const SOON_MS = DAY_MS
const LASTS_MS = 6 * HOUR_MS
const SIGNATURES_AT_MOST = 12

/** What is to be told, and what is remembered of it. */
export interface Decided {
  readonly record: AlertRecord
  readonly messages: readonly Message[]
}

/**
 * What is to be told now, and what is to be remembered. One state is told once, then when it gets worse (its
 * severity rises, the days left cross a level, a cause that was not told before), at a slow reminder, and when it is
 * over. Pure; a record that does not change stays the same object.
 */
export function decideAlerts(
  before: AlertRecord,
  { now, conditions, evaluated, moments }: Observation,
): Decided {
  const isNew = ({ once }: Moment): boolean => once === undefined || !before.told?.includes(once)
  const fresh = moments.filter(isNew)
  const messages: Message[] = fresh.map(happened)
  let record = withTold(withoutFuture(before, now), fresh)
  const take = (one: Step): void => {
    record = one.record
    if (one.message) messages.push(one.message)
  }
  for (const condition of conditions) take(goOn(record, condition, now))
  for (const key of Object.keys(record.open))
    if (evaluated.includes(key) && !conditions.some(it => it.key === key)) take(endState(record, key, now))
  return { record, messages }
}

/** Other clocks differ by less. */
const SKEW_MS = 5 * MINUTE_MS

/** A clock that was ahead and is put right again leaves instants that are still to come: nothing waits for those. */
function withoutFuture(record: AlertRecord, now: number): AlertRecord {
  const latest = now + SKEW_MS
  const isAhead = Object.values(record.open).some(it => it.since > latest || (it.toldAt ?? 0) > latest)
  if (!isAhead && Object.values(record.ended).every(at => at <= latest)) return record
  const open = Object.entries(record.open).map(([key, it]) => [
    key,
    { ...it, since: Math.min(it.since, now), toldAt: it.toldAt === null ? null : Math.min(it.toldAt, now) },
  ])
  const ended = Object.entries(record.ended).filter(([, at]) => at <= latest)
  return { ...record, open: Object.fromEntries(open), ended: Object.fromEntries(ended) }
}

const TOLD_AT_MOST = 5

const withTold = (record: AlertRecord, moments: readonly Moment[]): AlertRecord => {
  const names = moments.flatMap(({ once }) => (once === undefined ? [] : [once]))
  return names.length === 0
    ? record
    : { ...record, told: [...(record.told ?? []), ...names].slice(-TOLD_AT_MOST) }
}

const happened = ({ event, reason }: Moment): Message => {
  const { severity } = EVENTS[event]
  return { event, severity, kind: 'moment', key: event, reason, error: null, since: null, ends: null }
}

interface Step {
  readonly record: AlertRecord
  readonly message: Message | null
}

/** A state that begins, or goes on. */
function goOn(record: AlertRecord, condition: Condition, now: number): Step {
  const { key, level, reason } = condition
  const open = record.open[key]
  const event = condition.event ?? (open?.event as EventName | undefined)
  if (event === undefined) return { record, message: null }
  const error = condition.event === null ? (open?.error ?? null) : condition.error
  const signature = groupKeyOf(event, error)
  // It is told by its group, for as long as it is one of it.
  if (open?.shared?.cause === signature) return { record, message: null }
  const severity = severityNow(event, condition)
  const fresh = untold(event, severity, error, now)
  const { shared: _, ...entry }: Firing = open ?? fresh
  const why = whyTell(condition, { entry, severity, signature, now, endedAt: record.ended[key] })
  if (why === null) return { record: open ? record : withOpen(record, key, fresh), message: null }
  const signatures = [...entry.signatures.filter(s => s !== signature), signature].slice(-SIGNATURES_AT_MOST)
  const told = { toldAt: now, severity: worst(severity, entry.severity), event, error, signatures }
  const targets = condition.targets ? { targets: condition.targets } : {}
  const { since } = entry
  return {
    record: withOpen(record, key, { ...entry, ...told, level: lowest(level, entry.level), ...targets }),
    message: {
      ...why,
      event: why.event ?? event,
      severity,
      key,
      reason,
      error,
      since,
      ends: null,
      ...targets,
    },
  }
}

const severityNow = (event: EventName, { level, severity = 'info' }: Condition): Severity =>
  worst(worst(EVENTS[event].severity, severity), severityOf(level))

const untold = (event: EventName, severity: Severity, error: Cause, now: number): Firing => ({
  since: now,
  toldAt: null,
  severity,
  event,
  error,
  signatures: [],
  level: null,
})

/**
 * A record in which states that are not in it have begun, or are as they are now where nothing was told of them yet.
 * Nothing is told. Pure.
 */
export const withBegun = (before: AlertRecord, conditions: readonly Condition[], now: number): AlertRecord =>
  conditions.reduce((record, condition) => {
    const { key, event, error } = condition
    const open = record.open[key]
    const isKnown = open && (open.toldAt !== null || open.shared || open.event === event)
    if (event === null || isKnown) return record
    const fresh = untold(event, severityNow(event, condition), error, now)
    return withOpen(record, key, { ...fresh, since: open?.since ?? now })
  }, before)

interface Now {
  readonly entry: Firing
  readonly severity: Severity
  readonly signature: string
  readonly now: number
  /** When the state before this one under the key ended. */
  readonly endedAt: number | undefined
}

/** Why a state is told now: as what, and as which event when it is another. Null: it is not. */
function whyTell(
  condition: Condition,
  { entry, severity, signature, now, endedAt }: Now,
): { readonly kind: 'new' | 'worse' | 'reminder'; readonly event?: EventName } | null {
  const { level, event, graceMs = 0 } = condition
  if (entry.toldAt === null) {
    const isBack = endedAt !== undefined && now - endedAt < SOON_MS + LASTS_MS
    const waitMs = isBack && severity !== 'critical' ? Math.max(graceMs, LASTS_MS) : graceMs
    return now - entry.since >= waitMs ? { kind: 'new' } : null
  }
  if (level !== null && level < (entry.level ?? Infinity)) return { kind: 'worse', event: 'expiring' }
  const isNewCause = event !== null && !entry.signatures.includes(signature)
  if (isNewCause || isWorse(severity, entry.severity)) return { kind: 'worse' }
  return now - entry.toldAt >= REMIND_MS[severity] ? { kind: 'reminder' } : null
}

function endState({ open: before, ...record }: AlertRecord, key: string, now: number): Step {
  const { [key]: entry, ...open } = before
  if (!entry || entry.toldAt === null) return { record: { ...record, open }, message: null }
  const { since, severity, targets } = entry
  const recent = Object.entries(record.ended).filter(([, at]) => now - at < SOON_MS)
  const next = { ...record, open, ended: { ...Object.fromEntries(recent), [key]: now } }
  // Whoever was not told of it by itself hears of the end of the group.
  if (entry.shared && !entry.shared.alone) return { record: next, message: null }
  return { record: next, message: endOf(key, { since, severity, event: entry.event as EventName, targets }) }
}

/** That a state is over. */
export function endOf(
  key: string,
  {
    since,
    severity,
    event,
    targets,
  }: Pick<Firing, 'since' | 'severity'> & {
    readonly event: EventName
    readonly targets: Firing['targets'] | undefined
  },
): Message {
  const reason = `no longer: ${EVENTS[event].text}`
  const ended = { event: 'recovered', severity: 'info', kind: 'recovered', key, reason, error: null } as const
  return { ...ended, since, ends: { event, severity }, ...(targets ? { targets } : {}) }
}

const withOpen = (record: AlertRecord, key: string, entry: Firing): AlertRecord => ({
  ...record,
  open: { ...record.open, [key]: entry },
})

const lowest = (one: number | null, other: number | null): number | null =>
  one === null ? other : other === null ? one : Math.min(one, other)
