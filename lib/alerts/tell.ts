import { inParallel } from '../base/parallel.ts'
import { asRotationError } from '../base/rotation-error.ts'
import { HOUR_MS } from '../base/time.ts'
import type { AlertEvent } from '../contracts.ts'
import type { RunDocument } from '../state/documents.ts'
import { type Records, targetKey } from '../state/state.ts'
import { isOfMany, MANY_ABOVE } from './cause.ts'
import { composeAlert, type Subject } from './compose.ts'
import { decideAlerts } from './decide.ts'
import { bounded, createDelivery, type Delivery, enqueue } from './deliver.ts'
import { emptyLedger, entryId, type Ledger } from './ledger.ts'
import { type Affected, share } from './many.ts'
import { absorb, manyMoments, type Standing, standingsOf, statesOf } from './standing.ts'
import { noted, type RunEnd, type Told, type ToldRun } from './telling.ts'

/**
 * Telling people: what targets have in their outboxes, and what runs as a whole come to. What more than three
 * targets suffer for one reason is a matter of the run: it is written down there first, and only then taken from
 * the targets, so that a crash at any instant tells it twice rather than never.
 */

const RUN = 'run'
const AT_ONCE = 4
/** How often people are told where nothing can be written down. */
const SLOT_MS = 6 * HOUR_MS

const runSubject = ({ run }: ToldRun): Subject => ({
  ...{ id: 'iotda-cert', target: null, domain: null, daysLeft: null, before: null, after: null },
  runId: run.runId,
  nextTryAt: null,
})

/** What is told of a run: states, and things that happened. */
interface News {
  readonly found: readonly Affected[]
  readonly always: ReadonlySet<string>
  readonly moments: readonly AlertEvent[]
  readonly isJudged: (key: string) => boolean
  readonly ok: boolean
  readonly isWhole: boolean
}

/** Tells of a run that did not get as far as its targets. Never throws. */
export async function tellFailure(told: ToldRun, thrown: unknown): Promise<void> {
  const { code, message, hint } = asRotationError(thrown)
  const event = code === 'settings-invalid' ? 'settings-invalid' : 'run-failed'
  const condition = { key: RUN, event, reason: message, error: { code, message, hint }, level: null } as const
  await tellOfRun(told, createDelivery(told.notifiers, told.run), {
    found: [{ condition, subject: runSubject(told) }],
    ...{ always: new Set(), moments: [], isJudged: () => false, ok: false, isWhole: true },
  })
}

/** Sends what the targets of a finished run have in their outboxes, and tells of the run. Never throws. */
export async function tellEnd(told: ToldRun & { readonly records: Records }, end: RunEnd): Promise<Told> {
  const { records, notifiers: all, run } = told
  const delivery = createDelivery(all, run)
  const standings = await standingsOf(told, end)
  const open = await records
    .run()
    .get()
    .then(
      ({ alerts }) => alerts.open,
      () => null,
    )
  const { news, shared } = newsOf(told, end, standings, open)
  const ended = await tellOfRun(told, delivery, news)
  // Where it could not be written down, it stays with the targets.
  const isWritten = ended?.isWritten ?? false
  const left = await inParallel(standings, AT_ONCE, async standing => {
    try {
      const ledger = isWritten ? await absorb(standing, shared, run.runId) : standing.ledger
      return await sendOutbox(ledger, delivery, change =>
        standing.document.update(d => ({ ...d, alerts: change(d.alerts) })),
      )
    } catch (error) {
      const about = { target: standing.target.name, error: (error as Error).message }
      run.log.warn(about, 'its outbox stays as it is')
      return standing.ledger.outbox.length
    }
  })
  const undelivered = left.reduce((sum, one) => sum + one, ended?.left ?? 0)
  return { okAt: ended?.okAt ?? null, sent: delivery.sent(), undelivered }
}

interface Shared {
  readonly causes: ReadonlySet<string>
  readonly moments: ReadonlySet<string>
}

