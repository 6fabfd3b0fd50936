import type { Answer } from '../../report/answer.ts'
import { healthOf } from '../../report/health.ts'
import type { TargetResult } from '../../report/result.ts'

/** The answer of a run over more targets names those that there is something to say of. */
const NAMED_AT_MOST = 50

type Counted = NonNullable<Answer['counted']>

/** Counts targets that nothing is to be said of, where they are many; the rest is kept. */
export interface Count {
  /** Whether this one is only counted. */
  takes(result: TargetResult, now: number): boolean
  /** Null: they are not many, and each is named. */
  counted(): Counted | null
}

export function createCount(targets: number): Count {
  const areMany = targets > NAMED_AT_MOST
  let idle = 0
  let firstToEnd: Counted['firstToEnd'] = null
  return {
    takes: (result, now) => {
      if (!areMany || !saysNothing(result, now)) return false
      const { target, outlook } = result
      const { notAfter } = outlook.served ?? outlook.bound ?? {}
      idle += 1
      if (notAfter && (firstToEnd === null || notAfter < firstToEnd.notAfter))
        firstToEnd = { target, notAfter }
      return true
    },
    counted: () => (areMany ? { idle, firstToEnd } : null),
  }
}

/** Idle and well, and nothing happened to it. */
const saysNothing = (result: TargetResult, now: number): boolean =>
  result.outcome === 'idle' &&
  result.error === null &&
  result.warnings.length === 0 &&
  result.deleted.length === 0 &&
  healthOf(result, now) === 'well'
