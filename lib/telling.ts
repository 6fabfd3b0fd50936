import { composeAlert, type Subject } from './alerts/compose.ts'
import { type Condition, decideAlerts } from './alerts/decide.ts'
import { createDelivery, type Delivery, enqueue, type NamedNotifier } from './alerts/deliver.ts'
import { emptyLedger, entryId, type Ledger } from './alerts/ledger.ts'
import { asRotationError } from './base/errors.ts'
import { inParallel } from './base/parallel.ts'
import { HOUR_MS } from './base/time.ts'
import type { Alerting } from './config/load.ts'
import type { AlertEvent, Notifier, NotifierContext, Run } from './contracts.ts'
import type { Target } from './model.ts'
import { notifiers } from './notifiers/index.ts'
import { make } from './parts.ts'
import type { Stray } from './rotation/alert.ts'
import type { RunDocument } from './rotation/documents.ts'
import { type Records, targetKey } from './rotation/record.ts'

/** Telling people: what targets have in their outboxes, and what runs as a whole come to. */

type Context = (name: string) => Omit<NotifierContext, 'language'>

/** The notifiers of the settings. One that cannot be made is logged: it must not keep a run from rotating. */
export async function openNotifiers(
  alerting: Pick<Alerting, 'notifiers'>,
  context: Context,
): Promise<readonly NamedNotifier[]> {
  const opened = alerting.notifiers.map(async ({ name, filter, language, ...chosen }) => {
    const own = { ...context(`notifiers.${name}`), language }
    try {
      const notifier = await make<Notifier, NotifierContext>(notifiers, chosen, own)
      return [{ name, filter, notifier }]
    } catch (error) {
      own.log.warn({ notifier: name, error: (error as Error).message }, 'a notifier cannot be used')
      return []
    }
  })
  return (await Promise.all(opened)).flat()
}

/** One run as a whole. */
export interface ToldRun {
  readonly run: Run
  /** Null: it is not known where state is, or it cannot be opened. */
  readonly records: Records | null
  readonly notifiers: readonly NamedNotifier[]
  readonly intervalMs: number
}

const RUN = 'run'
const AT_ONCE = 4
/** How often a good run is written down, and how often people are told where nothing can be written down. */
const NOTE_EVERY_MS = 3 * HOUR_MS
const SLOT_MS = 6 * HOUR_MS

const runSubject = ({ run }: ToldRun): Subject => ({
  ...{ id: 'iotda-cert', target: null, domain: null, daysLeft: null, before: null, after: null },
  runId: run.runId,
  nextTryAt: null,
})

/** Tells of a run that did not get as far as its targets. Never throws. */
export async function tellFailure(told: ToldRun, thrown: unknown): Promise<void> {
  const { code, message, hint } = asRotationError(thrown)
  const condition: Condition = {
    key: RUN,
    event: code === 'settings-invalid' ? 'settings-invalid' : 'run-failed',
    ...{ reason: message, error: { code, message, hint }, level: null },
  }
  const delivery = createDelivery(told.notifiers, told.run)
  await tellOfRun(told, delivery, {
    found: [{ condition, subject: runSubject(told) }],
    judged: [],
    ok: false,
    isWhole: true,
  })
}

/** Sends what the targets of a finished run have in their outboxes, and tells of the run. Never throws. */
export async function tellEnd(
  told: ToldRun & { readonly records: Records },
  end: {
    readonly targets: readonly Target[]
    readonly strays: readonly Stray[]
    readonly ok: boolean
    readonly isWhole: boolean
  },
): Promise<void> {
  const { records, notifiers: all, run } = told
  const delivery = createDelivery(all, run)
  await inParallel(end.targets, AT_ONCE, async target => {
    const document = records.target(target)
    try {
      const { alerts } = await document.get()
      const update = (change: (ledger: Ledger) => Ledger) =>
        document.update(d => ({ ...d, alerts: change(d.alerts) }))
      await sendOutbox(alerts, delivery, update)
    } catch (error) {
      run.log.warn({ target: target.name, error: (error as Error).message }, 'its outbox stays as it is')
    }
  })
  const found = end.strays.map(({ condition, subject }) => ({
    condition: { ...condition, key: `${subject.id}/${condition.key}` },
    subject,
  }))
  const isJudged = (key: string): boolean =>
    key === RUN || end.targets.some(target => key.startsWith(`${targetKey(target)}/`))
  await tellOfRun(told, delivery, { found, judged: isJudged, ok: end.ok, isWhole: end.isWhole })
}

