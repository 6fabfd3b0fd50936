import { describe, expect, test } from 'vitest'
import { exitCode } from '../../functions/exit.ts'
import { ERROR_CODES, type ErrorCode } from '../../lib/model/errors.ts'
import { OUTCOMES, type Outcome } from '../../lib/model/outcomes.ts'
import type { TargetResult } from '../../lib/report/result.ts'
import { answer, result } from '../present/answers.ts'

const failed = (code: ErrorCode): TargetResult =>
  result({ outcome: 'failed', error: { code, message: 'm', hint: null, retryAt: null } })
const waiting = (reason: string, outcome: Outcome = 'suspended'): TargetResult =>
  result({ outcome, decision: { due: false, reason, detail: '', nextCheckAt: null } })

describe('one target', () => {
  const outcomes: readonly (readonly [Outcome, number])[] = [
    ['idle', 0],
    ['planned', 0],
    ['probed', 0],
    ['revoked', 0],
    ['rotated', 0],
    ['repaired', 0],
    ['suspended', 3],
    ['busy', 3],
    ['held', 1],
    ['rolled-back', 1],
    ['refused', 1],
    ['failed', 1],
  ]
  test.each(outcomes)('%s: %i', (outcome, code) => {
    expect(exitCode(answer(result({ outcome })))).toBe(code)
  })
  test('every outcome is in the table', () => {
    expect(outcomes.map(([outcome]) => outcome).toSorted()).toEqual(Object.keys(OUTCOMES).toSorted())
  })

  test.each([
    ['what a person mends in the settings', 'settings-invalid', 2],
    ['what the settings point at', 'unauthorized', 2],
    ['another domain', 'domain-mismatch', 2],
    ['the world', 'unavailable', 1],
    ['a refusal', 'preflight-refused', 1],
    ['another run', 'busy', 3],
    ['no time', 'out-of-time', 3],
  ] as const)('an error says more than its outcome: %s', (_, code, wanted) => {
    expect(exitCode(answer(failed(code)))).toBe(wanted)
  })
  test.each(Object.keys(ERROR_CODES) as ErrorCode[])('%s is no success', code => {
    expect(exitCode(answer(failed(code)))).toBe(ERROR_CODES[code].exit)
    expect(exitCode(answer(failed(code)))).not.toBe(0)
  })

  test('waiting after a failure is a failure; waiting for something is not', () => {
    expect(exitCode(answer(waiting('backing-off')))).toBe(1)
    expect(exitCode(answer(waiting('paused')))).toBe(1)
    expect(exitCode(answer(waiting('resume')))).toBe(3)
    expect(exitCode(answer(waiting('backing-off', 'planned')))).toBe(0)
  })
})

describe('several targets', () => {
  test.each([
    ['all well', [result(), result({ outcome: 'rotated' })], 0],
    ['none', [], 0],
    ['one waits', [result(), waiting('resume')], 3],
    ['one is set up wrongly', [waiting('resume'), failed('forbidden'), result()], 2],
    ['one failed', [failed('forbidden'), waiting('resume'), failed('unavailable')], 1],
  ] as const)('%s: %i', (_, results, code) => {
    expect(exitCode(answer(...results))).toBe(code)
    expect(exitCode(answer(...results.toReversed()))).toBe(code)
  })
})
