import type { Warning } from '../model/outcomes.ts'
import type { TargetResult } from './result.ts'
import type { LastRun } from './status.ts'

/** Version 1 of the answer; plain JSON. */
export interface Answer {
  readonly version: 1
  readonly runId: string
  readonly trigger: string
  readonly ok: boolean
  readonly startedAt: string
  readonly finishedAt: string
  readonly results: readonly TargetResult[]
  /** Of the run as a whole; absent: none. */
  readonly warnings?: readonly Warning[]
  /** Of `rotate`: what people were told, and when all targets were well for the last time (before that: the first run; null: not known). */
  readonly told?: { readonly sent: number; readonly undelivered: number; readonly okAt: string | null }
  /** Of `status`: the last run for all targets that is written down, which is every few hours; null: none. */
  readonly lastRun?: LastRun | null
}
