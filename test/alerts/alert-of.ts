/** Alerts as runs compose them, with what is special about a case. */
import { aboutRun, composeAlert, type Subject } from '../../lib/alerts/compose.ts'
import type { Message } from '../../lib/alerts/decide.ts'
import type { AlertEvent } from '../../lib/contracts.ts'
import type { Severity } from '../../lib/model/events.ts'

export const NOW = Date.parse('2026-06-15T12:00:00Z')

/** One target, 12 days before its certificate ends. */
export const subject: Subject = {
  ...aboutRun('iot-1', 'run-1'),
  target: 'factory-1',
  domain: 'iot.example.com',
  daysLeft: 12,
  nextTryAt: '2026-06-15T13:00:00Z',
}

/** A renewal that has failed for an hour. */
export const alertOf = (
  more: Partial<Message> = {},
  about: Partial<Subject> = {},
  now: number = NOW,
): AlertEvent => {
  const failed = {
    event: 'failed',
    severity: 'warning',
    kind: 'new',
    key: 'renewal',
    reason: 'down',
  } as const
  const message: Message = { ...failed, error: null, since: NOW - 3_600_000, ends: null, ...more }
  return composeAlert(message, { ...subject, ...about }, now)
}

/** What is told at the end of it, as bad as it had been. */
export const recovered = (severity: Severity) =>
  ({ event: 'recovered', severity: 'info', kind: 'recovered', ends: { event: 'failed', severity } }) as const
