import * as v from 'valibot'

/** How many devices of a target are usually online: at most 4 KB. */

const HOURS_OF_WEEK = 168
const SAMPLES_AT_MOST = 60
const WEIGHT_AT_MOST = 8

const instant = v.number()
const hours = v.pipe(v.array(v.number()), v.length(HOURS_OF_WEEK))

export const DeviceCounts = v.object({
  schema: v.literal(1),
  /** By hour of the week, from Sunday 00:00 UTC: a running mean of what was counted. */
  mean: hours,
  /** How many counts each mean is of, up to 8. */
  weight: hours,
  /** The last ones as they were: [instant, count, what was usual (null: not known)]. */
  samples: v.array(v.tuple([instant, v.number(), v.nullable(v.number())])),
  /** When a certificate was last bound. */
  boundAt: v.nullable(instant),
})
export type DeviceCounts = v.InferOutput<typeof DeviceCounts>

export const noCounts: DeviceCounts = {
  schema: 1,
  mean: Array.from({ length: HOURS_OF_WEEK }, () => 0),
  weight: Array.from({ length: HOURS_OF_WEEK }, () => 0),
  samples: [],
  boundAt: null,
}

/** The hour of the week, in UTC: Sunday 00:00 is 0. */
const hourOf = (at: number): number => {
  const date = new Date(at)
  return date.getUTCDay() * 24 + date.getUTCHours()
}

/**
 * What is usual at an instant: of that hour of the week, else of that hour on the other days; null where nothing
 * is known of either. Pure.
 */
export function usualAt({ mean, weight }: DeviceCounts, at: number): number | null {
  const hour = hourOf(at)
  const own = weight[hour] ?? 0
  if (own > 0) return mean[hour] ?? null
  const others = Array.from({ length: 7 }, (_, day) => day * 24 + (hour % 24)).filter(
    i => (weight[i] ?? 0) > 0,
  )
  if (others.length === 0) return null
  return others.reduce((sum, i) => sum + (mean[i] ?? 0), 0) / others.length
}

/** One more count; `isUsual`: it also goes into what is usual. Pure. */
export function counted(
  counts: DeviceCounts,
  { at, count, usual, isUsual }: { at: number; count: number; usual: number | null; isUsual: boolean },
): DeviceCounts {
  const samples = [...counts.samples, [at, count, usual === null ? null : Math.round(usual)] as const]
  const kept = {
    ...counts,
    samples: samples.slice(-SAMPLES_AT_MOST).map(s => [...s] as [number, number, number | null]),
  }
  if (!isUsual) return kept
  const hour = hourOf(at)
  const before = counts.weight[hour] ?? 0
  const weight = Math.min(before + 1, WEIGHT_AT_MOST)
  const mean = ((counts.mean[hour] ?? 0) * (weight - 1) + count) / weight
  return {
    ...kept,
    mean: counts.mean.with(hour, Math.round(mean * 10) / 10),
    weight: counts.weight.with(hour, weight),
  }
}
