import { setTimeout as wait } from 'node:timers/promises'
import { type Clock, HOUR_MS, MINUTE_MS } from '../../lib/base/time.ts'

/** A clock that a test moves; sleeping moves it too, and yields to real sockets for a moment. */
export interface FakeClock extends Clock {
  advance(durationMs: number): void
}

export function fakeClock(startsAt = Date.now()): FakeClock {
  let now = startsAt
  return {
    now: () => now,
    sleep: async (durationMs, signal) => {
      if (signal?.aborted) throw signal.reason
      now += durationMs
      await wait(Math.min(durationMs, 5))
    },
    advance: durationMs => {
      now += durationMs
    },
  }
}

/**
 * To the next turn to tell of a run that remembers nothing, and 25 minutes into it: past where a run that came late
 * would have it twice.
 */
export const untilInTurn = (now: number): number => 6 * HOUR_MS - (now % (6 * HOUR_MS)) + 25 * MINUTE_MS
