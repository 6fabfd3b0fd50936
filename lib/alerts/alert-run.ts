import { inParallel } from '../base/parallel.ts'
import { asRotationError } from '../base/rotation-error.ts'
import { HOUR_MS, iso } from '../base/time.ts'
import type { AlertLeaf, Run } from '../contracts.ts'
import type { EventName } from '../model/events.ts'
import type { Target } from '../model/target.ts'
import type { ReportedLeaf, TargetResult } from '../report/result.ts'
import { type AlertRecord, emptyAlertRecord, type Firing, type OutboxEntry } from '../state/alert-record.ts'
import type { Document } from '../state/document.ts'
import { newTarget, type RunDocument, type TargetDocument } from '../state/documents.ts'
import { type Records, targetKey } from '../state/state.ts'
import { alertGroups } from './alert-groups.ts'
import { groupKeyOf, isGroupKey } from './cause.ts'
import { aboutRun, composeAlert, type Subject } from './compose.ts'
import { lifetimeOf, observe, RENEWAL, withLife } from './conditions.ts'
import { type Condition, decideAlerts, withBegun } from './decide.ts'
import { createDelivery, type Delivery } from './deliver.ts'
import {
  type Affected,
  type DecidedTarget,
  type Groups,
  groupTargets,
  noGroups,
  withoutGroups,
} from './group.ts'
import { daysLeft, levelOf } from './levels.ts'
import { enqueue, entryId, type NamedNotifier, type Written, writeAlerts } from './outbox.ts'

/**
 * People are told when a run has ended: what each target has to tell is decided, what more than three of them share
 * becomes a matter of the run, and all of it is written into outboxes before anything is sent. That of the run is
 * written first. What happened once is in the outbox of its target since that target has ended, and states go on: so
 * a crash at any instant after that tells it twice rather than never.
 */

const ID = 'iotda-cert'
/** The key of what is wrong with runs as a whole. */
const RUN = 'run'
const AT_ONCE = 8

/** Who is told of a run, and where what they were told is written down. */
export interface RunAlerting {
  readonly run: Run
  /** Null: it is not known where state is, or it cannot be opened. */
  readonly records: Records | null
  readonly notifiers: readonly NamedNotifier[]
  readonly intervalMs: number
}

type Alerting = RunAlerting & { readonly records: Records }

/** How a run ended for a target. */
export interface Ended {
  readonly target: Target
  readonly result: TargetResult
}

/** How a run ended. */
export interface RunEnd {
  readonly targets: readonly Target[]
  /** Of all targets but those of which `noteTarget` said that there is nothing to tell. */
  readonly ends: readonly Ended[]
  readonly ok: boolean
  /** It was for every target. */
  readonly isWhole: boolean
}

/** What came of telling people. */
export interface RunAlerts {
  /** When all targets were well for the last time, as far as it is written down; before they ever were: the first run. */
  readonly okAt: number | null
  /** Messages that were delivered, and those that wait for a later run. */
  readonly sent: number
  readonly undelivered: number
}

/**
 * Writes down what happened to a target that has ended, for a process that dies before all have: once more at the end
 * of the run it is the same matter. Of states only that they have begun. False: there is nothing to tell of it, and
 * nothing was open. Never throws.
 */
export async function noteTarget(alerting: Alerting, target: Target, result: TargetResult): Promise<boolean> {
  const { run, records, notifiers } = alerting
  const now = run.clock.now()
  if (run.signal.aborted || now >= run.deadline) return true
  let hasToTell = true
  try {
    if (notifiers.length === 0)
      return result.outcome !== 'idle' || !isSilent((await records.target(target).get()).alerts)
    await writeAlerts(records.target(target), before => {
      const { messages, conditions, subject } = decideTarget(target, result, before, alerting, now)
      const isQuiet = messages.length === 0 && conditions.length === 0 && isSilent(before.alerts)
      hasToTell = !isQuiet || withLife(before, result) !== before
      const moments = messages.filter(({ kind }) => kind === 'moment')
      const composed = moments.map(message => composeAlert(message, subject, now))
      const alerts = enqueue(withBegun(before.alerts, conditions, now), composed, notifiers, now)
      return alerts === before.alerts ? before : { ...withLife(before, result), alerts }
    })
  } catch (error) {
    // The end of the run warns, where it is still so.
    run.log.debug({ target: target.name, error: (error as Error).message }, 'what happened is not noted')
    return true
  }
  return hasToTell
}