async function sendOutbox(
  { outbox }: Ledger,
  delivery: Delivery,
  update: (change: (ledger: Ledger) => Ledger) => Promise<unknown>,
): Promise<void> {
  if (outbox.length === 0) return
  const left = new Set((await delivery.send(outbox)).map(entryId))
  const gone = new Set(outbox.map(entryId).filter(id => !left.has(id)))
  if (gone.size === 0) return
  await update(ledger => ({ ...ledger, outbox: ledger.outbox.filter(entry => !gone.has(entryId(entry))) }))
}

interface RunEnd {
  readonly found: readonly { readonly condition: Condition; readonly subject: Subject }[]
  readonly judged: readonly string[] | ((key: string) => boolean)
  readonly ok: boolean
  /** It was for every target. */
  readonly isWhole: boolean
}

async function tellOfRun(told: ToldRun, delivery: Delivery, end: RunEnd): Promise<void> {
  const { records, run, notifiers: all } = told
  if (all.length === 0 && !end.isWhole) return
  const now = run.clock.now()
  try {
    if (records === null) throw new Error('it is not known where state is')
    const document = records.run()
    const next = await document.update(before => afterEnd(told, before, end, now))
    await sendOutbox(next.alerts, delivery, change =>
      document.update(d => ({ ...d, alerts: change(d.alerts) })),
    )
  } catch (error) {
    run.log.warn({ error: (error as Error).message }, 'what is told of runs cannot be written down')
    await tellWithoutState(told, delivery, end, now)
  }
}

function afterEnd(told: ToldRun, before: RunDocument, end: RunEnd, now: number): RunDocument {
  const { ledger, alerts } = alertsOf(told, before.alerts, end, now)
  const enqueued = enqueue(ledger, alerts, told.notifiers, now)
  const { last } = before
  const isDue = end.isWhole && (last === null || last.ok !== end.ok || now - last.at >= NOTE_EVERY_MS)
  if (enqueued === before.alerts && !isDue) return before
  const noted = isDue ? { runId: told.run.runId, at: now, ok: end.ok } : last
  return { ...before, last: noted, okAt: end.ok && isDue ? now : before.okAt, alerts: enqueued }
}

function alertsOf(
  told: ToldRun,
  ledger: Ledger,
  { found, judged }: RunEnd,
  now: number,
): { ledger: Ledger; alerts: readonly AlertEvent[] } {
  const keys = Object.keys(ledger.open)
  const sighting = {
    now,
    conditions: found.map(f => f.condition),
    judged: typeof judged === 'function' ? keys.filter(judged) : judged,
    moments: [],
  }
  const decided = decideAlerts(ledger, sighting)
  const alerts = decided.messages.map(message => {
    const subject = found.find(f => f.condition.key === message.key)?.subject
    // The id of a stray's subject stands in its key already.
    return composeAlert(message, subject ? { ...subject, id: 'iotda-cert' } : runSubject(told), now)
  })
  return { ledger: decided.ledger, alerts }
}

/** Where nothing can be remembered, the first run in every six hours tells, so that nobody is told by each. */
async function tellWithoutState(told: ToldRun, delivery: Delivery, end: RunEnd, now: number): Promise<void> {
  const isFirst = Math.floor(now / SLOT_MS) !== Math.floor((now - told.intervalMs) / SLOT_MS)
  if (!isFirst) return
  const { alerts } = alertsOf(told, emptyLedger, end, now)
  await delivery.send(enqueue(emptyLedger, alerts, told.notifiers, now).outbox)
}
