import { afterEach, expect, test, vi } from 'vitest'
import { RotationError } from '../../../lib/base/rotation-error.ts'
import type { CertificateSource, Inventory, Run } from '../../../lib/contracts.ts'
import { readInventory, refuseRolledBack } from '../../../lib/rotation/observe/source-inventory.ts'
import { fakeClock } from '../../support/clock.ts'
import { newRun, spec, target } from '../facts.ts'

const HOLDS: Inventory = { serial: '01', names: [], notBefore: 0, notAfter: 1, trouble: null }

const ask = (inventory: CertificateSource['inventory'], more: Partial<Run> = {}) => {
  const source = { ...(inventory ? { inventory } : {}) } as CertificateSource
  const run = { ...newRun(fakeClock()), ...more }
  return readInventory({ spec, target, run, sources: { letsencrypt: source } })
}

afterEach(() => {
  vi.useRealTimers()
})

test('a source that makes certificates to order holds nothing', async () => {
  expect(await ask(undefined)).toBeNull()
})

test('what it holds, or why that is not known', async () => {
  expect(await ask(async () => HOLDS)).toEqual({ holds: HOLDS, failure: null })
  const failure = new RotationError('forbidden', 'no', { retry: 'never' })
  expect(await ask(() => Promise.reject(failure))).toEqual({ holds: null, failure })
})

test('a source that hangs is let go of, and the run goes on', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const asked = ask(
    ({ signal }) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(new RotationError('out-of-time', 'stopped')))
      }),
  )
  await vi.advanceTimersByTimeAsync(9_999)
  expect(await Promise.race([asked, 'waiting'])).toBe('waiting')
  await vi.advanceTimersByTimeAsync(1)
  expect(await asked).toMatchObject({
    holds: null,
    failure: { code: 'unavailable', message: 'no answer within 10s', retry: 'later' },
  })
  expect(vi.getTimerCount()).toBe(0)
})

test('a leaf that was rolled back needs a person who accepts exactly it', () => {
  expect(() => refuseRolledBack('a', ['b'], null)).not.toThrow()
  expect(() => refuseRolledBack('a', ['b', 'a'], 'a')).not.toThrow()
  for (const accept of [null, 'b'])
    expect(() => refuseRolledBack('a', ['b', 'a'], accept)).toThrow(
      expect.objectContaining({ code: 'preflight-refused', hint: expect.stringContaining('--accept a') }),
    )
})
