import { expect } from 'vitest'
import { RotationError } from '../../lib/base/rotation-error.ts'

/** The RotationError of work that must fail. */
export async function failureOf(work: Promise<unknown>): Promise<RotationError> {
  const thrown = await work.then(
    () => expect.unreachable('it did not fail'),
    (error: unknown) => error,
  )
  expect(thrown).toBeInstanceOf(RotationError)
  return thrown as RotationError
}
