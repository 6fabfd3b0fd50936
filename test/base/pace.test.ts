/** No faster than a service takes it, and slower where it says so. */
import { expect, test } from 'vitest'
import { createPace } from '../../lib/base/pace.ts'
import type { Clock } from '../../lib/base/time.ts'

function rig(limit: Parameters<typeof createPace>[0]) {
  let now = 0
  const clock: Clock = {
    now: () => now,
    sleep: async ms => {
      now += ms
    },
  }
  return { pace: createPace(limit, clock), now: () => now, rest: (ms: number) => (now += ms) }
}

test('one at once, then one for each second', async () => {
  const { pace, now } = rig({ perSecond: 1 })
  for (let i = 0; i < 4; i += 1) expect(await pace.take(60_000)).toBe(true)
  expect(now()).toBe(3_000)
})

test('a burst after a rest, and no more than that', async () => {
  const { pace, now, rest } = rig({ perSecond: 10, burst: 3 })
  rest(60_000)
  for (let i = 0; i < 3; i += 1) await pace.take(0)
  expect(now()).toBe(60_000)
  expect(await pace.take(0)).toBe(false)
  expect(await pace.take(100)).toBe(true)
})

test('who cannot wait so long takes nobody’s turn', async () => {
  const { pace } = rig({ perSecond: 1 })
  await pace.take(0)
  expect(await pace.take(999)).toBe(false)
  expect(await pace.take(1_000)).toBe(true)
})

test('a refusal halves the rate, which creeps back', async () => {
  const { pace, now, rest } = rig({ perSecond: 4, burst: 4 })
  for (let i = 0; i < 4; i += 1) await pace.take(0)
  pace.slowDown(now())
  await pace.take(60_000)
  await pace.take(60_000)
  expect(now()).toBeGreaterThanOrEqual(900)
  expect(now()).toBeLessThanOrEqual(1_000)
  rest(60_000)
  const before = now()
  for (let i = 0; i < 5; i += 1) await pace.take(60_000)
  expect(now() - before).toBe(1_000)
})

test('a burst that is refused slows down once', async () => {
  const { pace, now } = rig({ perSecond: 64, burst: 64 })
  const sentAt = now()
  for (let i = 0; i < 64; i += 1) await pace.take(0)
  await pace.take(60_000)
  for (let i = 0; i < 64; i += 1) pace.slowDown(i === 0 ? now() : sentAt)
  const before = now()
  await pace.take(60_000)
  expect(now() - before).toBeLessThanOrEqual(40)
})

test('where nothing is documented, what went out tells how much is too much', async () => {
  const { pace, now } = rig({ perSecond: Number.POSITIVE_INFINITY })
  for (let i = 0; i < 20; i += 1) expect(await pace.take(0)).toBe(true)
  pace.slowDown(now())
  expect(await pace.take(0)).toBe(false)
  for (let i = 0; i < 10; i += 1) await pace.take(60_000)
  expect(now()).toBeGreaterThan(900)
  expect(now()).toBeLessThanOrEqual(1_000)
})

test('what several have each adds up', async () => {
  const { pace, now } = rig({ perSecond: 1 })
  pace.widen(1)
  for (let i = 0; i < 3; i += 1) await pace.take(60_000)
  expect(now()).toBe(1_000)
})

test('the pause that a service asks for is kept', async () => {
  const { pace, now } = rig({ perSecond: 100 })
  pace.slowDown(0, 7_000)
  expect(pace.pausedUntil()).toBe(7_000)
  expect(await pace.take(6_999)).toBe(false)
  expect(await pace.take(7_000)).toBe(true)
  expect(now()).toBe(7_000)
})

test('whoever waits already when a long pause begins is let go', async () => {
  let now = 0
  const sleepers: (() => void)[] = []
  const clock: Clock = {
    now: () => now,
    sleep: durationMs =>
      new Promise(resolve => {
        sleepers.push(() => {
          now += durationMs
          resolve()
        })
      }),
  }
  const pace = createPace({ perSecond: 1 }, clock)
  await pace.take(0)
  const waiting = [pace.take(60_000, undefined, 10_000), pace.take(60_000, undefined, 10_000)]
  await Promise.resolve()
  await Promise.resolve()
  pace.slowDown(0, 60_000)
  sleepers[0]?.()
  expect(await Promise.all(waiting)).toEqual([false, false])
})

test('first come, first served', async () => {
  const { pace } = rig({ perSecond: 10 })
  const served: number[] = []
  await Promise.all([1, 2, 3, 4, 5].map(i => pace.take(60_000).then(() => served.push(i))))
  expect(served).toEqual([1, 2, 3, 4, 5])
})

test('whoever gives up leaves the queue', async () => {
  const { pace } = rig({ perSecond: 1 })
  await pace.take(0)
  const left = new AbortController()
  const gone = pace.take(60_000, left.signal)
  left.abort(new Error('stopped'))
  await expect(gone).rejects.toThrow('stopped')
  expect(await pace.take(1_000)).toBe(true)
})

test('refusals without end leave a sixteenth of the rate', async () => {
  const { pace, now } = rig({ perSecond: 16 })
  for (let i = 0; i < 100; i += 1) pace.slowDown(now())
  const before = now()
  await pace.take(60_000)
  expect(now() - before).toBe(1_000)
})
