import { DAY_MS, HOUR_MS, MINUTE_MS } from '../base/time.ts'
import { EVENTS, type EventName, isWorse, type Severity, worst } from '../model/events.ts'
import { type Cause, groupKeyOf } from './cause.ts'
import type { Ledger, Open } from './ledger.ts'
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
  /** Of a group: how many targets, and some by name. */
  readonly targets?: NonNullable<Open['targets']>
}

/** Something that happened. */
export interface Moment {
  readonly event: EventName
  readonly reason: string
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
export interface Message {
  readonly event: EventName
  readonly severity: Severity
  readonly kind: 'new' | 'worse' | 'reminder' | 'recovered' | 'moment'
  readonly key: string
  readonly reason: string
  readonly error: Cause
  /** When the state began; null for a moment. */
  readonly since: number | null
  /** What `recovered` ends, and how bad it had been told to be. */
  readonly ends: { readonly event: EventName; readonly severity: Severity } | null
  readonly targets?: NonNullable<Open['targets']>
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
  readonly ledger: Ledger
  readonly messages: readonly Message[]
}

/**
 * What is to be told now, and what is to be remembered. One state is told once, then when it gets worse (its
 * severity rises, the days left cross a level, a cause that was not told before), at a slow reminder, and when it is
 * over. Pure; a ledger that does not change stays the same object.
 */
export function decideAlerts(before: Ledger, { now, conditions, evaluated, moments }: Observation): Decided {
  const messages: Message[] = moments.map(happened)
  let ledger = withoutFuture(before, now)
  const take = (one: Step): void => {
    ledger = one.ledger
    if (one.message) messages.push(one.message)
  }
  for (const condition of conditions) take(goOn(ledger, condition, now))
  for (const key of Object.keys(ledger.open))
    if (evaluated.includes(key) && !conditions.some(it => it.key === key)) take(endState(ledger, key, now))
  return { ledger, messages }
}

/** Other clocks differ by less. */
const SKEW_MS = 5 * MINUTE_MS

/** A clock that was ahead and is put right again leaves instants that are still to come: nothing waits for those. */
function withoutFuture(ledger: Ledger, now: number): Ledger {
  const latest = now + SKEW_MS
  const isAhead = Object.values(ledger.open).some(it => it.since > latest || (it.toldAt ?? 0) > latest)
  if (!isAhead && Object.values(ledger.ended).every(at => at <= latest)) return ledger
  const open = Object.entries(ledger.open).map(([key, it]) => [
    key,
    { ...it, since: Math.min(it.since, now), toldAt: it.toldAt === null ? null : Math.min(it.toldAt, now) },
  ])
  const ended = Object.entries(ledger.ended).filter(([, at]) => at <= latest)
  return { ...ledger, open: Object.fromEntries(open), ended: Object.fromEntries(ended) }
}

const happened = ({ event, reason }: Moment): Message => ({
  event,
  severity: EVENTS[event].severity,
  kind: 'moment',
  key: event,
  reason,
  error: null,
  since: null,
  ends: null,
})

interface Step {
  readonly ledger: Ledger
  readonly message: Message | null
}

/** A state that begins, or goes on. */
function goOn(ledger: Ledger, condition: Condition, now: number): Step {
  const { key, level, targets, reason } = condition
  const open = ledger.open[key]
  const event = condition.event ?? (open?.event as EventName | undefined)
  if (event === undefined) return { ledger, message: null }
  const error = condition.event === null ? (open?.error ?? null) : condition.error
  const signature = groupKeyOf(event, error)
  // It is told by its group, for as long as it is one of it.
  if (open?.shared?.cause === signature) return { ledger, message: null }
  const severity = worst(worst(EVENTS[event].severity, condition.severity ?? 'info'), severityOf(level))
  const entry: Open = open ?? {
    since: now,
    toldAt: null,
    severity,
    event,
    error,
    signatures: [],
    level: null,
  }
  const why = reasonToTell({ ledger, condition, entry, severity, signature, now })
  if (why === null) return { ledger: open ? ledger : withOpen(ledger, key, entry), message: null }
  const { shared: _, ...alone } = entry
  const next: Open = {
    ...alone,
    toldAt: now,
    severity: worst(severity, entry.severity),
    event,
    error,
    signatures: [...entry.signatures.filter(s => s !== signature), signature].slice(-SIGNATURES_AT_MOST),
    level: lowest(level, entry.level),
    ...(targets ? { targets } : {}),
  }
  const message: Message = {
    event: why.byLevel ? 'expiring' : event,
    severity,
    kind: why.kind,
    key,
    reason,
    error,
    since: entry.since,
    ends: null,
    ...(targets ? { targets } : {}),
  }
  return { ledger: withOpen(ledger, key, next), message }
}

interface Question {
  readonly ledger: Ledger
  readonly condition: Condition
  readonly entry: Open
  readonly severity: Severity
  readonly signature: string
  readonly now: number
}

function reasonToTell(question: Question): { kind: Message['kind']; byLevel: boolean } | null {
  const { condition, entry, severity, signature, now } = question
  if (entry.toldAt === null)
    return now - entry.since >= graceMs(question) ? { kind: 'new', byLevel: false } : null
  const crossed = condition.level !== null && condition.level < (entry.level ?? Number.POSITIVE_INFINITY)
  if (crossed) return { kind: 'worse', byLevel: true }
  if (isWorse(severity, entry.severity)) return { kind: 'worse', byLevel: false }
  if (condition.event !== null && !entry.signatures.includes(signature))
    return { kind: 'worse', byLevel: false }
  return now - entry.toldAt >= REMIND_MS[severity] ? { kind: 'reminder', byLevel: false } : null
}

function graceMs({ ledger, condition, severity, now }: Question): number {
  if (severity === 'critical') return condition.graceMs ?? 0
  const endedAt = ledger.ended[condition.key]
  const isBack = endedAt !== undefined && now - endedAt < SOON_MS + LASTS_MS
  return Math.max(condition.graceMs ?? 0, isBack ? LASTS_MS : 0)
}

function endState(ledger: Ledger, key: string, now: number): Step {
  const { [key]: entry, ...open } = ledger.open
  if (!entry) return { ledger, message: null }
  if (entry.toldAt === null) return { ledger: { ...ledger, open }, message: null }
  const recent = Object.entries(ledger.ended).filter(([, at]) => now - at < SOON_MS)
  const event = entry.event as EventName
  const next = { ...ledger, open, ended: { ...Object.fromEntries(recent), [key]: now } }
  // Whoever was not told of it by itself hears of the end of the group.
  if (entry.shared && !entry.shared.alone) return { ledger: next, message: null }
  return {
    ledger: next,
    message: {
      event: 'recovered',
      severity: 'info',
      kind: 'recovered',
      key,
      reason: `no longer: ${EVENTS[event].text}`,
      error: null,
      since: entry.since,
      ends: { event, severity: entry.severity },
      ...(entry.targets ? { targets: entry.targets } : {}),
    },
  }
}

const withOpen = (ledger: Ledger, key: string, entry: Open): Ledger => ({
  ...ledger,
  open: { ...ledger.open, [key]: entry },
})

const lowest = (one: number | null, other: number | null): number | null =>
  one === null ? other : other === null ? one : Math.min(one, other)
