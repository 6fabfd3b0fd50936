import { RotationError } from '../../base/rotation-error.ts'
import { MINUTE_MS, SECOND_MS } from '../../base/time.ts'
import type { RotationSetup } from '../context.ts'

const READ_AGAIN_MS = 5 * SECOND_MS
const WITHIN_MS = MINUTE_MS

/** Whether a call may have taken effect although it failed: its answer did not come. */
export const isUnanswered = (error: unknown): boolean =>
  error instanceof RotationError && error.code === 'unavailable'

/** Asks every 5 s for up to a minute until the answer is good; returns the last answer. Reads only. */
export async function readBack<T>(
  { run }: Pick<RotationSetup, 'run'>,
  ask: () => Promise<T>,
  good: (answer: T) => boolean,
): Promise<T> {
  const until = Math.min(run.clock.now() + WITHIN_MS, run.deadline)
  for (;;) {
    const answer = await ask()
    if (good(answer) || run.clock.now() + READ_AGAIN_MS > until) return answer
    await run.clock.sleep(READ_AGAIN_MS, run.signal)
  }
}
