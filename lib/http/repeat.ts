import { RotationError } from '../base/rotation-error.ts'
import { stopped } from '../base/stopped.ts'
import { SECOND_MS } from '../base/time.ts'
import type { Run } from '../contracts.ts'

const ATTEMPTS = 3

/** Waits before another try, or throws `error` when that is of no use or there is no time for it. */
async function pauseAfter(error: unknown, tried: number, call: string, run: Run): Promise<void> {
  if (!(error instanceof RotationError) || error.retry !== 'now' || tried === ATTEMPTS) throw error
  const waitMs = tried * SECOND_MS
  const next = run.clock.now() + waitMs
  if ((error.retryAt ?? 0) > next || next >= run.deadline) throw error
  run.log.warn({ attempt: tried, error: error.message }, `${call}: trying again`)
  await run.clock.sleep(waitMs, run.signal).catch(cause => {
    throw run.signal.aborted ? stopped(run, call) : cause
  })
}

/** Up to three tries of a call that may safely be made again, as long as its errors say `now`. */
export async function repeated<T>(run: Run, call: string, attempt: () => Promise<T>): Promise<T> {
  for (let tried = 1; ; tried += 1) {
    try {
      return await attempt()
    } catch (error) {
      await pauseAfter(error, tried, call, run)
    }
  }
}

/**
 * Makes a change without ever repeating it blindly. `look` reads, and gives the change that is still needed, or
 * null when everything is as wanted; after a change whose answer was lost it looks again. Up to three changes.
 */
export async function settled(
  run: Run,
  call: string,
  look: () => Promise<(() => Promise<unknown>) | null>,
): Promise<void> {
  for (let tried = 1; ; tried += 1) {
    const change = await look()
    if (change === null) return
    try {
      await change()
      return
    } catch (error) {
      await pauseAfter(error, tried, call, run)
    }
  }
}
