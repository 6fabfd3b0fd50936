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
  const { event, severity, kind, key, reason, error, since, ends } = message
  const { id, ...about } = subject
  // A moment is a matter of its own, also where it happens twice.
  const dedupKey = kind === 'moment' ? `${id}/${key}/${about.runId}` : `${id}/${key}`
  return {
    version: 1,
    ...{ event, severity, kind, dedupKey },
    ...about,
    ...(message.targets ? { targets: message.targets } : {}),
    nextTryAt: ends ? null : about.nextTryAt,
    ...{ before: asLeaf(about.before), after: asLeaf(about.after) },
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
