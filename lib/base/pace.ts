import { type Clock, SECOND_MS } from './time.ts'

/** How fast a service may be called. */
export interface Limit {
  /** The documented rate; Infinity: none is documented, and only refusals tell. */
  readonly perSecond: number
  /** So many at once after a rest. Default 1. */
  readonly burst?: number
}

/** Calls of one kind to one service, no faster than it takes them: a bucket that learns from its refusals. */
export interface Pace {
  /**
   * Waits for its turn; first come, first served. False when that would come later than `withinMs` from now (nothing
   * is waited for then), or when the service wants to be left alone for longer than `pauseMs`.
   * @throws the signal's reason when aborted
   */
  take(withinMs: number, signal?: AbortSignal, pauseMs?: number): Promise<boolean>
  /**
   * The service refused one as too many; `pauseMs`: how long it wants to be left alone. Halves the rate, once for all
   * that were `sentAt` an instant before the last refusal; after that it creeps back to what is documented.
   */
  slowDown(sentAt: number, pauseMs?: number): void
  /** Until when the service wants to be left alone. */
  pausedUntil(): number
  /** Another member of the service, with as much again for itself. */
  widen(perSecond: number): void
}

/** What a rate that was slowed down grows by in a second, as a share of itself. */
const GROWTH = 1 / 10
/** The same for a slow one, and the least that a service may ask for: as a share of what is documented. */
const STEP = 1 / 20
const LEAST = 1 / 16

export function createPace({ perSecond, burst = 1 }: Limit, clock: Clock): Pace {
  let limit = perSecond
  let slowed: { readonly at: number; readonly rate: number } | null = null
  /** When the next call may go, were there no burst. */
  let next = Number.NEGATIVE_INFINITY
  let pausedUntil = Number.NEGATIVE_INFINITY
  let queued = 0
  let last: Promise<unknown> = Promise.resolve()
  const sent = createTally(clock)

  const rate = (): number => {
    if (!slowed) return limit
    const growth = Math.max(slowed.rate * GROWTH, Math.min(limit, 1 / STEP) * STEP)
    return Math.min(limit, slowed.rate + (growth * (clock.now() - slowed.at)) / SECOND_MS)
  }
  const gapMs = (): number => SECOND_MS / rate()
  /** Where nothing was refused, what was not used is saved up. */
  const nextAt = (): number => Math.max(next, clock.now() - (slowed ? 0 : (burst - 1) * gapMs()))
  const waitMs = (): number => Math.max(0, nextAt() - clock.now())
  const go = (): void => {
    next = nextAt() + gapMs()
    sent.add()
  }
  const turn = async (signal: AbortSignal | undefined, pauseMs: number): Promise<boolean> => {
    signal?.throwIfAborted()
    for (let leftMs = waitMs(); leftMs > 0; leftMs = waitMs()) {
      if (pausedUntil - clock.now() > pauseMs) return false
      await clock.sleep(leftMs, signal)
    }
    go()
    return true
  }

  return {
    take: async (withinMs, signal, pauseMs = withinMs) => {
      const expectedMs = waitMs() + queued * gapMs()
      if (expectedMs > withinMs || pausedUntil - clock.now() > pauseMs) return false
      if (expectedMs === 0) {
        go()
        return true
      }
      queued += 1
      const mine = last
        .then(() => turn(signal, pauseMs))
        .finally(() => {
          queued -= 1
        })
      last = mine.catch(() => {})
      return mine
    },
    slowDown: (sentAt, pauseMs = 0) => {
      const now = clock.now()
      pausedUntil = Math.max(pausedUntil, now + pauseMs)
      if (slowed === null || sentAt >= slowed.at) {
        // Whatever is documented, what went out within a second was too much.
        const before = Math.min(rate(), Math.max(1, sent.lastSecond()))
        slowed = { at: now, rate: Math.max(before / 2, Math.min(limit, 1 / LEAST) * LEAST) }
      }
      next = Math.max(next, now + Math.max(pauseMs, gapMs()))
    },
    pausedUntil: () => pausedUntil,
    widen: more => {
      limit += more
    },
  }
}

/** About how many there were in the last second. */
function createTally(clock: Clock) {
  let second = 0
  let [before, now] = [0, 0]
  const turn = (): void => {
    const current = Math.floor(clock.now() / SECOND_MS)
    if (current === second) return
    before = current === second + 1 ? now : 0
    now = 0
    second = current
  }
  return {
    add: () => {
      turn()
      now += 1
    },
    lastSecond: (): number => {
      turn()
      return now + before * (1 - (clock.now() % SECOND_MS) / SECOND_MS)
    },
  }
}

/** One pace for each key. */
export function createPaces(limit: Limit, clock: Clock): (key: string) => Pace {
  const paces = new Map<string, Pace>()
  return key => {
    const pace = paces.get(key) ?? createPace(limit, clock)
    paces.set(key, pace)
    return pace
  }
}
