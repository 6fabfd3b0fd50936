import type { Log } from '../base/log.ts'
import { asRotationError, type RotationError } from '../base/rotation-error.ts'
import { stopped } from '../base/stopped.ts'
import { type Clock, SECOND_MS } from '../base/time.ts'

/** What tries of one call go by; a run has all of it. */
export interface Repeating {
  readonly clock: Clock
  readonly log?: Log
  /** No pause goes beyond it. */
  readonly deadline?: number
  readonly signal?: AbortSignal | undefined
}

/** When a call is made again. */
export interface Repetition {
  /** Before the second try, the third, and so on. Default: 1 s and 2 s, so that there are three. */
  readonly pausesMs?: readonly number[]
  /** Whether the same call may have more luck. Default: errors that say `now`, and calls that came too fast. */
  readonly passes?: (error: RotationError) => boolean
  /** Goes on after the call when the signal was aborted in a pause. Default: `: the run was stopped`. */
  readonly stopped?: string | undefined
}

const PAUSES_MS = [SECOND_MS, 2 * SECOND_MS]
/** Of Retry-After; what wants to be left alone for longer is left to a later run. */
const WAIT_AT_MOST_MS = 10 * SECOND_MS

/** Whether time alone mends it, whenever it is tried again. */
export const passesByItself = ({ code }: RotationError): boolean =>
  code === 'throttled' || code === 'unavailable'

const isWorthIt = ({ retry, code }: RotationError): boolean => retry === 'now' || code === 'throttled'

/** Sleeps within a run. @throws RotationError `out-of-time`, or the signal's own, when it is stopped meanwhile */
export async function pause(
  durationMs: number,
  call: string,
  { clock, signal }: Pick<Repeating, 'clock' | 'signal'>,
  how?: string,
): Promise<void> {
  await clock.sleep(durationMs, signal).catch(cause => {
    throw signal?.aborted ? stopped({ signal }, call, how) : cause
  })
}

/** Waits before another try, or throws `thrown` when that is of no use or there is no time for it. */
async function pauseAfter(
  thrown: unknown,
  tried: number,
  call: string,
  { repeating, repetition }: { readonly repeating: Repeating; readonly repetition: Repetition },
): Promise<void> {
  const { clock, log, deadline = Infinity } = repeating
  const { pausesMs = PAUSES_MS, passes = isWorthIt } = repetition
  const error = asRotationError(thrown)
  const pauseMs = pausesMs[tried - 1]
  if (pauseMs === undefined || !passes(error)) throw error
  const waitMs = Math.max(pauseMs, (error.retryAt ?? 0) - clock.now())
  if (waitMs > Math.max(pauseMs, WAIT_AT_MOST_MS) || clock.now() + waitMs >= deadline) throw error
  log?.warn({ attempt: tried, error: error.message }, `${call}: trying again`)
  await pause(waitMs, call, repeating, repetition.stopped)
}

/** Makes a call that may safely be made again, as long as its errors pass and there is time. */
export async function repeated<T>(
  repeating: Repeating,
  call: string,
  attempt: () => Promise<T>,
  repetition: Repetition = {},
): Promise<T> {
  for (let tried = 1; ; tried += 1) {
    try {
      return await attempt()
    } catch (error) {
      await pauseAfter(error, tried, call, { repeating, repetition })
    }
  }
}

/**
 * Makes a change without ever repeating it blindly. `look` reads, and gives the change that is still needed, or
 * null when everything is as wanted; after a change whose answer was lost it looks again. Up to three changes.
 */
export async function settled(
  repeating: Repeating,
  call: string,
  look: () => Promise<(() => Promise<unknown>) | null>,
  repetition: Pick<Repetition, 'passes'> = {},
): Promise<void> {
  for (let tried = 1; ; tried += 1) {
    const change = await look()
    if (change === null) return
    try {
      await change()
      return
    } catch (error) {
      await pauseAfter(error, tried, call, { repeating, repetition })
    }
  }
}
