import { HOUR_MS } from '../base/time.ts'
import type { Run } from '../contracts.ts'
import type { Target } from '../model/target.ts'
import type { TargetResult } from '../report/result.ts'
import type { RunDocument, TargetDocument } from '../state/documents.ts'
import type { Records } from '../state/state.ts'
import { observe, withLife } from './conditions.ts'
import type { NamedNotifier } from './outbox.ts'

/** Who is told of a run, and where what they were told is written down. */
export interface RunAlerting {
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

/** How often a good run is written down. */
const RECORD_EVERY_MS = 3 * HOUR_MS

/**
 * What nearly every run has to say: where nothing is to be told, it is written down that there was a run, every few
 * hours. Null: there is something to tell, or it is not known (then see alert-run.ts). Never throws.
 */
export async function recordQuietRun(
  { run, records, notifiers }: RunAlerting & { readonly records: Records },
  end: RunEnd,
): Promise<RunAlerts | null> {
  if (notifiers.length === 0 && !end.isWhole) return { okAt: null, sent: 0, undelivered: 0 }
  const now = run.clock.now()
  const saysNothing = (document: TargetDocument, result: TargetResult): boolean => {
    const seen = observe(result, document, now)
    const isNews = seen !== null && seen.conditions.length + seen.moments.length > 0
    return !isNews && withLife(document, result) === document
  }
  try {
    const documents = await Promise.all(end.targets.map(target => records.target(target).get()))
    const isQuiet = documents.every((document, i) => {
      const result = end.results.find(({ target }) => target === end.targets[i]?.name)
      return isSilent(document.alerts) && (notifiers.length === 0 || !result || saysNothing(document, result))
    })
    if (!isQuiet || !isSilent((await records.run().get()).alerts)) return null
    const { okAt } = await records.run().update(before => withRun(before, run, end))
    return { okAt, sent: 0, undelivered: 0 }
  } catch {
    return null
  }
}

const isSilent = ({ open, outbox }: RunDocument['alerts']): boolean =>
  outbox.length === 0 && Object.keys(open).length === 0

/** The document of runs with this one in it, every few hours and when it turns good or bad. */
export function withRun(
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
