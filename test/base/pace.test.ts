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

test('a refusal halves the rate, successes bring it back', async () => {
  const { pace, now } = rig({ perSecond: 4 })
  pace.slowDown()
  await pace.take(60_000)
  await pace.take(60_000)
  expect(now()).toBe(1_000)
  for (let i = 0; i < 40; i += 1) pace.speedUp()
  const before = now()
  await pace.take(60_000)
  await pace.take(60_000)
  expect(now() - before).toBeLessThanOrEqual(750)
})

test('the pause that a service asks for is kept', async () => {
  const { pace, now } = rig({ perSecond: 100 })
  pace.slowDown(7_000)
  expect(await pace.take(6_999)).toBe(false)
  expect(await pace.take(7_000)).toBe(true)
  expect(now()).toBe(7_000)
})

test('refusals without end leave a sixteenth of the rate', async () => {
  const { pace, now } = rig({ perSecond: 16 })
  for (let i = 0; i < 100; i += 1) pace.slowDown()
  const before = now()
  await pace.take(60_000)
  await pace.take(60_000)
  expect(now() - before).toBe(2_000)
})
