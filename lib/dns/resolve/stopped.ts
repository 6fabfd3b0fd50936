import { RotationError } from '../../base/rotation-error.ts'
import type { Run } from '../../contracts.ts'

/** The error of a run that was stopped in the middle of `what`. */
export function stopped(run: Run, what: string): RotationError {
  const reason: unknown = run.signal.reason
  if (reason instanceof RotationError) return reason
  return new RotationError('out-of-time', `${what}: the run was stopped`, { cause: reason })
}
