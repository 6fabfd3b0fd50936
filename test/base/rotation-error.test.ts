import { describe, expect, test } from 'vitest'
import { asRotationError, RotationError } from '../../lib/base/rotation-error.ts'

describe('RotationError', () => {
  test('is tried again later unless told otherwise, and has no hint, cause or instant of its own', () => {
    const error = new RotationError('busy', 'another run is at work')
    expect(error).toMatchObject({
      name: 'RotationError',
      code: 'busy',
      retry: 'later',
      hint: null,
      retryAt: null,
    })
    expect(error).toBeInstanceOf(Error)
    expect('cause' in error).toBe(false)
  })

  test('keeps what it is given', () => {
    const cause = new Error('why')
    const error = new RotationError('throttled', 'slow down', {
      cause,
      retry: 'now',
      hint: 'wait',
      retryAt: 5,
    })
    expect(error).toMatchObject({ message: 'slow down', cause, retry: 'now', hint: 'wait', retryAt: 5 })
  })
})

describe('asRotationError', () => {
  test('leaves a RotationError as it is', () => {
    const error = new RotationError('busy', 'x')
    expect(asRotationError(error)).toBe(error)
  })

  test.each([
    [new TypeError('boom'), 'boom'],
    ['boom', 'boom'],
    [undefined, 'undefined'],
  ])('%s becomes a mistake of our own', (thrown, message) => {
    const error = asRotationError(thrown)
    expect(error).toMatchObject({ code: 'internal', message, hint: expect.stringContaining('report') })
    expect(error.cause).toBe(thrown)
  })
})
