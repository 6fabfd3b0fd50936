import { RotationError } from './rotation-error.ts'

/**
 * The error of a run that was stopped in the middle of `what`: the reason of its signal, if that is an error of
 * ours. `how` goes on after `what`.
 */
export function stopped(
  run: { readonly signal?: AbortSignal | undefined },
  what: string,
  how = ': the run was stopped',
): RotationError {
  const reason: unknown = run.signal?.reason
  return reason instanceof RotationError
    ? reason
    : new RotationError('out-of-time', `${what}${how}`, { cause: reason })
}