const isSilent = ({ open, outbox }: AlertRecord): boolean =>
  outbox.length === 0 && Object.keys(open).length === 0

const nothingTold: RunAlerts = { okAt: null, sent: 0, undelivered: 0 }

/** Writes down that there was a run, and tells people what it comes to. Never throws. */
export const alertRun = (alerting: Alerting, end: RunEnd): Promise<RunAlerts> =>
  tellEnd(alerting, end).catch(error => {
    notTold(alerting, error)
    return nothingTold
  })

const notTold = ({ run }: RunAlerting, error: unknown): void =>
  run.log.warn({ error: asRotationError(error).message }, 'what the run comes to was not told')

async function tellEnd(alerting: Alerting, end: RunEnd): Promise<RunAlerts> {
  const { run, notifiers } = alerting
  if (notifiers.length === 0 && !end.isWhole) return nothingTold
  const looks = await lookAtAll(alerting, end)
  const { found, isEvaluated } = await findGroups(looks, alerting, end)
  const first = { ...end, affected: found.affected, groups: found, isEvaluated: () => false }
  const shared = await writeRun(alerting, first)
  // Where it could not be written down, it stays with the targets.
  const groups = shared ? found : noGroups
  const targets = await inParallel(looks, AT_ONCE, look => writeTarget(look, groups, alerting))
  const affected = [...groups.affected, ...targets.flatMap(({ unwritten }) => unwritten ?? [])]
  const rest = { ...end, affected, groups: { ...groups, moments: [] }, isEvaluated }
  const delivery = createDelivery(notifiers, run)
  const earlier = { outbox: shared?.outbox ?? [], groups: groups.keys }
  const ended = await tellRun(alerting, rest, delivery, earlier)
  const left = await inParallel(targets, AT_ONCE, ({ document, outbox }) => delivery.empty(document, outbox))
  const undelivered = left.reduce((sum, one) => sum + one, ended.left)
  return { okAt: ended.okAt, sent: delivery.sent(), undelivered }
}

/** Tells of a run that did not get as far as its targets. Never throws. */
export async function alertFailure(alerting: RunAlerting, thrown: unknown): Promise<void> {
  const { run, notifiers } = alerting
  const { code, message, hint } = asRotationError(thrown)
  const condition = {
    key: RUN,
    event: code === 'settings-invalid' ? code : 'run-failed',
    reason: message,
    error: { code, message, hint },
    level: null,
  } as const
  const affected = [{ condition, subject: aboutRun(ID, run.runId) }]
  const news = { affected, groups: noGroups, isEvaluated: () => false, ok: false, isWhole: true }
  await tellRun(alerting, news, createDelivery(notifiers, run)).catch(error => notTold(alerting, error))
}

// --- targets -----------------------------------------------------------------------------------------------

/** One target at the end of a run. */
interface Look {
  readonly document: Document<TargetDocument>
  readonly result: TargetResult
  /** What it has to tell for itself alone, by its document. */
  readonly decide: (document: TargetDocument) => TargetAlerts
  /** That, as its document was read; null: it cannot be. */
  readonly decided: TargetAlerts | null
}

interface TargetAlerts extends DecidedTarget {
  readonly conditions: readonly Condition[]
}

function lookAtAll(alerting: Alerting, { ends }: RunEnd): Promise<readonly Look[]> {
  const now = alerting.run.clock.now()
  return inParallel(ends, AT_ONCE, async ({ target, result }) => {
    const document = alerting.records.target(target)
    const decide = (of: TargetDocument): TargetAlerts => decideTarget(target, result, of, alerting, now)
    const decided = await document
      .get()
      .then(decide)
      .catch(() => null)
    return { document, result, decide, decided }
  })
}

