import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import {
  DAY_MS,
  formatDuration,
  HOUR_MS,
  iso,
  MINUTE_MS,
  parseDuration,
  parseRetryAfter,
  SECOND_MS,
  systemClock,
} from '../../lib/base/time.ts'

describe('parseDuration', () => {
  test.each([
    ['0s', 0],
    ['250ms', 250],
    ['90s', 90 * SECOND_MS],
    ['5m', 5 * MINUTE_MS],
    ['6h', 6 * HOUR_MS],
    ['30d', 30 * DAY_MS],
    ['1h30m', 90 * MINUTE_MS],
    ['1m1ms', MINUTE_MS + 1],
    ['', null],
    ['30', null],
    ['30 d', null],
    ['-1d', null],
    ['1.5h', null],
    ['1w', null],
    ['d', null],
    ['1d ', null],
    ['1D', null],
    [`${'9'.repeat(30)}d`, null],
  ])('%s', (text, expected) => {
    expect(parseDuration(text)).toBe(expected)
  })

  test('reads back what formatDuration writes, up to what that leaves out', () => {
    fc.assert(
      fc.property(fc.nat(1000 * DAY_MS), durationMs => {
        const read = parseDuration(formatDuration(durationMs).replace(' ', '')) ?? Number.NaN
        const unit = durationMs >= DAY_MS ? DAY_MS : durationMs >= HOUR_MS ? HOUR_MS : MINUTE_MS
        expect(read).toBeLessThanOrEqual(durationMs)
        expect(durationMs - read).toBeLessThan(unit)
      }),
    )
  })

  test('is null or a whole number of milliseconds for any text', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[0-9msdh]{0,12}$/), text => {
        const durationMs = parseDuration(text)
        expect(durationMs === null || (Number.isSafeInteger(durationMs) && durationMs >= 0)).toBe(true)
      }),
    )
  })
})

describe('formatDuration', () => {
  test.each([
    [0, '0s'],
    [999, '0s'],
    [45 * SECOND_MS, '45s'],
    [12 * MINUTE_MS + 5 * SECOND_MS, '12m 5s'],
    [3 * DAY_MS + 4 * HOUR_MS + 5 * MINUTE_MS, '3d 4h'],
    [-2 * HOUR_MS, '2h'],
  ])('%d', (durationMs, expected) => {
    expect(formatDuration(durationMs)).toBe(expected)
  })
})

describe('iso', () => {
  test('has milliseconds only when there are some', () => {
    expect(iso(Date.UTC(2026, 0, 2, 3, 4, 5))).toBe('2026-01-02T03:04:05Z')
    expect(iso(Date.UTC(2026, 0, 2, 3, 4, 5, 6))).toBe('2026-01-02T03:04:05.006Z')
  })
})

describe('parseRetryAfter', () => {
  const now = Date.UTC(2026, 0, 1)
  const example = Date.UTC(1994, 10, 6, 8, 49, 37)

  test.each([
    ['120', now + 120 * SECOND_MS],
    [' 0 ', now],
    ['Sun, 06 Nov 1994 08:49:37 GMT', example],
    ['Sunday, 06-Nov-94 08:49:37 GMT', example],
    ['Sun Nov  6 08:49:37 1994', example],
    [undefined, null],
    ['', null],
    ['-5', null],
    ['1.5', null],
    ['soon', null],
    ['Sun, 99 Nov 1994', null],
    ['9'.repeat(15), now + 7 * DAY_MS],
    ['9'.repeat(400), now + 7 * DAY_MS],
    ['Fri, 31 Dec 2099 23:59:59 GMT', now + 7 * DAY_MS],
    ['123000', now + 123_000 * SECOND_MS],
  ])('%s', (value, expected) => {
    expect(parseRetryAfter(value, now)).toBe(expected)
  })

  test('an instant it gives can be written', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^\d{1,20}$/)), value => {
        const at = parseRetryAfter(value, now)
        expect(at === null || iso(at).endsWith('Z')).toBe(true)
      }),
    )
  })
})

describe('systemClock', () => {
  test('reads the time and sleeps', async () => {
    const before = Date.now()
    expect(systemClock.now()).toBeGreaterThanOrEqual(before)
    await expect(systemClock.sleep(1)).resolves.toBeUndefined()
  })

  test('rejects with the reason of the signal, before and during a sleep', async () => {
    const reason = new Error('the run is over')
    await expect(systemClock.sleep(HOUR_MS, AbortSignal.abort(reason))).rejects.toBe(reason)
    const controller = new AbortController()
    const sleeping = systemClock.sleep(HOUR_MS, controller.signal)
    controller.abort(reason)
    await expect(sleeping).rejects.toBe(reason)
  })

  test('does not wake at once from a sleep that is longer than a timer can be', async () => {
    const warnings = vi.fn()
    process.on('warning', warnings)
    const controller = new AbortController()
    const sleeping = systemClock.sleep(400 * DAY_MS, controller.signal)
    await systemClock.sleep(20)
    controller.abort(new Error('enough'))
    await expect(sleeping).rejects.toThrow('enough')
    process.off('warning', warnings)
    expect(warnings).not.toHaveBeenCalled()
  })
})
