import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { emergencyMs } from '../../../lib/base/lifetime.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../../lib/base/time.ts'
import type { RenewBefore } from '../../../lib/model/certificate.ts'
import { backOffMs } from '../../../lib/rotation/decide/back-off.ts'
import { decide } from '../../../lib/rotation/decide/decide.ts'
import { instantIn } from '../../../lib/rotation/decide/renewal-window.ts'
import { certificateDocument, facts, leaf, NOW, slot, spec, suggested } from '../facts.ts'

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
  const renewalInfo = window ? suggested(window) : null
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
  const day = (n: number): number => START + n * DAY_MS
  const window = { start: day(50), end: day(52) }
  const drawn = instantIn(window, 'leaf-a')
  const short = { start: day(50), end: day(50) + HOUR_MS }
  const lastRun = short.end - 6 * HOUR_MS
  const past = { start: START - 2 * HOUR_MS, end: START - HOUR_MS }
  const byCa = { due: true, reason: 'renewal-window' }
  const byThreshold = { due: true, reason: 'expiring' }
  const waits = (until: number) => ({ due: false, nextCheckAt: until })
  const earlier = { window, renewBefore: { durationMs: 45 * DAY_MS } }
  const later = { window, renewBefore: { durationMs: 30 * DAY_MS } }
  const rare = { window: short, intervalMs: 6 * HOUR_MS }

  const cases: readonly (readonly [string, Omit<Case, 'lifetimeMs' | 'at'>, number, object])[] = [
    ['decides where no threshold is set: at the drawn instant, not at a third', { window }, drawn, byCa],
    ['and not before', { window }, drawn - 1, waits(drawn)],
    [
      'a window after the fallback is waited for',
      { window: { start: day(70), end: day(72) } },
      day(65),
      { due: false },
    ],
    [
      'but not into the emergency',
      { window: { start: day(100), end: day(101) } },
      day(86),
      { reason: 'emergency' },
    ],
    ['with an earlier threshold that one counts', earlier, day(45), byThreshold],
    ['and is waited for', earlier, day(44), waits(day(45))],
    ['with a later threshold the window counts', later, drawn, byCa],
    ['and is waited for as well', later, day(44), { nextCheckAt: drawn }],
    ['the last run before the window opens and closes renews', rare, lastRun, byCa],
    ['not the one before', rare, lastRun - 1, { due: false }],
    ['nor does the end of the window change that', rare, short.end - 1, { due: true }],
    ['nor what comes after', rare, short.end + DAY_MS, { due: true }],
    ['a window in the past means now: the CA wants the certificate gone', { window: past }, START, byCa],
  ]
  test.each(cases)('%s', (_, more, now, wanted) => {
    expect(at({ lifetimeMs, ...more, at: now })).toMatchObject(wanted)
  })

  test.each([
    ['a window in the past', past],
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
    const quiet = (days: number, renewBefore: RenewBefore | null = null) =>
      at({
        lifetimeMs,
        window: past,
        renewBefore,
        at: day(days),
        recalled: { fingerprint: 'leaf-before', at: day(days - 1) },
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
      window: past,
      recalled: { fingerprint: 'leaf-before', at: START },
    }
    expect(at({ ...own, at: START + quiet * DAY_MS - 1 }).due).toBe(false)
    expect(at({ ...own, at: START + quiet * DAY_MS }).due).toBe(true)
  })

  test('runs that are rarer than certificates live do not renew each one at once', () => {
    const soon = { start: day(3), end: day(3) + HOUR_MS }
    expect(at({ lifetimeMs: 6 * DAY_MS, window: soon, intervalMs: 7 * DAY_MS, at: START }).due).toBe(false)
  })

  test('an answer without a window is none: the fallback decides', () => {
    expect(decide(facts({ renewalInfo: suggested(null) }))).toMatchObject({
      due: false,
      nextCheckAt: NOW + 50 * DAY_MS,
    })
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
