import { readdir, stat } from 'node:fs/promises'
import { type Clock, SECOND_MS, systemClock } from '../../base/time.ts'

/**
 * What is in a folder, listed anew only when it may have changed: whoever makes or removes a file in it moves its
 * `ctime`, which nobody can set back. Thousands of documents in one folder are then found without listing it for each.
 */

/** A change within the grain of that time would not show: what changed just now is listed each time. */
const GRAIN_MS = 2 * SECOND_MS

interface Known {
  readonly changed: bigint
  readonly names: readonly string[]
}

const changedAt = async (folder: string): Promise<bigint> => (await stat(folder, { bigint: true })).ctimeNs

/** Lists folders; rejects as `readdir` does. Each call sees every change that was over before it. */
export function createListing(
  clock: Pick<Clock, 'now'> = systemClock,
): (folder: string) => Promise<readonly string[]> {
  const known = new Map<string, Known>()
  return async folder => {
    const before = await changedAt(folder)
    const last = known.get(folder)
    if (last?.changed === before) return last.names
    const names = await readdir(folder)
    const settledMs = clock.now() - Number(before / 1_000_000n)
    const isWhole = settledMs > GRAIN_MS && (await changedAt(folder)) === before
    if (isWhole) known.set(folder, { changed: before, names })
    else known.delete(folder)
    return names
  }
}
