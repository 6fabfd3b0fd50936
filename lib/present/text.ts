import type { RotationError } from '../base/rotation-error.ts'
import { formatDuration } from '../base/time.ts'
import { allVisible, visible } from '../base/visible.ts'
import {
  type Action,
  OUTCOMES,
  type Outcome,
  type StepName,
  type StepRecord,
  type StepStatus,
} from '../model/outcomes.ts'
import type { Answer } from '../report/answer.ts'
import { healthOf } from '../report/health.ts'
import type { ReportedLeaf, TargetResult } from '../report/result.ts'
import { probeText } from './probe-text.ts'
import { tableText } from './table.ts'

/** Human text for a terminal. */

const MARK: Readonly<Record<StepStatus, string>> = {
  done: '✓',
  skipped: '·',
  suspended: '…',
  refused: '✗',
  failed: '✗',
}

interface Terminal {
  readonly isTTY?: boolean
  write(text: string): unknown
}

/** Prints each step when it ends; on a terminal also the one at work. */
export function progressPrinter(
  terminal: Terminal,
): (target: string, step: StepName, ended: StepRecord | null) => void {
  return (target, step, ended) => {
    const label = `${target}  ${step.padEnd(9)}`
    if (!ended) {
      if (terminal.isTTY) terminal.write(`\r  … ${label}`)
      return
    }
    const took = ended.durationMs >= 1_000 ? `  (${formatDuration(ended.durationMs)})` : ''
    terminal.write(
      `${terminal.isTTY ? '\r\x1b[K' : ''}  ${MARK[ended.status]} ${label} ${visible(ended.detail)}${took}\n`,
    )
  }
}

/** The answer in words. */
export function resultText(answer: Answer, action: Action, colour = false): string {
  const whole = (answer.warnings ?? []).map(
    ({ code, message }) => `${paint('warning', 33, colour)}  ${code}: ${message}\n`,
  )
  const now = Date.parse(answer.finishedAt)
  const targets = answer.results.map(result => targetText(allVisible(result), action, now, colour))
  return [...targets, ...whole].join('\n')
}

/** What an outcome means where it is not what a rotation means by it. */
const WORDS: Partial<Record<Action, Partial<Record<Outcome, string>>>> = {
  rollback: { rotated: 'the previous certificate is bound and served again; held until you say resume' },
  hold: { idle: 'held until you say resume (or the settings change, or an emergency)' },
  resume: { idle: 'nothing is held any more; the next run goes on' },
}

function targetText(result: TargetResult, action: Action, now: number, colour: boolean): string {
  const { outcome, decision, error, warnings, deleted } = result
  const text = WORDS[action]?.[outcome] ?? OUTCOMES[outcome].text
  const lines = [
    `${paint(outcome, healthOf(result, now) === 'unwell' ? 31 : 32, colour)}  ${result.target}: ${text}`,
  ]
  if (result.steps.some(s => s.step === 'decide'))
    lines.push(`  ${decision.due ? 'due' : 'idle'} (${decision.reason}): ${decision.detail}`)
  if (action === 'plan' && decision.due)
    lines.push(...result.steps.filter(s => s.step === 'free').map(s => `  slot     ${s.detail}`))
  lines.push(...tableText(result.steps, action === 'plan', (part, code) => paint(part, code, colour)))
  if (result.before) lines.push(`  before   ${leafText(result.before)}`)
  if (result.after && result.after.fingerprint !== result.before?.fingerprint)
    lines.push(`  after    ${leafText(result.after)}`)
  if (result.seen) lines.push(...seenText(result.seen))
  if (result.devices) lines.push(...devicesText(result.devices))
  if (result.probe) lines.push(...probeText(result.probe, (part, code) => paint(part, code, colour)))
  for (const { serverCertificateId, why } of deleted) lines.push(`  deleted  ${serverCertificateId}: ${why}`)
  for (const { code, message } of warnings)
    lines.push(`  ${paint('warning', 33, colour)}  ${code}: ${message}`)
  if (error) lines.push(`  ${paint('error', 31, colour)}    ${error.code}: ${error.message}`)
  if (error?.hint) lines.push(`  hint     ${error.hint}`)
  if (error?.retryAt) lines.push(`  not before ${error.retryAt}`)
  if (decision.nextCheckAt) lines.push(`  next     ${decision.nextCheckAt}`)
  return `${lines.join('\n')}\n`
}

function seenText(seen: NonNullable<TargetResult['seen']>): readonly string[] {
  const slots = seen.slots.map(slot => {
    const role = slot.bound ? 'bound ' : 'unused'
    return `  slot     ${slot.serverCertificateId}  ${role}  ${slot.leaf ? leafText(slot.leaf) : `until ${slot.expiryDate}`}`
  })
  const served = seen.served.map(
    ({ address, leaf, error }) => `  served   ${address}: ${leaf ? leafText(leaf) : error}`,
  )
  return [...slots, ...served]
}

/** A line for each kind of device, with what it would not take or doubts. */
const devicesText = ({ verdicts }: NonNullable<TargetResult['devices']>): readonly string[] =>
  verdicts.flatMap(({ profile, address, ok, lines }) => [
    `  devices  ${profile ?? 'all'}: ${ok ? 'accept' : 'refuse'} what is ${address === null ? 'bound' : `served at ${address}`}`,
    ...lines.map(({ check, verdict, reason }) => `           ${verdict} ${check}: ${reason}`),
  ])

const leafText = ({ subject, names, issuer, notAfter, keyType, fingerprint }: ReportedLeaf): string =>
  `${subject || names.join(', ')}, ${keyType}, by ${issuer}, until ${notAfter} (${fingerprint.slice(0, 16)}…)`

const paint = (text: string, code: number, colour: boolean): string =>
  colour ? `\x1b[${code}m${text}\x1b[0m` : text

/** An error before there was a target. */
export function errorText(error: RotationError): string {
  // The list of mistakes in settings has a line for each.
  const lines = error.message.split('\n').map(visible).join('\n')
  return `error  ${error.code}: ${lines}\n${error.hint ? `hint   ${visible(error.hint)}\n` : ''}`
}
