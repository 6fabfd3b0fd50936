import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { emergencyMs } from '../../../lib/base/lifetime.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../../lib/base/time.ts'
import type { RenewBefore } from '../../../lib/model/certificate.ts'
import { backOffMs, decide } from '../../../lib/rotation/decide/decide.ts'
import { instantIn } from '../../../lib/rotation/decide/renewal-window.ts'
import { certificateDocument, facts, leaf, NOW, slot, spec } from '../facts.ts'

const START = NOW
interface Case {
  readonly lifetimeMs: number
  readonly renewBefore?: RenewBefore | null
  readonly window?: { readonly start: number; readonly end: number }
  readonly at: number
  readonly intervalMs?: number
  readonly recalled?: { readonly fingerprint: string; readonly at: number } | null
}

/** Decides about a certificate that began at START. */
function at({
  lifetimeMs,
  renewBefore = null,
  window,
  at,
  intervalMs = 30 * MINUTE_MS,
  recalled = null,
}: Case) {
  const bound = slot('a', { notBefore: START, notAfter: START + lifetimeMs })
  const renewalInfo = window
    ? { fingerprint: 'leaf-a', window, explanationUrl: null, nextFetchAt: START }
    : null
  const certificate = certificateDocument({ recalled })
  return decide(
    facts({ slots: [bound], renewalInfo, at, certificate }, { spec: { ...spec, renewBefore }, intervalMs }),
  )
}

describe('the threshold, to the millisecond', () => {
  const days = (n: number): number => n * DAY_MS
  const cases: readonly (readonly [string, number, RenewBefore | null, number])[] = [
    ['30d of 90', days(90), { durationMs: days(30) }, days(60)],
    ['a third of 90', days(90), { share: 1 / 3 }, days(60)],
    ['a quarter of 40', days(40), { share: 1 / 4 }, days(30)],
    ['not set: a third', days(90), null, days(60)],
    ['not set, 10 days: still a third', days(10), null, days(10) - days(10) / 3],
    ['not set, under 10 days: a half', days(6), null, days(3)],
    ['80d of 90 is clamped to two thirds', days(90), { durationMs: days(80) }, days(30)],
    ['as is more than the lifetime', days(90), { durationMs: days(400) }, days(30)],
    ['and a share of nearly all', days(90), { share: 0.99 }, days(30)],
    ['exactly two thirds', days(90), { durationMs: days(60) }, days(30)],
  ]
  test.each(cases)('%s', (_, lifetimeMs, renewBefore, dueAfterMs) => {
    const dueAt = START + Math.ceil(dueAfterMs)
    expect(at({ lifetimeMs, renewBefore, at: dueAt })).toMatchObject({ due: true, reason: 'expiring' })
    expect(at({ lifetimeMs, renewBefore, at: dueAt - 1 })).toMatchObject({
      due: false,
      reason: 'fresh',
      nextCheckAt: START + dueAfterMs,
    })
  })
})

