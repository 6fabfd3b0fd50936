import type { Answer } from '../lib/app.ts'
import type { TargetResult } from '../lib/rotation/report.ts'

/**
 * Metrics as CloudWatch reads them out of the log: one JSON line for the run, and one for each target.
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
 */

type Unit = 'Count' | 'None' | 'Milliseconds'
type Values = Readonly<Record<string, readonly [value: number, unit: Unit]>>

const NAMESPACE = 'IotdaCert'
const DAY_MS = 86_400_000

function line(
  timestamp: number,
  dimensions: Readonly<Record<string, string>>,
  values: Values,
  more: object,
): string {
  const Metrics = Object.entries(values).map(([Name, [, Unit]]) => ({ Name, Unit }))
  const directive = { Namespace: NAMESPACE, Dimensions: [Object.keys(dimensions)], Metrics }
  const members = Object.fromEntries(Object.entries(values).map(([name, [value]]) => [name, value]))
  return `${JSON.stringify({ _aws: { Timestamp: timestamp, CloudWatchMetrics: [directive] }, ...dimensions, ...members, ...more })}\n`
}

/** Every line of one answer. Pure. */
export function emfLines(answer: Answer): readonly string[] {
  const at = Date.parse(answer.finishedAt)
  const { runId, trigger, results } = answer
  const counted = (outcomes: readonly string[]) => results.filter(r => outcomes.includes(r.outcome)).length
  const whole: Values = {
    RunOk: [answer.ok ? 1 : 0, 'Count'],
    RunDuration: [at - Date.parse(answer.startedAt), 'Milliseconds'],
    Targets: [results.length, 'Count'],
    TargetsRotated: [counted(['rotated', 'repaired']), 'Count'],
    TargetsFailed: [counted(['failed', 'refused', 'rolled-back']), 'Count'],
    TargetsWaiting: [counted(['suspended', 'held', 'busy']), 'Count'],
  }
  return [
    line(at, { Service: 'iotda-cert' }, whole, { runId, trigger }),
    ...results.map(result => targetLine(result, at, runId)),
  ]
}

function targetLine(result: TargetResult, at: number, runId: string): string {
  const { target, outcome, outlook, steps, error } = result
  const left = (until: string | undefined) => (until === undefined ? null : (Date.parse(until) - at) / DAY_MS)
  const days = Object.entries({
    DaysLeftServed: left(outlook.served?.notAfter),
    DaysLeftBound: left(outlook.bound?.notAfter),
  }).flatMap(([name, value]) => (value === null ? [] : [[name, [value, 'None']] as const]))
  const durations = steps.map(
    ({ step, durationMs }) => [`Step${pascal(step)}`, [durationMs, 'Milliseconds']] as const,
  )
  const obtain = steps.filter(s => s.step === 'obtain')
  const values: Values = {
    Ok: [['failed', 'refused', 'rolled-back', 'held'].includes(outcome) ? 0 : 1, 'Count'],
    Rotated: [outcome === 'rotated' ? 1 : 0, 'Count'],
    SlotsUsed: [outlook.slotsUsed, 'Count'],
    ObtainAttempts: [obtain.length, 'Count'],
    ObtainFailures: [obtain.filter(s => s.status === 'failed').length, 'Count'],
    ...Object.fromEntries(days),
    ...Object.fromEntries(durations),
  }
  return line(at, { Target: target }, values, { runId, outcome, error: error?.code ?? null })
}

const pascal = (step: string): string =>
  step
    .split('-')
    .map(part => part.charAt(0).toUpperCase() + part.slice(1))
    .join('')
