/** What a count of devices online says after a bind, and when it says nothing. */
import { describe, expect, test } from 'vitest'
import { DAY_MS, HOUR_MS } from '../../../lib/base/time.ts'
import { compare } from '../../../lib/rotation/device-watch/compare.ts'
import { counted, type DeviceCounts, noCounts, usualAt } from '../../../lib/state/device-counts.ts'
import { NOW } from '../facts.ts'

/** By day 200 devices, at night (20:00 to 04:00 UTC) 40. */
const asUsual = (at: number): number => {
  const hour = new Date(at).getUTCHours()
  return hour >= 20 || hour < 4 ? 40 : 200
}

/** Counted each hour for so many days until NOW. */
function history(days: number, countAt: (at: number) => number = asUsual): DeviceCounts {
  let counts = noCounts
  for (let at = NOW - days * DAY_MS; at < NOW; at += HOUR_MS)
    counts = counted(counts, { at, count: countAt(at), usual: usualAt(counts, at), isUsual: true })
  return counts
}

const settings = { tolerance: 0.1, minimum: 20 }
const midnight = NOW + 12 * HOUR_MS

describe('after a bind', () => {
  const cases: readonly (readonly [string, DeviceCounts, object, string])[] = [
    ['as many as usual', history(14), { at: NOW, count: 200 }, 'back'],
    ['fewer, within the tolerance', history(14), { at: NOW, count: 181 }, 'back'],
    ['fewer than that', history(14), { at: NOW, count: 179 }, 'fewer'],
    ['nobody is there', history(14), { at: NOW, count: 0 }, 'fewer'],
    ['everyone is asleep, as every night', history(14), { at: midnight, count: 38 }, 'back'],
    ['fewer than usual at night', history(14), { at: midnight, count: 20 }, 'fewer'],
    ['two days tell of the hour, though not of the weekday', history(2), { at: NOW, count: 150 }, 'fewer'],
    ['no history', noCounts, { at: NOW, count: 0 }, 'unknown'],
    ['too few to say anything', history(14, () => 12), { at: NOW, count: 3 }, 'unknown'],
    ['more than ever', history(14), { at: NOW, count: 900 }, 'back'],
  ]
  test.each(cases)('%s', (_, counts, seen, kind) => {
    expect(compare(counts, settings, { boundAt: NOW, ...seen } as never).kind).toBe(kind)
  })

  test('a plant that was off before the bind is not missed after', () => {
    const off = history(14, at => (at > NOW - 5 * HOUR_MS ? 50 : asUsual(at)))
    const fewer = { boundAt: NOW, at: NOW + HOUR_MS }
    expect(compare(off, settings, { ...fewer, count: 48 }).kind).toBe('back')
    expect(compare(off, settings, { ...fewer, count: 20 }).kind).toBe('fewer')
  })
})

/** Each way in which a count misleads, as a row of counts by the hour after a bind; docs/rollout.md tells of them. */
describe('what misleads', () => {
  /** Verdicts of counts at each hour after a bind at `boundAt`, each kept as the watch keeps it. */
  function watched(before: DeviceCounts, boundAt: number, row: readonly number[]): readonly string[] {
    let counts = before
    return row.map((count, hour) => {
      const at = boundAt + (hour + 1) * HOUR_MS
      const { kind, usual } = compare(counts, settings, { at, count, boundAt })
      counts = counted(counts, { at, count, usual, isUsual: kind === 'back' })
      return kind
    })
  }
  const evening = NOW + 7 * HOUR_MS
  const until = (end: number): DeviceCounts => {
    let counts = history(14)
    for (let at = NOW; at <= end; at += HOUR_MS)
      counts = counted(counts, { at, count: asUsual(at), usual: usualAt(counts, at), isUsual: true })
    return counts
  }

  test('everyone goes to sleep after the bind, as every evening', () => {
    expect(watched(until(evening), evening, [40, 40, 39])).toEqual(['back', 'back', 'back'])
  })

  test('they sleep for the first time, on a holiday: fewer, which only a longer history or a tolerance helps', () => {
    expect(watched(until(NOW), NOW, [40, 40])).toEqual(['fewer', 'fewer'])
  })

  test('the count lags: the first is still of before, and says no more than that', () => {
    expect(watched(until(NOW), NOW, [200, 200, 60, 60])).toEqual(['back', 'back', 'fewer', 'fewer'])
  })

  test('a mass reconnect: one count in the midst of it is no two in a row', () => {
    expect(watched(until(NOW), NOW, [90, 199, 200])).toEqual(['fewer', 'back', 'back'])
  })

  test('an outage of the network begins with the bind: it cannot be told from the certificate', () => {
    expect(watched(until(NOW), NOW, [3, 2])).toEqual(['fewer', 'fewer'])
  })

  test('a plant is switched off an hour before the bind: not missed after', () => {
    const off = counted(until(NOW - HOUR_MS), { at: NOW, count: 100, usual: 200, isUsual: true })
    expect(watched(off, NOW, [98, 101, 99])).toEqual(['back', 'back', 'back'])
  })

  test('a plant is switched off an hour after the bind: it is missed, since nobody said that it would be', () => {
    expect(watched(until(NOW), NOW, [199, 100, 100])).toEqual(['back', 'fewer', 'fewer'])
  })

  test('a plant that was off comes back after the bind: more than expected is no fault', () => {
    const off = counted(until(NOW - HOUR_MS), { at: NOW, count: 100, usual: 200, isUsual: true })
    expect(watched(off, NOW, [200, 200])).toEqual(['back', 'back'])
  })

  test('an outage that was over when it was bound, and the last count was in it: what comes back is not missed', () => {
    const down = counted(until(NOW - HOUR_MS), { at: NOW, count: 0, usual: 200, isUsual: true })
    expect(watched(down, NOW, [0, 0])).toEqual(['unknown', 'unknown'])
  })
})

test('what is kept stays below 4 KB, however long and however many', () => {
  let counts = noCounts
  for (let at = NOW - 60 * DAY_MS; at < NOW; at += HOUR_MS)
    counts = counted(counts, { at, count: 1_234_567, usual: 1_234_567.8, isUsual: true })
  expect(JSON.stringify(counts).length).toBeLessThan(4_096)
})

test('what a bind did to devices does not become what is usual', () => {
  const before = history(14)
  const after = counted(before, { at: NOW, count: 0, usual: 200, isUsual: false })
  expect(usualAt(after, NOW)).toBe(usualAt(before, NOW))
  expect(after.samples.at(-1)).toEqual([NOW, 0, 200])
})