describe('renewal info', () => {
  const lifetimeMs = 90 * DAY_MS
  const window = { start: START + 50 * DAY_MS, end: START + 52 * DAY_MS }
  const drawn = instantIn(window, 'leaf-a')

  test('decides where no threshold is set: at the drawn instant, not at a third', () => {
    expect(at({ lifetimeMs, window, at: drawn })).toMatchObject({ due: true, reason: 'renewal-window' })
    expect(at({ lifetimeMs, window, at: drawn - 1 })).toMatchObject({ due: false, nextCheckAt: drawn })
  })

  test('a window after the fallback is waited for', () => {
    const late = { start: START + 70 * DAY_MS, end: START + 72 * DAY_MS }
    expect(at({ lifetimeMs, window: late, at: START + 65 * DAY_MS })).toMatchObject({ due: false })
  })

  test('but not into the emergency', () => {
    const late = { start: START + 100 * DAY_MS, end: START + 101 * DAY_MS }
    expect(at({ lifetimeMs, window: late, at: START + 86 * DAY_MS })).toMatchObject({ reason: 'emergency' })
  })

  test('with a threshold the earlier of the two counts', () => {
    const earlier = { durationMs: 45 * DAY_MS }
    expect(at({ lifetimeMs, window, renewBefore: earlier, at: START + 45 * DAY_MS })).toMatchObject({
      due: true,
      reason: 'expiring',
    })
    expect(at({ lifetimeMs, window, renewBefore: earlier, at: START + 44 * DAY_MS })).toMatchObject({
      due: false,
      nextCheckAt: START + 45 * DAY_MS,
    })
    const later = { durationMs: 30 * DAY_MS }
    expect(at({ lifetimeMs, window, renewBefore: later, at: drawn })).toMatchObject({
      due: true,
      reason: 'renewal-window',
    })
    expect(at({ lifetimeMs, window, renewBefore: later, at: START + 44 * DAY_MS })).toMatchObject({
      nextCheckAt: drawn,
    })
  })

  test('the last run before the window closes renews, inside the window and before it', () => {
    const short = { start: START + 50 * DAY_MS, end: START + 50 * DAY_MS + HOUR_MS }
    const intervalMs = 6 * HOUR_MS
    const lastRun = short.end - intervalMs
    expect(at({ lifetimeMs, window: short, intervalMs, at: lastRun })).toMatchObject({
      due: true,
      reason: 'renewal-window',
    })
    expect(at({ lifetimeMs, window: short, intervalMs, at: lastRun - 1 })).toMatchObject({ due: false })
    expect(at({ lifetimeMs, window: short, intervalMs, at: short.end - 1 })).toMatchObject({ due: true })
    expect(at({ lifetimeMs, window: short, intervalMs, at: short.end + DAY_MS })).toMatchObject({ due: true })
  })

  test('a window in the past means now: the CA wants the certificate gone', () => {
    const past = { start: START - 2 * HOUR_MS, end: START - HOUR_MS }
    expect(at({ lifetimeMs, window: past, at: START })).toMatchObject({ due: true, reason: 'renewal-window' })
  })

  test.each([
    ['a window in the past', { start: START - 2 * HOUR_MS, end: START - HOUR_MS }],
    ['a window of for ever', { start: 0, end: START + 1_000 * DAY_MS }],
    ['a window that ends before the next run', { start: START, end: START + 20 * MINUTE_MS }],
  ])(
    '%s for the successor of a recalled one as well: it is left alone, then called back again',
    (_, window) => {
      const recalled = { fingerprint: 'leaf-before', at: START - HOUR_MS }
      const now = START + HOUR_MS / 2
      const own = { lifetimeMs, window, recalled }
      expect(now).toBeGreaterThan(instantIn(window, 'leaf-a'))
      expect(at({ ...own, recalled: null, at: now }).due).toBe(true)
      const until = START - HOUR_MS + 9 * DAY_MS
      const quiet = at({ ...own, at: now })
      expect(quiet).toMatchObject({ due: false, reason: 'fresh', nextCheckAt: until })
      expect(quiet.detail).toContain('calls back this certificate as it did the one before')
      expect(at({ ...own, at: until - 1 }).due).toBe(false)
      expect(at({ ...own, at: until })).toMatchObject({ due: true, reason: 'renewal-window' })
      // What was recalled is replaced, however often that takes.
      expect(at({ ...own, recalled: { ...recalled, fingerprint: 'leaf-a' }, at: now }).due).toBe(true)
    },
  )

  test('a recall that is not followed silences neither the threshold nor the emergency', () => {
    const past = { start: START - 2 * HOUR_MS, end: START - HOUR_MS }
    const quiet = (days: number, renewBefore: RenewBefore | null = null) =>
      at({
        ...{ lifetimeMs, window: past, renewBefore, at: START + days * DAY_MS },
        recalled: { fingerprint: 'leaf-before', at: START + (days - 1) * DAY_MS },
      })
    expect(quiet(59)).toMatchObject({ due: false })
    expect(quiet(60)).toMatchObject({ due: true, reason: 'expiring' })
    expect(quiet(50, { durationMs: 40 * DAY_MS })).toMatchObject({ due: true, reason: 'expiring' })
    expect(quiet(86)).toMatchObject({ due: true, reason: 'emergency' })
  })

  test.each([
    [90, 9],
    [45, 4.5],
    [20, 3],
    [6, 2],
  ])('of %i days the successor of a recalled one is left alone for %d', (days, quiet) => {
    const own = {
      lifetimeMs: days * DAY_MS,
      window: { start: START - 2 * HOUR_MS, end: START - HOUR_MS },
      recalled: { fingerprint: 'leaf-before', at: START },
    }
    expect(at({ ...own, at: START + quiet * DAY_MS - 1 }).due).toBe(false)
    expect(at({ ...own, at: START + quiet * DAY_MS }).due).toBe(true)
  })

  test('runs that are rarer than certificates live do not renew each one at once', () => {
    const short = { start: START + 3 * DAY_MS, end: START + 3 * DAY_MS + HOUR_MS }
    expect(at({ lifetimeMs: 6 * DAY_MS, window: short, intervalMs: 7 * DAY_MS, at: START }).due).toBe(false)
  })

  test('an answer without a window is none: the fallback decides', () => {
    const renewalInfo = { fingerprint: 'leaf-a', window: null, explanationUrl: null, nextFetchAt: NOW }
    expect(decide(facts({ renewalInfo }))).toMatchObject({ due: false, nextCheckAt: NOW + 50 * DAY_MS })
  })

  test('the instant is inside the window, the same for every run, and another for another certificate', () => {
    fc.assert(
      fc.property(
        fc.stringMatching(/^[0-9a-f]{64}$/),
        fc.integer({ min: 0, max: 4e12 }),
        fc.integer({ min: 0, max: 1e10 }),
        (print, start, length) => {
          const drawn = instantIn({ start, end: start + length }, print)
          expect(drawn).toBeGreaterThanOrEqual(start)
          expect(drawn).toBeLessThanOrEqual(start + length)
          expect(instantIn({ start, end: start + length }, print)).toBe(drawn)
        },
      ),
    )
    const draws = new Set(Array.from({ length: 50 }, (_, i) => instantIn(window, `leaf-${i}`)))
    expect(draws.size).toBeGreaterThan(45)
  })
})

