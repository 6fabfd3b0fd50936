/** A target whose devices are counted. */
import type { RegisteredDevice } from '../../sandbox/iotda/search.ts'
import { DAY_MS, HOUR_MS, openScenario, type Scenario, type ScenarioOptions } from './scenario.ts'

export const MANY = 200

/** So many of 200 devices are online. */
export function online(count: number): () => readonly RegisteredDevice[] {
  const devices = Array.from({ length: MANY }, (_, i) => ({
    ...{ deviceId: `meter-${i}`, productId: 'p1' },
    status: i < count ? ('ONLINE' as const) : ('OFFLINE' as const),
  }))
  return () => devices
}

/** Of the day, in which devices are counted two weeks before: enough for what a test does then. */
export const HOURS = 6

/** Counted two weeks ago, then due. */
export async function openWatched(
  options: ScenarioOptions = {},
): Promise<{ readonly s: Scenario; readonly old: string | null }> {
  const s = await openScenario({
    ...options,
    change: settings => {
      settings.targets[0].devices = { watch: '8h' }
      settings.certificates.iot.ari = false
      options.change?.(settings)
    },
  })
  await s.bindOne(44)
  s.iotda.index.devices = online(MANY)
  for (let hour = 0; hour < HOURS; hour += 1) {
    await s.run()
    s.clock.advance(HOUR_MS)
  }
  s.clock.advance(14 * DAY_MS - HOURS * HOUR_MS)
  return { s, old: s.boundId() }
}
