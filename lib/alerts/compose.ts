import { iso } from '../base/time.ts'
import { visible } from '../base/visible.ts'
import type { AlertEvent, AlertLeaf } from '../contracts.ts'
import { EVENTS, type EventName } from '../model/events.ts'
import type { Message } from './decide.ts'

/** What a message is about. */
export interface Subject {
  /** Names the target, or the run, in dedup keys. */
  readonly id: string
  readonly target: string | null
  readonly domain: string | null
  readonly daysLeft: number | null
  readonly before: AlertLeaf | null
  readonly after: AlertLeaf | null
  readonly runId: string
  readonly nextTryAt: string | null
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

const TEXT_AT_MOST = 600

/** Mistakes in settings have a line each. Elsewhere a text may hold what a stranger wrote into a certificate. */
const asText = (text: string, event: EventName): string => {
  const whole = text
    .split('\n')
    .map(visible)
    .join(event === 'settings-invalid' ? '\n' : ' | ')
  return whole.length <= TEXT_AT_MOST ? whole : `${whole.slice(0, TEXT_AT_MOST - 1)}…`
}

const asLeaf = (leaf: AlertLeaf | null): AlertLeaf | null => leaf && { ...leaf, issuer: visible(leaf.issuer) }

/** The alert that says a message. Pure. */
export function composeAlert(message: Message, subject: Subject, now: number): AlertEvent {
  const { event, severity, kind, key, reason, error, since, ends, targets } = message
  const { id, runId, before, after } = subject
  return {
    version: 1,
    event,
    severity,
    kind,
    // A moment is a matter of its own, also where it happens twice.
    dedupKey: kind === 'moment' ? `${id}/${key}/${runId}` : `${id}/${key}`,
    target: subject.target,
    domain: subject.domain,
    daysLeft: subject.daysLeft,
    before: asLeaf(before),
    after: asLeaf(after),
    runId,
    nextTryAt: ends ? null : subject.nextTryAt,
    ...(targets ? { targets } : {}),
    reason: asText(reason, event),
    error: error && { ...error, message: asText(error.message, event) },
    at: iso(now),
    since: since === null ? null : iso(since),
    durationMs: since === null ? null : now - since,
    ends,
    whatToDo: error?.hint ?? EVENTS[event].todo,
    runbook: `RUNBOOK.md#${error?.code ?? (ends ? ends.event : event)}`,
  }
}
