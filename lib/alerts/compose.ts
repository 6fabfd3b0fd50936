import { iso } from '../base/time.ts'
import type { AlertEvent } from '../contracts.ts'
import { EVENTS } from '../model/events.ts'
import type { Message } from './decide.ts'
import { fitAlert } from './fit.ts'

/** What a message is about. */
export interface Subject
  extends Pick<AlertEvent, 'target' | 'domain' | 'daysLeft' | 'before' | 'after' | 'runId' | 'nextTryAt'> {
  /** Names the target, or the run, in dedup keys. */
  readonly id: string
}

/** A run as a whole, or many targets. */
export const aboutRun = (id: string, runId: string): Subject => ({
  id,
  target: null,
  domain: null,
  daysLeft: null,
  before: null,
  after: null,
  runId,
  nextTryAt: null,
})

/** The alert that says a message. Pure. */
export function composeAlert(message: Message, subject: Subject, now: number): AlertEvent {
  const { key, ...said } = message
  const { id, ...about } = subject
  const { event, kind, error, since, ends } = said
  return fitAlert({
    version: 1,
    ...said,
    ...about,
    // A moment is a matter of its own, also where it happens twice.
    dedupKey: kind === 'moment' ? `${id}/${key}/${about.runId}` : `${id}/${key}`,
    at: iso(now),
    since: since === null ? null : iso(since),
    durationMs: since === null ? null : now - since,
    nextTryAt: ends ? null : about.nextTryAt,
    whatToDo: error?.hint ?? EVENTS[event].todo,
    runbook: `RUNBOOK.md#${error?.code ?? (ends ? ends.event : event)}`,
  })
}
