import { inParallel } from '../base/parallel.ts'
import { asRotationError } from '../base/rotation-error.ts'
import { HOUR_MS, iso } from '../base/time.ts'
import type { AlertLeaf } from '../contracts.ts'
import type { EventName } from '../model/events.ts'
import type { Target } from '../model/target.ts'
import type { ReportedLeaf, TargetResult } from '../report/result.ts'
import { newTarget, type RunDocument, type TargetDocument } from '../state/documents.ts'
import { type Document, type Records, targetKey } from '../state/state.ts'
import { alertGroups } from './alert-groups.ts'
import { isGroupKey } from './cause.ts'
import { aboutRun, composeAlert, type Subject } from './compose.ts'
import { lifetimeOf, observe, RENEWAL, withLife } from './conditions.ts'
import { decideAlerts } from './decide.ts'
import { createDelivery, type Delivery } from './deliver.ts'
import {
  type Affected,
  type DecidedTarget,
  type Groups,
  groupTargets,
  noGroups,
  withoutGroups,
} from './group.ts'
import { emptyLedger, entryId, type Ledger, type Open, type Undelivered } from './ledger.ts'
import { daysLeft, levelOf } from './levels.ts'
import { enqueue, type Written, writeAlerts } from './outbox.ts'
import { type RunAlerting, type RunAlerts, type RunEnd, withRun } from './quiet-run.ts'

/**
 * People are told when a run has ended: what each target has to tell is decided, what more than three of them share
 * becomes a matter of the run, and all of it is written into outboxes before anything is sent. That of the run is
 * written first, so that a crash at any instant tells it twice rather than never.
 */

const ID = 'iotda-cert'
/** The key of what is wrong with runs as a whole. */
const RUN = 'run'
const AT_ONCE = 8

/** Tells what a finished run comes to. Never throws. */
export async function alertRun(
  alerting: RunAlerting & { readonly records: Records },
  end: RunEnd,
): Promise<RunAlerts> {
  const { records, run, notifiers } = alerting
  const looks = await lookAtAll(alerting, end)
  const found = await findGroups(looks, records, end, run.runId)
  const isShared = found.affected.length + found.moments.length > 0
  const shared = isShared
    ? await writeRun(alerting, { ...end, affected: found.affected, groups: found, isEvaluated: () => false })
    : null
  // Where it could not be written down, it stays with the targets.
  const groups = isShared && shared === null ? noGroups : found
  const targets = await inParallel(looks, AT_ONCE, look => writeTarget(look, groups, alerting))
  const delivery = createDelivery(notifiers, run)
  const ended = await tellRun(
    alerting,
    {
      ...end,
      affected: [...groups.affected, ...targets.flatMap(({ stray }) => stray ?? [])],
      groups: { ...groups, moments: [] },
      isEvaluated: found.isEvaluated,
    },
    delivery,
    shared?.outbox,
  )
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
  await tellRun(alerting, news, createDelivery(notifiers, run))
}

// --- targets -----------------------------------------------------------------------------------------------

/** One target at the end of a run. */
interface Look {
  readonly target: Target
  readonly result: TargetResult
  readonly document: Document<TargetDocument>
  /** Null: its document cannot be read. */
  readonly decided: DecidedTarget | null
  /** What it has to tell for itself alone, by its document. */
  readonly decide: (document: TargetDocument) => DecidedTarget
}

const lookAtAll = (
  alerting: RunAlerting & { readonly records: Records },
  { targets, results }: RunEnd,
): Promise<readonly Look[]> => {
  const now = alerting.run.clock.now()
  const ended = targets.flatMap(target => {
    const result = results.find(it => it.target === target.name)
    return result ? [{ target, result, document: alerting.records.target(target) }] : []
  })
  return inParallel(ended, AT_ONCE, async look => {
    const decide = (document: TargetDocument): DecidedTarget =>
      decideTarget(look.target, look.result, document, alerting, now)
    const decided = await look.document.get().then(decide, () => null)
    return { ...look, decided, decide }
  })
}

