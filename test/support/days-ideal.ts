/** What is to be expected of many days, said without lib/: dates, the CA's windows, and a client that does it all right. */
import { X509Certificate } from 'node:crypto'

export const MINUTE_MS = 60_000
export const HOUR_MS = 60 * MINUTE_MS
export const DAY_MS = 24 * HOUR_MS

/** From `start` to before `end`, in milliseconds since the epoch. */
export interface Span {
  readonly start: number
  readonly end: number
}

export interface Life {
  readonly days: number
  /** Of each certificate, by its dates. */
  readonly lifetimeMs: number
  /** How often the schedule runs, and the setting that tells of it. */
  readonly tickMs: number
  readonly seed: number
}

export const overlaps = (a: Span, b: Span): boolean => a.start < b.end && b.start < a.end
export const isIn = (at: number, spans: readonly Span[]): boolean =>
  spans.some(({ start, end }) => at >= start && at < end)

/** A certificate: its dates, and whether the CA wants it renewed earlier than others. */
export interface Dated extends Span {
  readonly isEarly: boolean
}

/** The dates of a certificate. */
export const datesOf = (pem: string): Span => {
  const { validFrom, validTo } = new X509Certificate(pem)
  return { start: Date.parse(validFrom), end: Date.parse(validTo) }
}

/** Whether the CA wants its n-th certificate renewed early, counted from 0: where a fixed share would be too late. */
export const isEarlyOne = (n: number): boolean => n % 4 === 1

const BACKDATED_MS = HOUR_MS

/** The dates of a certificate that the CA issues at an instant. */
export const issuedAt = (at: number, lifetimeMs: number): Span => {
  const start = Math.floor((at - BACKDATED_MS) / 1_000) * 1_000
  return { start, end: start + lifetimeMs - 1_000 }
}

/** Lifetimes below it are renewed at a half. */
export const SHORT_MS = 10 * DAY_MS

/** When Let's Encrypt suggests to renew: 2 % of the lifetime, around a third before the end; or a tenth earlier. */
export const windowOf = ({ start, end, isEarly }: Dated): Span => {
  const lifetimeMs = end + 1_000 - start
  const usual = end - lifetimeMs / (lifetimeMs < SHORT_MS ? 2 : 3)
  const centre = isEarly ? usual - lifetimeMs / 10 : usual
  return { start: centre - lifetimeMs / 100, end: centre + lifetimeMs / 100 }
}

/** Whether each window holds a tick, so that a renewal can always lie inside. */
export const isInsidePossible = ({ lifetimeMs, tickMs }: Pick<Life, 'lifetimeMs' | 'tickMs'>): boolean =>
  tickMs <= lifetimeMs / 50

/** Before it nothing can be due: the window, or the last tick before its end. */
export const quietUntil = (dates: Dated, tickMs: number): number => {
  const { start, end } = windowOf(dates)
  return Math.min(start, end - tickMs)
}

/**
 * When a client orders that wakes at every tick, takes the one nearest to the middle of the window (before its end),
 * never dies, and after an outage is back at the first tick.
 */
export function idealOrders(
  { days, lifetimeMs, tickMs }: Life,
  startedAt: number,
  outages: readonly Span[],
): readonly number[] {
  const orders: number[] = []
  for (let at = startedAt; ; ) {
    const { start, end } = windowOf({ ...issuedAt(at, lifetimeMs), isEarly: isEarlyOne(orders.length) })
    const near = startedAt + Math.round(((start + end) / 2 - startedAt) / tickMs) * tickMs
    at = near < end ? near : near - tickMs
    while (isIn(at, outages)) at += tickMs
    if (at > startedAt + days * DAY_MS) return orders
    orders.push(at)
  }
}
