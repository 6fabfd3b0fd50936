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
  /** Of each target; where they are `counted`, of those alone that there is something to say of. */
  readonly results: readonly TargetResult[]
  /** Of a `rotate` over more than 50 targets: how many are idle, well and say nothing, and which of them ends first. */
  readonly counted?: {
    readonly idle: number
    readonly firstToEnd: { readonly target: string; readonly notAfter: string } | null
  }
  /** Of the run as a whole; absent: none. */
  readonly warnings?: readonly Warning[]
  /** Of `rotate`: what people were told, and when all targets were well for the last time (before that: the first run; null: not known). */
  readonly told?: { readonly sent: number; readonly undelivered: number; readonly okAt: string | null }
  /** Of `status`: the last run for all targets that is written down, which is every few hours; null: none. */
  readonly lastRun?: LastRun | null
}
