import { make } from '../app/drivers.ts'
import { HOUR_MS } from '../base/time.ts'
import type { Alerting } from '../config/load.ts'
import type { Notifier, NotifierContext, Run } from '../contracts.ts'
import type { Target } from '../model/target.ts'
import { notifiers } from '../notifiers/index.ts'
import type { TargetResult } from '../report/result.ts'
import type { RunDocument } from '../state/documents.ts'
import type { Records } from '../state/state.ts'
import type { Stray } from './conditions.ts'
import type { NamedNotifier } from './deliver.ts'

/** Whether there is anything to tell, and who is told; what nearly every run has to say is that it was. */

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

/** How a run ended. */
export interface RunEnd {
  readonly targets: readonly Target[]
  readonly results: readonly TargetResult[]
  readonly strays: readonly Stray[]
  readonly ok: boolean
  /** It was for every target. */
  readonly isWhole: boolean
}

/** What came of telling people. */
export interface Told {
  /** When all targets were well for the last time, as far as it is written down; before they ever were: the first run. */
  readonly okAt: number | null
  /** Messages that were delivered, and those that wait for a later run. */
  readonly sent: number
  readonly undelivered: number
}

/** How often a good run is written down. */
const NOTE_EVERY_MS = 3 * HOUR_MS

/**
 * Where nothing is to be told: writes down that there was a run. Null: there is something to tell, or it is not
 * known. Never throws.
 */
export async function noteQuietRun(
  { run, records, notifiers: all }: ToldRun & { readonly records: Records },
  end: RunEnd,
): Promise<Told | null> {
  if (end.strays.length > 0) return null
  try {
    const documents = await Promise.all(end.targets.map(target => records.target(target).get()))
    if (!documents.every(({ alerts }) => isQuiet(alerts))) return null
    if (all.length === 0 && !end.isWhole) return { okAt: null, sent: 0, undelivered: 0 }
    const document = records.run()
    if (!isQuiet((await document.get()).alerts)) return null
    const { okAt } = await document.update(before => noted(before, run, end))
    return { okAt, sent: 0, undelivered: 0 }
  } catch {
    return null
  }
}

const isQuiet = ({ open, outbox }: RunDocument['alerts']): boolean =>
  outbox.length === 0 && Object.keys(open).length === 0

/** The document of runs with this one in it, every few hours and when it turns good or bad. */
export function noted(
  before: RunDocument,
  { runId, clock }: Run,
  { ok, isWhole }: Pick<RunEnd, 'ok' | 'isWhole'>,
): RunDocument {
  const now = clock.now()
  const { last } = before
  // One from the future was written by a clock that was ahead.
  const isFresh = last !== null && last.ok === ok && Math.abs(now - last.at) < NOTE_EVERY_MS
  if (!isWhole || isFresh) return before
  const okAt = ok ? now : Math.min(before.okAt ?? last?.at ?? now, now)
  return { ...before, last: { runId, at: now, ok }, okAt }
}
