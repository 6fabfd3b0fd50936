import { HOUR_MS } from '../../base/time.ts'
import type { DeviceWatch } from '../../model/target.ts'
import { type DeviceCounts, usualAt } from '../../state/device-counts.ts'

/** What a count says of devices after a bind. */
export type Comparison =
  /** As many as usual, within the tolerance. */
  | { readonly kind: 'back'; readonly usual: number; readonly why: string }
  | { readonly kind: 'fewer'; readonly usual: number; readonly why: string }
  /** Nothing can be said: a warning, never a rollback. */
  | { readonly kind: 'unknown'; readonly usual: number | null; readonly why: string }

/** How old the last count before a bind may be, to say how things were then. */
const JUST_BEFORE_MS = 3 * HOUR_MS

/**
 * Compares a count with what is usual for the hour, and with how many there were just before the bind: a plant that
 * was off before is not missed after. `boundAt`: of the bind that is watched. Pure.
 */
export function compare(
  counts: DeviceCounts,
  { tolerance, minimum }: Pick<DeviceWatch, 'tolerance' | 'minimum'>,
  { at, count, boundAt }: { readonly at: number; readonly count: number; readonly boundAt: number },
): Comparison {
  const hourly = usualAt(counts, at)
  if (hourly === null)
    return { kind: 'unknown', usual: null, why: 'how many devices are usual at this hour is not known yet' }
  const usual = hourly * shareBefore(counts, boundAt)
  const expected = Math.round(usual)
  if (usual < minimum) {
    const why = `${expected} devices are usual at this hour, fewer than the ${minimum} (devices.minimum) that say anything`
    return { kind: 'unknown', usual, why }
  }
  const said = `${count} devices online, ${expected} are usual at this hour`
  const isFewer = count < usual * (1 - tolerance)
  return { kind: isFewer ? 'fewer' : 'back', usual, why: said }
}

/** How many of the usual devices were there just before the bind: 1 at most. */
function shareBefore({ samples }: DeviceCounts, boundAt: number): number {
  const before = samples.findLast(([at]) => at <= boundAt && boundAt - at <= JUST_BEFORE_MS)
  if (!before) return 1
  const [, count, usual] = before
  return usual === null || usual === 0 ? 1 : Math.min(1, count / usual)
}
