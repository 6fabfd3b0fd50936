import type { CheckLine, CheckVerdict } from '../model/device-profile.ts'
import type { StepRecord } from '../model/outcomes.ts'
import type { Paint } from './paint.ts'

const MARK: Readonly<Record<CheckVerdict, string>> = { ok: '✓', warn: '!', refuse: '✗' }
const COLOUR: Readonly<Record<CheckVerdict, number>> = { ok: 32, warn: 33, refuse: 31 }

/** What preflight found, line by line; nothing where all is well and nobody asked. */
export function tableText(steps: readonly StepRecord[], isAsked: boolean, paint: Paint): readonly string[] {
  const { table = [], detail = '' } = steps.findLast(step => step.step === 'preflight') ?? {}
  if (table.length === 0 || !(isAsked || table.some(line => line.verdict === 'refuse'))) return []
  const widest = (of: (line: CheckLine) => string): number => Math.max(...table.map(line => of(line).length))
  const [checks, profiles] = [widest(line => line.check), widest(profileOf)]
  const lines = table.flatMap(line => {
    const mark = paint(MARK[line.verdict], COLOUR[line.verdict])
    const today = line.served === null || line.served === line.new ? '' : `  (today ${line.served})`
    const indent = ' '.repeat(checks + profiles + 10)
    return [
      `    ${mark} ${line.check.padEnd(checks)}  ${profileOf(line).padEnd(profiles)}  ${line.new}${today}`,
      ...(line.reason === null ? [] : [`${indent}${line.reason}`]),
      ...(line.remedy === null ? [] : [`${indent}-> ${line.remedy}`]),
    ]
  })
  return [`  devices  ${isAsked ? detail : 'what preflight found:'}`, ...lines]
}

const profileOf = ({ profile }: CheckLine): string => profile ?? 'any device'
