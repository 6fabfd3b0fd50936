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
import { nameIn, type ReportedLeaf, type TargetResult } from '../report/result.ts'
import { fitted, shortened } from './fit.ts'
import { type Paint, painter } from './paint.ts'
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
  readonly columns?: number
  write(text: string): unknown
}

/** Prints each step when it ends; on a terminal also the one at work. */
export function progressPrinter(
  terminal: Terminal,
): (target: string, step: StepName, ended: StepRecord | null) => void {
  return (target, step, ended) => {
    const label = `${target}  ${step.padEnd(9)}`
    if (!ended) {
      // A line that was broken could not be drawn over.
      if (terminal.isTTY) terminal.write(`\r${shortened(`  … ${label}`, (terminal.columns ?? 80) - 1)}`)
      return
    }
    const took = ended.durationMs >= 1_000 ? `  (${formatDuration(ended.durationMs)})` : ''
    const line = `  ${MARK[ended.status]} ${label} ${visible(ended.detail)}${took}`
    terminal.write(terminal.isTTY ? `\r\x1b[K${fitted(line, terminal.columns ?? 80)}\n` : `${line}\n`)
  }
}

/** The answer in words. */
export function resultText(answer: Answer, action: Action, colour = false): string {
  const paint = painter(colour)
  const now = Date.parse(answer.finishedAt)
  const targets = answer.results.map(result => targetText(allVisible(result), action, now, paint))
  const warnings = allVisible(answer.warnings ?? []).map(
    it => `${paint('warning', 33)}  ${it.code}: ${it.message}\n`,
  )
  return [...targets, ...countedText(answer, paint), ...warnings].join('\n')
}

const countedText = ({ counted }: Answer, paint: Paint): readonly string[] => {
  if (!counted) return []
  const { idle, firstToEnd } = counted
  const first = firstToEnd ? `; ${visible(firstToEnd.target)} ends first, at ${firstToEnd.notAfter}` : ''
  return [`${paint('idle', 32)}  ${idle} targets: ${OUTCOMES.idle.text}${first}\n`]
}

/** What an outcome means where it is not what a rotation means by it. */
const WORDS: Partial<Record<Action, Partial<Record<Outcome, string>>>> = {
  rollback: { rotated: 'the previous certificate is bound and served again; held until you say resume' },
  hold: { idle: 'held until you say resume (or the settings change, or an emergency)' },
  resume: { idle: 'nothing is held any more; the next run goes on' },
}

function targetText(result: TargetResult, action: Action, now: number, paint: Paint): string {
  const { outcome, decision, steps, before, after, deleted, warnings, error } = result
  const text = WORDS[action]?.[outcome] ?? OUTCOMES[outcome].text
  const isPlan = action === 'plan'
  const lines = [
    `${paint(outcome, healthOf(result, now) === 'unwell' ? 31 : 32)}  ${nameIn(result)}: ${text}`,
    steps.some(s => s.step === 'decide') &&
      `  ${decision.due ? 'due' : 'idle'} (${decision.reason}): ${decision.detail}`,
    ...steps.map(s => isPlan && decision.due && s.step === 'free' && `  slot     ${s.detail}`),
    ...tableText(steps, isPlan, paint),
    before && `  before   ${leafText(before)}`,
    after && after.fingerprint !== before?.fingerprint && `  after    ${leafText(after)}`,
    ...(result.seen ? seenText(result.seen) : []),
    result.nextKey &&
      `  next key sha256/${result.nextKey.spki} (${result.nextKey.keyType}), announced since ${result.nextKey.since}`,
    ...(result.devices ? devicesText(result.devices) : []),
    ...(result.probe ? probeText(result.probe, paint) : []),
    ...deleted.map(it => `  deleted  ${it.serverCertificateId}: ${it.why}`),
    ...warnings.map(({ code, message }) => `  ${paint('warning', 33)}  ${code}: ${message}`),
    error && `  ${paint('error', 31)}    ${error.code}: ${error.message}`,
    error?.hint && `  hint     ${error.hint}`,
    error?.retryAt && `  not before ${error.retryAt}`,
    decision.nextCheckAt && `  next     ${decision.nextCheckAt}`,
  ]
  return `${lines.filter(Boolean).join('\n')}\n`
}

const seenText = ({ slots, served }: NonNullable<TargetResult['seen']>): readonly string[] => [
  ...slots.map(({ serverCertificateId, bound, leaf, expiryDate }) => {
    const what = leaf ? leafText(leaf) : `until ${expiryDate}`
    return `  slot     ${serverCertificateId}  ${bound ? 'bound ' : 'unused'}  ${what}`
  }),
  ...served.map(({ address, leaf, error }) => `  served   ${address}: ${leaf ? leafText(leaf) : error}`),
]

/** A line for each kind of device, with what it would not take or doubts. */
const devicesText = ({ verdicts }: NonNullable<TargetResult['devices']>): readonly string[] =>
  verdicts.flatMap(({ profile, address, ok, lines }) => [
    `  devices  ${profile ?? 'all'}: ${ok ? 'accept' : 'refuse'} what is ${address === null ? 'bound' : `served at ${address}`}`,
    ...lines.map(({ check, verdict, reason }) => `           ${verdict} ${check}: ${reason}`),
  ])

const leafText = ({ subject, names, issuer, notAfter, keyType, fingerprint }: ReportedLeaf): string =>
  `${subject || names.join(', ')}, ${keyType}, by ${issuer}, until ${notAfter} (${fingerprint.slice(0, 16)}…)`

/** An error before there was a target. */
export function errorText(error: RotationError): string {
  // The list of mistakes in settings has a line for each.
  const lines = error.message.split('\n').map(visible).join('\n')
  return `error  ${error.code}: ${lines}\n${error.hint ? `hint   ${visible(error.hint)}\n` : ''}`
}
