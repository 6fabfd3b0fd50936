import { DAY_MS, HOUR_MS } from './time.ts'

/** From when until when a certificate is valid, in milliseconds since the epoch. */
export interface Lifetime {
  readonly notBefore: number
  readonly notAfter: number
}

/** A certificate that is about to expire: the larger of 1/20 of its lifetime and 24 h, at most 1/4 of it. */
export function emergencyMs({ notBefore, notAfter }: Lifetime): number {
  const lifetimeMs = notAfter - notBefore
  return Math.min(lifetimeMs / 4, Math.max(lifetimeMs / 20, DAY_MS))
}

/**
 * How long a wait that is remembered may last, whoever wrote it: a week, at most 1/3 of the lifetime; half of the time
 * that an emergency has, once it has begun. Without a lifetime, a week.
 */
export function longestWaitMs(lifetime: Lifetime | null, isEmergency: boolean): number {
  if (lifetime === null) return 7 * DAY_MS
  const { notBefore, notAfter } = lifetime
  return isEmergency ? emergencyMs(lifetime) / 2 : Math.min(7 * DAY_MS, (notAfter - notBefore) / 3)
}

/** Two clocks may differ by so much. */
const SKEW_MS = HOUR_MS

/** Whether an instant that is said to be over is: one that is still to come was written by a clock that ran ahead, or by nobody. */
export const isPast = (at: number, now: number): boolean => at <= now + SKEW_MS
