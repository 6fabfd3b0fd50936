import { asRotationError, type RotationError } from '../base/rotation-error.ts'

export type Verdict = 'ok' | 'warn' | 'fail'

/** One link that was looked at. */
export interface Finding {
  /** E.g. `credentials`. */
  readonly check: string
  /** Of what: a target, a source, a notifier, a name; null: of everything. */
  readonly subject: string | null
  readonly verdict: Verdict
  readonly message: string
  /** What to do about it; null when there is nothing to do. */
  readonly remedy: string | null
}

type About = Pick<Finding, 'check' | 'subject'>

export const ok = (about: About, message: string): Finding => ({
  ...about,
  verdict: 'ok',
  message,
  remedy: null,
})
export const warn = (about: About, message: string, remedy: string): Finding => ({
  ...about,
  verdict: 'warn',
  message,
  remedy,
})
export const fail = (about: About, message: string, remedy: string | null): Finding => ({
  ...about,
  verdict: 'fail',
  message,
  remedy,
})

const ofError = ({ code, message, hint }: RotationError): readonly [string, string | null] => [
  `${code}: ${message}`,
  hint,
]

/** What the work found; what it throws is a failure of that link, and the others are looked at nevertheless. */
export async function looked(
  about: About,
  work: () => Promise<Finding | readonly Finding[]>,
): Promise<readonly Finding[]> {
  try {
    return [await work()].flat()
  } catch (thrown) {
    return [fail(about, ...ofError(asRotationError(thrown)))]
  }
}
