import type { RawEntry } from '../contracts.ts'
import { asRaw } from './raw.ts'

/** The document in which the rotator says that it ran (lib/state/state.ts). */
export const LAST_RUN = 'runs/last'

/** Where a watchdog with these settings finds it: one for each shard. */
export function lastRunsOf({ rotator }: RawEntry): readonly string[] {
  const { shards } = asRaw(rotator)
  if (typeof shards !== 'number' || shards <= 1) return [LAST_RUN]
  return Array.from({ length: shards }, (_, i) => `shard-${i + 1}/${LAST_RUN}`)
}
