import type { Answer } from '../report/answer.ts'
import { healthOf } from '../report/health.ts'
import type { TargetResult } from '../report/result.ts'

/**
 * Metrics as CloudWatch reads them out of the log, one JSON line each: for the run, for each target, and for each
 * source that was asked for a certificate. What has the dimension `FunctionName` alone is over all targets, so that
 * an alarm need not name them; only four metrics are for each target, since CloudWatch charges by metric.
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
 */

type Unit = 'Count' | 'None' | 'Seconds' | 'Milliseconds'
type Values = Readonly<Record<string, readonly [value: number, unit: Unit]>>

/** Metrics of one set of dimensions. */
interface Directive {
  readonly dimensions: readonly string[]
  readonly values: Values
}

const NAMESPACE = 'IotdaCert'
const FUNCTION = 'FunctionName'
const DAY_MS = 86_400_000

function line(
  timestamp: number,
  directives: readonly Directive[],
  more: Readonly<Record<string, unknown>>,
): string {
  const CloudWatchMetrics = directives.map(({ dimensions, values }) => ({
    Namespace: NAMESPACE,
    Dimensions: [dimensions],
    Metrics: Object.entries(values).map(([Name, [, Unit]]) => ({ Name, Unit })),
  }))
  const values = directives.flatMap(it => Object.entries(it.values).map(([name, [value]]) => [name, value]))
  const members = Object.fromEntries(values)
  return `${JSON.stringify({ _aws: { Timestamp: timestamp, CloudWatchMetrics }, ...more, ...members })}\n`
}

/** Every line of one answer of the function of that name. Pure. */
export function emfLines(answer: Answer, functionName: string): readonly string[] {
  const at = Date.parse(answer.finishedAt)
  const { runId, trigger, results } = answer
  const common = { [FUNCTION]: functionName, runId }
  return [
    line(at, [{ dimensions: [FUNCTION], values: wholeOf(answer, at) }], { ...common, trigger }),
    ...results.map(result => targetLine(result, at, common)),
    ...sourceLines(results, at, common),
  ]
}

function wholeOf({ ok, startedAt, results, told }: Answer, at: number): Values {
  const counted = (outcomes: readonly string[]) => results.filter(r => outcomes.includes(r.outcome)).length
  const okAt = ok ? at : told?.okAt ? Date.parse(told.okAt) : null
  return {
    RunOk: [ok ? 1 : 0, 'Count'],
    RunDuration: [at - Date.parse(startedAt), 'Milliseconds'],
    Targets: [results.length, 'Count'],
    TargetsRotated: [counted(['rotated', 'repaired']), 'Count'],
    TargetsFailed: [counted(['failed', 'refused', 'rolled-back']), 'Count'],
    TargetsWaiting: [counted(['suspended', 'held', 'busy']), 'Count'],
    TargetsUnwell: [results.filter(r => healthOf(r, at) === 'unwell').length, 'Count'],
    ...(told
      ? { AlertsSent: [told.sent, 'Count'], AlertsUndelivered: [told.undelivered, 'Count'] }
      : ({} as Values)),
    // How long ago all targets were well, as far as it is known.
    ...(told && okAt !== null ? { LastSuccessAge: [Math.max(0, at - okAt) / 1_000, 'Seconds'] } : {}),
  }
}

function targetLine(result: TargetResult, at: number, common: Readonly<Record<string, unknown>>): string {
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
  const own: Values = {
    Ok: [healthOf(result, at) === 'unwell' ? 0 : 1, 'Count'],
    ...(outlook.slotsUsed === null ? {} : ({ SlotsUsed: [outlook.slotsUsed, 'Count'] } as Values)),
    ...Object.fromEntries(days),
  }
  const overAll: Values = {
    ...own,
    ObtainAttempts: [obtain.length, 'Count'],
    ObtainFailures: [obtain.filter(s => s.status === 'failed').length, 'Count'],
    ...Object.fromEntries(durations),
  }
  const directives = [
    { dimensions: [FUNCTION, 'Target'], values: own },
    { dimensions: [FUNCTION], values: overAll },
  ]
  return line(at, directives, { ...common, Target: target, outcome, error: error?.code ?? null })
}

/** What the CAs were asked lately, where this run asked them. Targets that share a source say the same of it. */
function sourceLines(
  results: readonly TargetResult[],
  at: number,
  common: Readonly<Record<string, unknown>>,
): readonly string[] {
  const asked = results.flatMap(({ orders }) => orders ?? [])
  const latest = new Map(asked.map(it => [it.source, it]))
  return [...latest.values()].map(({ source, orders, failedValidations }) => {
    const values: Values = {
      AcmeOrders: [orders, 'Count'],
      AcmeFailedValidations: [failedValidations, 'Count'],
    }
    return line(at, [{ dimensions: [FUNCTION, 'Source'], values }], { ...common, Source: source })
  })
}

const pascal = (step: string): string =>
  step
    .split('-')
    .map(part => part.charAt(0).toUpperCase() + part.slice(1))
    .join('')
