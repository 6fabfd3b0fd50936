import { expect, test } from 'vitest'
import type { CheckLine } from '../../lib/model/device-profile.ts'
import type { StepRecord } from '../../lib/model/outcomes.ts'
import { tableText } from '../../lib/present/table.ts'
import { resultText } from '../../lib/present/text.ts'
import { answer, result } from './answers.ts'

const line = (more: Partial<CheckLine> = {}): CheckLine => ({
  check: 'key',
  profile: 'meter-v1',
  verdict: 'ok',
  served: 'rsa-2048',
  new: 'rsa-2048',
  reason: null,
  remedy: null,
  ...more,
})
const refusal = line({
  verdict: 'refuse',
  new: 'ec-256',
  reason: 'it has an ec-256 key, which is none of rsa-2048',
  remedy: 'set certificates.*.keyType',
})
const steps = (...table: CheckLine[]): readonly StepRecord[] => [
  { step: 'preflight', status: 'refused', durationMs: 0, call: null, detail: 'would refuse it', table },
]
const plain = (text: string): string => text

test('today beside the new one, with the reason and what helps', () => {
  const table = [line({ check: 'path', profile: null, served: null }), refusal]
  expect(tableText(steps(...table), false, plain)).toEqual([
    '  devices  what preflight found:',
    '    ✓ path  any device  rsa-2048',
    '    ✗ key   meter-v1    ec-256  (today rsa-2048)',
    '                        it has an ec-256 key, which is none of rsa-2048',
    '                        -> set certificates.*.keyType',
  ])
})

test('nothing where all is well, unless plan asks', () => {
  expect(tableText(steps(line(), line({ verdict: 'warn' })), false, plain)).toEqual([])
  expect(tableText([], true, plain)).toEqual([])
  expect(tableText(steps(line()), true, plain)[0]).toBe('  devices  would refuse it')
})

test('stands in the answer in words, in colour where that is asked for', () => {
  const refused = result({ outcome: 'refused', steps: steps(refusal) })
  expect(resultText(answer(refused), 'rotate')).toContain('    ✗ key  meter-v1  ec-256  (today rsa-2048)\n')
  expect(resultText(answer(refused), 'rotate', true)).toContain('\x1b[31m✗\x1b[0m key')
})
