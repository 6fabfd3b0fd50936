import type { Answer } from '../lib/app/run.ts'
import { ERROR_CODES } from '../lib/model/errors.ts'
import { OUTCOMES } from '../lib/model/outcomes.ts'

/** The exit code of an answer: failures first, then set-up, then waiting. */
export function exitCode(answer: Answer): number {
  const codes = answer.results.map(result => {
    const code = result.error?.code
    const waitsAfterFailure = result.decision.reason === 'backing-off' || result.decision.reason === 'paused'
    if (code) return ERROR_CODES[code].exit
    return waitsAfterFailure && OUTCOMES[result.outcome].exit !== 0 ? 1 : OUTCOMES[result.outcome].exit
  })
  return [1, 2, 3].find(code => codes.includes(code as 0 | 1 | 2 | 3)) ?? 0
}