describe('the emergency', () => {
  const cases: readonly (readonly [string, number, number])[] = [
    ['90 days: a twentieth is more than a day', 90 * DAY_MS, 4.5 * DAY_MS],
    ['20 days: both are a day', 20 * DAY_MS, DAY_MS],
    ['10 days: a day', 10 * DAY_MS, DAY_MS],
    ['4 days: a day is a quarter', 4 * DAY_MS, DAY_MS],
    ['1 day: at most a quarter', DAY_MS, 6 * HOUR_MS],
    ['1 hour', HOUR_MS, 15 * MINUTE_MS],
  ]
  test.each(cases)('%s', (_, lifetimeMs, wantedMs) => {
    const own = leaf('a', { notBefore: START, notAfter: START + lifetimeMs })
    expect(emergencyMs(own)).toBe(wantedMs)
    const renewBefore = { durationMs: 1 }
    const begins = START + lifetimeMs - wantedMs
    expect(at({ lifetimeMs, renewBefore, at: begins })).toMatchObject({
      reason: 'emergency',
      emergency: true,
    })
    expect(at({ lifetimeMs, renewBefore, at: begins - 1 })).toMatchObject({ due: false })
  })
})

describe('back-off', () => {
  test('doubles from an hour to a day', () => {
    const hours = [1, 2, 3, 4, 5, 6, 7, 20, 1_000].map(
      failures => backOffMs(failures, 365 * DAY_MS) / HOUR_MS,
    )
    expect(hours).toEqual([1, 2, 4, 8, 16, 24, 24, 24, 24])
  })

  test('is never more than a tenth of the time left, and an hour at most when none is left', () => {
    expect(backOffMs(6, 5 * DAY_MS)).toBe(12 * HOUR_MS)
    expect(backOffMs(1, 5 * HOUR_MS)).toBe(30 * MINUTE_MS)
    expect(backOffMs(6, 0)).toBe(HOUR_MS)
    expect(backOffMs(6, -DAY_MS)).toBe(HOUR_MS)
  })
})
