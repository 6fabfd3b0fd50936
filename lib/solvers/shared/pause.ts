import { RotationError } from '../../base/rotation-error.ts'
import type { Run } from '../../contracts.ts'
import { pause } from '../../http/repeat.ts'

/** Waits for a change to be carried out. @throws RotationError `out-of-time` when the run has no time for it */
export async function pauseWithin(run: Run, durationMs: number, what: string): Promise<void> {
  if (run.clock.now() + durationMs >= run.deadline)
    throw new RotationError('out-of-time', `${what}: not finished when the run's time was over`)
  await pause(durationMs, what, run)
}