function decideTarget(
  target: Target,
  result: TargetResult,
  document: TargetDocument,
  { run, notifiers }: RunAlerting,
  now: number,
): DecidedTarget {
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
    ...(seen ? decideAlerts(document.alerts, seen) : { ledger: document.alerts, messages: [] }),
    subject,
    affectedBy: (key, { event, error }: Open) => ({
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

/** What the targets share, and of what it is known how things stand. */
async function findGroups(
  looks: readonly Look[],
  records: Records,
  { targets, results, isWhole }: RunEnd,
  runId: string,
): Promise<Groups & Pick<RunNews, 'isEvaluated'>> {
  const readable = looks.flatMap(({ decided }) => decided ?? [])
  const isBusy = results.some(({ outcome }) => outcome === 'busy')
  const isComplete = isWhole && !isBusy && readable.length === targets.length
  const groups = await records
    .run()
    .get()
    .then(
      ({ alerts: { open } }) => groupTargets(readable, { runId, open, isComplete }),
      () => noGroups,
    )
  const keys = targets.map(target => `${targetKey(target)}/`)
  const isOwn = (key: string): boolean => key === RUN || keys.some(own => key.startsWith(own))
  return { ...groups, isEvaluated: key => (isGroupKey(key) ? isComplete : isOwn(key)) }
}

/** Writes down what a target tells for itself. Where it cannot be, it is a matter of the run, too. */
async function writeTarget(
  { target, result, document, decide }: Look,
  groups: Groups,
  { run, notifiers }: RunAlerting,
): Promise<Pick<Look, 'document'> & { outbox: readonly Undelivered[]; stray: Affected | null }> {
  const now = run.clock.now()
  try {
    const { outbox } = await writeAlerts(document, before => {
      const decided = decide(before)
      const { ledger, messages } = withoutGroups(decided, groups)
      const composed = messages.map(message => composeAlert(message, decided.subject, now))
      const alerts = enqueue(ledger, composed, notifiers, now)
      const kept = notifiers.length > 0 ? withLife(before, result) : before
      return alerts === before.alerts ? kept : { ...kept, alerts }
    })
    return { document, outbox, stray: null }
  } catch (error) {
    const about = { target: target.name, error: (error as Error).message }
    run.log.warn(about, 'what is to be told of it cannot be written down')
    const empty = newTarget(target.name)
    const seen = notifiers.length > 0 ? observe(result, empty, now) : null
    const condition = seen?.conditions.find(({ event }) => event !== null)
    if (!condition) return { document, outbox: [], stray: null }
    const { subject } = decide(empty)
    return {
      document,
      outbox: [],
      stray: { condition: { ...condition, key: `${subject.id}/${condition.key}` }, subject },
    }
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

const withNews = (before: Ledger, { run, notifiers }: RunAlerting, news: RunNews): Ledger => {
  const now = run.clock.now()
  const { affected, groups, isEvaluated } = news
  const { ledger, alerts } = alertGroups(before, {
    id: ID,
    now,
    affected,
    always: groups.keys,
    isEvaluated,
    subjectOf: () => aboutRun(ID, run.runId),
  })
  const moments = groups.moments.map(({ message, subject }) => composeAlert(message, subject, now))
  return enqueue(ledger, [...alerts, ...moments], notifiers, now)
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

/** Writes down what is told of a run, and tells it. `earlier`: what this run has written down already. */
async function tellRun(
  alerting: RunAlerting,
  news: RunNews,
  delivery: Delivery,
  earlier: readonly Undelivered[] = [],
): Promise<{ readonly okAt: number | null; readonly left: number }> {
  const { records, run, intervalMs } = alerting
  const written = await writeRun(alerting, news)
  if (written === null && isTurn(run.clock.now(), intervalMs))
    await delivery.send(withNews(emptyLedger, alerting, news).outbox)
  const outbox = new Map([...earlier, ...(written?.outbox ?? [])].map(entry => [entryId(entry), entry]))
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