function decideTarget(
  target: Target,
  result: TargetResult,
  document: TargetDocument,
  { run, notifiers }: RunAlerting,
  now: number,
): TargetAlerts {
  const seen = notifiers.length > 0 ? observe(result, document, now) : null
  const lifetime = lifetimeOf(result, document)
  const { retryAfter } = document
  const retryAt = result.error?.retryAt ?? null
  const backedOff = retryAfter !== null && retryAfter > now ? iso(retryAfter) : null
  const subject: Subject = {
    id: targetKey(target),
    target: target.name,
    domain: target.domain,
    daysLeft: lifetime && daysLeft(lifetime, now),
    before: alertLeaf(result.before),
    after: alertLeaf(result.after),
    runId: run.runId,
    nextTryAt: retryAt ?? backedOff ?? result.decision.nextCheckAt,
  }
  return {
    ...(seen ? decideAlerts(document.alerts, seen) : { record: document.alerts, messages: [] }),
    conditions: seen?.conditions ?? [],
    subject,
    affectedBy: (key, { event, error }: Firing) => ({
      condition: {
        key: `${subject.id}/${key}`,
        event: event as EventName,
        error,
        reason: error?.message ?? result.decision.detail,
        level: key === RENEWAL && lifetime ? levelOf(lifetime, now) : null,
      },
      subject: { ...subject, nextTryAt: retryAt ?? result.decision.nextCheckAt },
    }),
  }
}

const alertLeaf = (leaf: ReportedLeaf | null): AlertLeaf | null =>
  leaf && { fingerprint: leaf.fingerprint, issuer: leaf.issuer, notAfter: leaf.notAfter }

/** What the targets share, and of which keys of the run it is known how things stand. */
async function findGroups(
  looks: readonly Look[],
  { records, run }: Alerting,
  { targets, ends, isWhole }: RunEnd,
): Promise<{ readonly found: Groups } & Pick<RunNews, 'isEvaluated'>> {
  const readable = looks.flatMap(({ decided }) => decided ?? [])
  const isBusy = ends.some(({ result }) => result.outcome === 'busy')
  const isComplete = isWhole && !isBusy && readable.length === ends.length
  const document = await records
    .run()
    .get()
    .catch(() => null)
  const open = document?.alerts.open
  const keys = targets.map(target => `${targetKey(target)}/`)
  const isOwn = (key: string): boolean => key === RUN || keys.some(own => key.startsWith(own))
  return {
    found: open ? groupTargets(readable, { runId: run.runId, open, isComplete }) : noGroups,
    isEvaluated: key => (isGroupKey(key) ? isComplete : isOwn(key)),
  }
}

/** What a target has to send, and what could not be written down there: it is a matter of the run, then. */
interface WrittenTarget {
  readonly document: Document<TargetDocument>
  readonly outbox: readonly OutboxEntry[]
  readonly unwritten: Affected | null
}

async function writeTarget(
  { document, result, decide }: Look,
  groups: Groups,
  { run, notifiers }: RunAlerting,
): Promise<WrittenTarget> {
  try {
    const { outbox } = await writeAlerts(document, before => {
      const decided = decide(before)
      const { record, messages } = withoutGroups(decided, groups)
      const now = run.clock.now()
      const composed = messages.map(message => composeAlert(message, decided.subject, now))
      const alerts = enqueue(record, composed, notifiers, now)
      const kept = notifiers.length > 0 ? withLife(before, result) : before
      return alerts === before.alerts ? kept : { ...kept, alerts }
    })
    return { document, outbox, unwritten: null }
  } catch (error) {
    const about = { target: result.target, error: (error as Error).message }
    run.log.warn(about, 'what is to be told of it cannot be written down')
    return { document, outbox: [], unwritten: unwrittenOf(result, decide) }
  }
}

/** What can be told of a target without its document. */
function unwrittenOf({ target }: TargetResult, decide: Look['decide']): Affected | null {
  try {
    const { conditions, subject } = decide(newTarget(target))
    const condition = conditions.find(({ event }) => event !== null)
    return condition ? { condition: { ...condition, key: `${subject.id}/${condition.key}` }, subject } : null
  } catch {
    return null
  }
}

