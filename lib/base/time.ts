import { setMaxListeners } from 'node:events'
import { setTimeout as wait } from 'node:timers/promises'

/** The one clock. Everything that needs the time or waits is given it. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
  /** Resolves after `durationMs`, or 24 days if that is less; rejects with the signal's reason when aborted. */
  sleep(durationMs: number, signal?: AbortSignal): Promise<void>
}

/** A timer set for longer than 24.8 days fires at once. */
const MAX_TIMER_MS = 24 * 86_400_000

/** The system's clock; the only reader of it. */
export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: async (durationMs, signal) => {
    try {
      await wait(Math.min(durationMs, MAX_TIMER_MS), undefined, signal ? { signal } : {})
    } catch (error) {
      throw signal?.aborted ? signal.reason : error
    }
  },
}

export const SECOND_MS = 1_000
export const MINUTE_MS = 60 * SECOND_MS
export const HOUR_MS = 60 * MINUTE_MS
export const DAY_MS = 24 * HOUR_MS

const UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: SECOND_MS,
  m: MINUTE_MS,
  h: HOUR_MS,
  d: DAY_MS,
}

/** Parses `30d`, `6h`, `90s`, `250ms`, also combined as `1h30m`; null when it is no duration. */
export function parseDuration(text: string): number | null {
  if (!/^(\d+(ms|s|m|h|d))+$/.test(text)) return null
  let total = 0
  for (const [, amount, unit] of text.matchAll(/(\d+)(ms|s|m|h|d)/g))
    total += Number(amount) * (UNITS_MS[unit ?? ''] ?? 0)
  return Number.isSafeInteger(total) ? total : null
}

/** `3d 4h`, `12m 5s`, `45s`: two units, for people. */
export function formatDuration(durationMs: number): string {
  const parts: string[] = []
  let rest = Math.abs(durationMs)
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    const sizeMs = UNITS_MS[unit] ?? 1
    const amount = Math.floor(rest / sizeMs)
    rest -= amount * sizeMs
    if (amount > 0) parts.push(`${amount}${unit}`)
    if (parts.length === 2) break
  }
  return parts.length === 0 ? '0s' : parts.join(' ')
}

/** ISO 8601 in UTC, to the second when there are no milliseconds. */
export function iso(instant: number): string {
  return new Date(instant).toISOString().replace('.000Z', 'Z')
}

/** As long as the longest window that CAs count in. A slip of a server must not silence us until it is too late. */
export const RETRY_AFTER_MOST_MS = 7 * DAY_MS

/**
 * Parses a `Retry-After` value in either form (RFC 9110 section 10.2.3) to an instant, a week from now at most; null
 * when unreadable.
 */
export function parseRetryAfter(value: string | undefined, now: number): number | null {
  const text = value?.trim() ?? ''
  const latest = now + RETRY_AFTER_MOST_MS
  if (/^\d+$/.test(text)) return Math.min(now + Number(text) * SECOND_MS, latest)
  // Date.parse reads almost anything, e.g. `-5` and `1.5`; an HTTP date begins with the day of the week. Its
  // oldest form (asctime) says no zone, and means GMT.
  if (!/^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(text)) return null
  const at = Date.parse(text.endsWith('GMT') ? text : `${text} GMT`)
  return Number.isNaN(at) ? null : Math.min(at, latest)
}

/**
 * A signal that aborts after a while, or with its parent; `clear` lets go of both. Not AbortSignal.any with
 * AbortSignal.timeout: on Node 20 that pair can be garbage-collected and then never fires.
 */
export function abortAfter(
  durationMs: number,
  parent?: AbortSignal,
): { readonly signal: AbortSignal; readonly clear: () => void } {
  const controller = new AbortController()
  // Many waits of one run listen at the same time; that is no leak.
  setMaxListeners(0, controller.signal, ...(parent ? [parent] : []))
  const onParent = (): void => controller.abort(parent?.reason)
  const timer = setTimeout(() => controller.abort(new Error('timeout')), Math.min(durationMs, 2 ** 31 - 1))
  timer.unref()
  if (parent?.aborted) onParent()
  else parent?.addEventListener('abort', onParent, { once: true })
  return {
    signal: controller.signal,
    clear: () => {
      clearTimeout(timer)
      parent?.removeEventListener('abort', onParent)
    },
  }
}
