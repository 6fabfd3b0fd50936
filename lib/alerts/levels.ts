import type { Lifetime } from '../base/lifetime.ts'
import { DAY_MS } from '../base/time.ts'
import type { Severity } from '../model/events.ts'

/** Days left at which a person is told, for a certificate of 90 days or more. */
export const LEVELS_IN_DAYS = [30, 14, 7, 3, 1, 0] as const
const FULL_LIFETIME_MS = 90 * DAY_MS

/** The lowest level that is crossed, in days of a 90-day certificate; null: none. Shorter lifetimes scale it. */
export function levelOf({ notBefore, notAfter }: Lifetime, now: number): number | null {
  const scale = Math.min(1, (notAfter - notBefore) / FULL_LIFETIME_MS)
  const leftMs = notAfter - now
  return LEVELS_IN_DAYS.findLast(days => leftMs <= days * DAY_MS * scale) ?? null
}

/** How bad a level is by itself. */
export const severityOf = (level: number | null): Severity =>
  level === null || level > 14 ? 'info' : level > 3 ? 'warning' : 'critical'

/** Whole days left; negative once it has ended. */
export const daysLeft = ({ notAfter }: Pick<Lifetime, 'notAfter'>, now: number): number =>
  Math.floor((notAfter - now) / DAY_MS)