// --- the run -----------------------------------------------------------------------------------------------

/** What is told of a run as a whole. */
interface RunNews extends Pick<RunEnd, 'ok' | 'isWhole'> {
  readonly affected: readonly Affected[]
  readonly groups: Groups
  /** Whether it is known how things stand under a key. */
  readonly isEvaluated: (key: string) => boolean
}

const withNews = (before: AlertRecord, { run, notifiers }: RunAlerting, news: RunNews): AlertRecord => {
  const now = run.clock.now()
  const { affected, groups, isEvaluated } = news
  const { record, alerts } = alertGroups(before, {
    id: ID,
    now,
    affected,
    always: groups.keys,
    isEvaluated,
    subjectOf: () => aboutRun(ID, run.runId),
  })
  const moments = groups.moments.map(({ message, subject }) => composeAlert(message, subject, now))
  return enqueue(record, [...alerts, ...moments], notifiers, now)
}

/** How often a good run is written down. */
const RECORD_EVERY_MS = 3 * HOUR_MS

/** The document of runs with this one in it, every few hours and when it turns good or bad. */
function withRun(
  before: RunDocument,
  { runId, clock }: Run,
  { ok, isWhole }: Pick<RunEnd, 'ok' | 'isWhole'>,
): RunDocument {
  const now = clock.now()
  const { last } = before
  // One from the future was written by a clock that was ahead.
  const isFresh = last !== null && last.ok === ok && Math.abs(now - last.at) < RECORD_EVERY_MS
  if (!isWhole || isFresh) return before
  const okAt = ok ? now : Math.min(before.okAt ?? last?.at ?? now, now)
  return { ...before, last: { runId, at: now, ok }, okAt }
}

/** Null: it cannot be written down. */
async function writeRun(alerting: RunAlerting, news: RunNews): Promise<Written<RunDocument> | null> {
  const { records, run } = alerting
  try {
    if (records === null) throw new Error('it is not known where state is')
    return await writeAlerts(records.run(), before => {
      const alerts = withNews(before.alerts, alerting, news)
      const next = withRun(before, run, news)
      return alerts === before.alerts ? next : { ...next, alerts }
    })
  } catch (error) {
    run.log.warn({ error: (error as Error).message }, 'what is told of runs cannot be written down')
    return null
  }
}

/** What a run has written down already: that is told whatever comes. */
interface Earlier {
  readonly outbox: readonly OutboxEntry[]
  readonly groups: Groups['keys']
}

/** Writes down what is told of a run, and tells it. */
async function tellRun(
  alerting: RunAlerting,
  news: RunNews,
  delivery: Delivery,
  earlier: Earlier = { outbox: [], groups: new Set() },
): Promise<{ readonly okAt: number | null; readonly left: number }> {
  const { records, run, intervalMs } = alerting
  const written = await writeRun(alerting, news)
  if (written === null && isTurn(run.clock.now(), intervalMs)) {
    const isEarlier = ({ condition: { event, error } }: Affected): boolean =>
      event !== null && earlier.groups.has(groupKeyOf(event, error))
    const affected = news.affected.filter(one => !isEarlier(one))
    await delivery.send(withNews(emptyAlertRecord, alerting, { ...news, affected }).outbox)
  }
  const outbox = new Map(
    [...earlier.outbox, ...(written?.outbox ?? [])].map(entry => [entryId(entry), entry]),
  )
  const left = records === null ? 0 : await delivery.empty(records.run(), [...outbox.values()])
  return { okAt: written?.document.okAt ?? null, left }
}

/** How often people are told where nothing can be written down. */
const SLOT_MS = 6 * HOUR_MS
/** Runs come later than the interval says by so much of it: a schedule may have a window to start them in. */
const LATE = 1 / 3

/** Where nothing can be remembered, the first run in every six hours tells, now and then two, never each. */
const isTurn = (now: number, intervalMs: number): boolean =>
  Math.floor(now / SLOT_MS) !== Math.floor((now - intervalMs * (1 + LATE)) / SLOT_MS)
