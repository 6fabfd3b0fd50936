import type { ErrorCode } from '../model/errors.ts'

/** Whether trying again can help: in this run, in a later one, or only after a person changed something. */
export type Retry = 'now' | 'later' | 'never'

export interface RotationErrorOptions {
  readonly cause?: unknown
  /** Default `later`. */
  readonly retry?: Retry
  /** What a person should do about it. */
  readonly hint?: string
  /** Not before this instant, when somebody outside said so (`Retry-After`). */
  readonly retryAt?: number
}

/** The one error of the program. The message names the driver and the call; the hint says what to do. */
export class RotationError extends Error {
  override readonly name = 'RotationError'
  readonly code: ErrorCode
  readonly retry: Retry
  readonly hint: string | null
  readonly retryAt: number | null

  constructor(code: ErrorCode, message: string, options: RotationErrorOptions = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause })
    this.code = code
    this.retry = options.retry ?? 'later'
    this.hint = options.hint ?? null
    this.retryAt = options.retryAt ?? null
  }
}

/** Any thrown value as a RotationError; a stranger becomes `internal`, with the stranger as its cause. */
export function asRotationError(thrown: unknown): RotationError {
  if (thrown instanceof RotationError) return thrown
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return new RotationError('internal', message, {
    cause: thrown,
    hint: 'Please report this with the run id.',
  })
}
