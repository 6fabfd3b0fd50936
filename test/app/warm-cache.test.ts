/** What a process keeps between events, with a clock of its own. */
import { expect, test } from 'vitest'
import { keepWarm } from '../../lib/app/run.ts'
import { MINUTE_MS } from '../../lib/base/time.ts'
import type { Settings, Surroundings } from '../../lib/config/load.ts'
import { fakeClock } from '../support/clock.ts'

const around = (env: Record<string, string>): Surroundings => ({ env, folder: '.' })

/** A loader that asks for one variable and counts. */
const loader = () => {
  let loads = 0
  return {
    load: async ({ env }: Surroundings) => {
      loads += 1
      return { intervalMs: Number(env.A) } as unknown as Settings
    },
    count: () => loads,
  }
}

test('settings are read once while nothing changes', async () => {
  const warm = keepWarm()
  const clock = fakeClock()
  const { load, count } = loader()
  const ask = (config: string | null, env: Record<string, string>) =>
    warm.settings(config, around(env), load, clock)
  const first = await ask('a', { A: '1', B: '1' })
  expect(await ask('a', { A: '1', B: '2' })).toBe(first)
  expect(count()).toBe(1)
  // Another text, another value of a variable that was asked for, age, a clock set back, and refused credentials.
  await ask('b', { A: '1' })
  expect(count()).toBe(2)
  expect((await ask('b', { A: '2' })).intervalMs).toBe(2)
  expect(count()).toBe(3)
  clock.advance(6 * MINUTE_MS)
  await ask('b', { A: '2' })
  expect(count()).toBe(4)
  clock.advance(-MINUTE_MS)
  await ask('b', { A: '2' })
  expect(count()).toBe(5)
  warm.forget()
  await ask('b', { A: '2' })
  expect(count()).toBe(6)
})

test('settings that cannot be read are not kept', async () => {
  const warm = keepWarm()
  const clock = fakeClock()
  const fail = () => Promise.reject(new Error('no'))
  await expect(warm.settings('a', around({}), fail, clock)).rejects.toThrow('no')
  const { load, count } = loader()
  await warm.settings('a', around({}), load, clock)
  expect(count()).toBe(1)
})

test('connections are reused at once, and never by a process that slept', async () => {
  const warm = keepWarm()
  const clock = fakeClock()
  const first = warm.clients(clock, null)
  const same = warm.clients(clock, null)
  expect(same.http(null)).toBe(first.http(null))
  clock.advance(MINUTE_MS)
  // As long as a run uses them they stay.
  expect(warm.clients(clock, null).http(null)).toBe(first.http(null))
  for (const clients of [first, same, same]) await clients.close()
  expect(warm.clients(clock, null).http(null)).toBe(first.http(null))
  await first.close()
  clock.advance(MINUTE_MS)
  expect(warm.clients(clock, null).http(null)).not.toBe(first.http(null))
})
