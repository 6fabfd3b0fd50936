import { type Clock, SECOND_MS } from './time.ts'

/** Calls of one kind to one service, no faster than it takes them: a bucket that learns from its refusals. */
export interface Pace {
  /**
   * Waits for its turn. False when that would come later than `withinMs` from now: nothing is waited for then.
   * @throws the signal's reason when aborted
   */
  take(withinMs: number, signal?: AbortSignal): Promise<boolean>
  /** The service refused one as too many; `pauseMs`: how long it wants to be left alone. Halves the rate. */
  slowDown(pauseMs?: number): void
  /** The service took one: the rate creeps back to what is documented. */
  speedUp(): void
}

/** What the rate grows by at each success, and the least share of it that a service may ask for. */
const STEP = 1 / 20
const LEAST = 1 / 16

/** `perSecond`: the documented rate; `burst`: so many at once after a rest. */
export function createPace(
  { perSecond, burst = 1 }: { perSecond: number; burst?: number },
  clock: Clock,
): Pace {
  let rate = perSecond
  /** When the next call may go, were there no burst. */
  let next = Number.NEGATIVE_INFINITY
  return {
    take: async (withinMs, signal) => {
      const now = clock.now()
      const gapMs = SECOND_MS / rate
      const at = Math.max(next, now - (burst - 1) * gapMs)
      const waitMs = Math.max(0, at - now)
      if (waitMs > withinMs) return false
      next = at + gapMs
      if (waitMs > 0) await clock.sleep(waitMs, signal)
      return true
    },
    slowDown: (pauseMs = 0) => {
      rate = Math.max(rate / 2, perSecond * LEAST)
      next = Math.max(next, clock.now() + Math.max(pauseMs, SECOND_MS / rate))
    },
    speedUp: () => {
      rate = Math.min(perSecond, rate + perSecond * STEP)
    },
  }
}

/** One pace for each key. */
export function createPaces(
  limit: { perSecond: number; burst?: number },
  clock: Clock,
): (key: string) => Pace {
  const paces = new Map<string, Pace>()
  return key => {
    const pace = paces.get(key) ?? createPace(limit, clock)
    paces.set(key, pace)
    return pace
  }
}