/** What is told of the run as a whole, and which of it is taken from the targets. */
function newsOf(
  told: ToldRun,
  end: RunEnd,
  standings: readonly Standing[],
  open: Ledger['open'] | null,
): { readonly news: News; readonly shared: Shared } {
  const { run } = told
  const states = open === null ? [] : standings.flatMap(standing => statesOf(standing, run))
  const causes = new Set(states.map(({ cause }) => cause).filter(cause => isShared(cause)))
  function isShared(cause: string): boolean {
    const own = states.filter(state => state.cause === cause)
    if (own.some(({ isMember }) => isMember)) return true
    const isMany = own.length > MANY_ABOVE || cause in (open ?? {})
    return isMany && own.some(({ waiting }) => waiting.length > 0)
  }
  const isBusy = end.results.some(({ outcome }) => outcome === 'busy')
  const isComplete = end.isWhole && !isBusy && standings.length === end.targets.length
  const fromTargets = states
    // Who else is in it is not known: what is told of it goes on.
    .filter(({ cause }) => causes.has(cause) && (isComplete || !(cause in (open ?? {}))))
    .map(({ affected }) => affected)
  const strays = end.strays.map(({ condition, subject }) => ({
    condition: { ...condition, key: `${subject.id}/${condition.key}` },
    subject,
  }))
  const keys = end.targets.map(target => `${targetKey(target)}/`)
  const moments = open === null ? [] : manyMoments(standings, run)
  const news: News = {
    found: [...fromTargets, ...strays],
    always: causes,
    moments,
    isJudged: key => (isOfMany(key) ? isComplete : key === RUN || keys.some(own => key.startsWith(own))),
    ...{ ok: end.ok, isWhole: end.isWhole },
  }
  return { news, shared: { causes, moments: new Set(moments.map(({ event }) => event)) } }
}

/** Returns how many are left. */
async function sendOutbox(
  { outbox }: Ledger,
  delivery: Delivery,
  update: (change: (ledger: Ledger) => Ledger) => Promise<unknown>,
): Promise<number> {
  if (outbox.length === 0) return 0
  const left = new Set((await delivery.send(outbox)).map(entryId))
  const gone = new Set(outbox.map(entryId).filter(id => !left.has(id)))
  if (gone.size > 0)
    await update(ledger => ({ ...ledger, outbox: ledger.outbox.filter(entry => !gone.has(entryId(entry))) }))
  return left.size
}

interface Ended {
  readonly isWritten: boolean
  readonly okAt: number | null
  readonly left: number
}

/** Null: nobody is told of it. */
async function tellOfRun(told: ToldRun, delivery: Delivery, news: News): Promise<Ended | null> {
  const { records, run, notifiers: all } = told
  if (all.length === 0 && !news.isWhole) return null
  const now = run.clock.now()
  let isWritten = false
  try {
    if (records === null) throw new Error('it is not known where state is')
    const document = records.run()
    // Sent is all of it, although no more is kept than a document takes.
    let whole: Ledger = emptyLedger
    const next = await document.update(before => {
      const after = afterEnd(told, before, news, now)
      whole = after.alerts
      return after.alerts === before.alerts ? after : { ...after, alerts: bounded(after.alerts) }
    })
    isWritten = true
    const left = await sendOutbox(whole, delivery, change =>
      document.update(d => ({ ...d, alerts: change(d.alerts) })),
    )
    return { isWritten, okAt: next.okAt, left }
  } catch (error) {
    run.log.warn({ error: (error as Error).message }, 'what is told of runs cannot be written down')
    if (!isWritten) await tellWithoutState(told, delivery, news, now)
    return { isWritten, okAt: null, left: 0 }
  }
}

function afterEnd(told: ToldRun, before: RunDocument, news: News, now: number): RunDocument {
  const { ledger, alerts } = alertsOf(told, before.alerts, news, now)
  const enqueued = enqueue(ledger, [...alerts, ...news.moments], told.notifiers, now)
  const next = noted(before, told.run, news)
  return enqueued === before.alerts ? next : { ...next, alerts: enqueued }
}

function alertsOf(
  told: ToldRun,
  ledger: Ledger,
  { found, always, isJudged }: News,
  now: number,
): { ledger: Ledger; alerts: readonly AlertEvent[] } {
  const shared = share(ledger, found, always)
  const decided = decideAlerts(ledger, {
    now,
    conditions: shared.map(({ condition }) => condition),
    judged: Object.keys(ledger.open).filter(isJudged),
    moments: [],
  })
  const alerts = decided.messages.map(message => {
    const subject = shared.find(({ condition }) => condition.key === message.key)?.subject
    // The id of a stray's subject stands in its key already.
    return composeAlert(message, subject ? { ...subject, id: 'iotda-cert' } : runSubject(told), now)
  })
  return { ledger: decided.ledger, alerts }
}

/** Runs come later than the interval says by so much of it: a schedule may have a window to start them in. */
const LATE = 1 / 3

/** Where nothing can be remembered, the first run in every six hours tells, now and then two, never each. */
async function tellWithoutState(told: ToldRun, delivery: Delivery, news: News, now: number): Promise<void> {
  const isFirst = Math.floor(now / SLOT_MS) !== Math.floor((now - told.intervalMs * (1 + LATE)) / SLOT_MS)
  if (!isFirst) return
  const { alerts } = alertsOf(told, emptyLedger, news, now)
  await delivery.send(enqueue(emptyLedger, alerts, told.notifiers, now).outbox)
}
