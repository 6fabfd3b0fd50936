import { allVisible } from '../base/visible.ts'
import { painter } from './paint.ts'

/** What `doctor` found at one link. */
interface Finding {
  readonly check: string
  readonly subject: string | null
  readonly verdict: 'ok' | 'warn' | 'fail'
  readonly message: string
  readonly remedy: string | null
}

const MARK: Readonly<Record<Finding['verdict'], readonly [mark: string, colour: number]>> = {
  ok: ['ok  ', 32],
  warn: ['warn', 33],
  fail: ['fail', 31],
}

/** A line for each finding, and its remedy below it. */
export function findingsText(findings: readonly Finding[], colour: boolean): string {
  const paint = painter(colour)
  const what = ({ check, subject }: Finding): string => (subject === null ? check : `${check} ${subject}`)
  const widest = Math.max(0, ...findings.map(it => what(it).length))
  const lines = allVisible(findings).flatMap(it => {
    const line = `${paint(...MARK[it.verdict])}  ${what(it).padEnd(widest)}  ${it.message}`
    return it.remedy === null ? [line] : [line, `${' '.repeat(widest + 8)}-> ${it.remedy}`]
  })
  return `${lines.join('\n')}\n`
}
