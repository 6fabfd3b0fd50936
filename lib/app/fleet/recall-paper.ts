import { formatDuration, HOUR_MS, SECOND_MS } from '../../base/time.ts'

/** A service that takes so many at once, and then one every so often. */
export interface Bucket {
  /** What it counts, and whose it is, e.g. `orders at letsencrypt`. */
  readonly name: string
  readonly burst: number
  readonly everyMs: number
  /** How many a recall needs of them. */
  readonly needed: number
}

/** What a recall of everything goes by. */
export interface RecallFacts {
  readonly targets: number
  /** Targets that are worked on at once, and how long one takes, with how many of them that was measured on. */
  readonly concurrency: number
  readonly rotationMs: number
  readonly measuredOn: number
  /** How long a run may take, and how often there is one. */
  readonly runMs: number
  readonly intervalMs: number
  /** Until every certificate's renewal info is asked for again. */
  readonly noticeMs: number
  readonly buckets: readonly Bucket[]
  /** The longest soak of a target (`minAge`). */
  readonly minAgeMs: number
  /** The soaks of all rings but the last, for certificates that are new to devices. */
  readonly ringsMs: number
}

/** One limit: how long the last target waits when there is no other. */
export interface RecallLimit {
  readonly name: string
  readonly says: string
  readonly takesMs: number
}

export interface RecallPlan {
  readonly limits: readonly RecallLimit[]
  /** The narrowest of them. */
  readonly narrowest: string
  /** Until the last target serves another certificate, from the instant at which the CA says so. */
  readonly lastSafeAfterMs: number
  /** The same where the new certificates are of a kind that rings hold back. */
  readonly withRingsMs: number
}

/** Work that runs of limited length get done, in whole runs. */
function workOf({ targets, concurrency, rotationMs, runMs, intervalMs }: RecallFacts): number {
  const perRun = Math.max(1, Math.floor(Math.min(runMs, intervalMs) / rotationMs)) * concurrency
  const before = Math.ceil(targets / perRun) - 1
  const rest = targets - before * perRun
  return before * intervalMs + Math.ceil(rest / concurrency) * rotationMs
}

/** What is refused in one run goes on in the next. */
const bucketMs = ({ burst, everyMs, needed }: Bucket, intervalMs: number): number => {
  const waitMs = Math.max(0, needed - burst) * everyMs
  return everyMs > SECOND_MS ? Math.ceil(waitMs / intervalMs) * intervalMs : waitMs
}

/** How long a recall of everything takes, on paper. Pure. */
export function recallPlan(facts: RecallFacts): RecallPlan {
  const { targets, concurrency, rotationMs, measuredOn, intervalMs, noticeMs, buckets } = facts
  const how = measuredOn > 0 ? `measured on ${measuredOn}` : 'assumed: none was measured yet'
  const limits: RecallLimit[] = [
    {
      name: 'work',
      says: `${targets} targets, ${concurrency} at once, ${formatDuration(rotationMs)} each (${how}), a run of ${formatDuration(facts.runMs)} every ${formatDuration(intervalMs)}`,
      takesMs: workOf(facts),
    },
    ...buckets.map(bucket => ({
      name: bucket.name,
      says: `${bucket.needed} needed; ${bucket.burst} at once, then ${rateText(bucket.everyMs)}`,
      takesMs: bucketMs(bucket, intervalMs),
    })),
  ]
  const narrowest = limits.reduce((most, one) => (one.takesMs > most.takesMs ? one : most))
  const lastSafeAfterMs = noticeMs + intervalMs + Math.max(narrowest.takesMs, rotationMs) + facts.minAgeMs
  return {
    limits,
    narrowest: narrowest.name,
    lastSafeAfterMs,
    withRingsMs: lastSafeAfterMs + facts.ringsMs,
  }
}

const rateText = (everyMs: number): string =>
  everyMs >= SECOND_MS
    ? `one every ${formatDuration(everyMs)}`
    : `${Math.round((SECOND_MS / everyMs) * 10) / 10} a second`

/** Until renewal info is asked for again where nothing is known: what CAs ask for. */
export const NOTICE_MS = 6 * HOUR_MS
