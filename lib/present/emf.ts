import { DAY_MS } from '../base/time.ts'
import type { Answer } from '../report/answer.ts'
import { healthOf } from '../report/health.ts'
import type { ReportedLife, TargetResult } from '../report/result.ts'

/**
 * Metrics as CloudWatch reads them out of the log, one JSON line each: for the run, for each target, and for each
 * source that was asked for a certificate. What has the dimension `FunctionName` alone is over all targets, so that
 * an alarm need not name them. CloudWatch charges by metric: six are metrics unless all are asked for, and the
 * others are members of the lines, to be searched for.
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
 */

type Unit = 'Count' | 'None' | 'Seconds' | 'Milliseconds'
/** Null: not known, and not told. */
type Values = Readonly<Record<string, readonly [value: number | null, unit: Unit]>>
type Members = Readonly<Record<string, unknown>>

const FUNCTION = 'FunctionName'

/** What the alarms look at, over all targets. */
export const FEW: readonly string[] = [
  'AlertsUndelivered',
  'DaysLeftBound',
  'DaysLeftServed',
  'LastSuccessAge',
  'ObtainFailures',
  'TargetsUnwell',
]
export type Metrics = 'few' | 'all'
type Sets = Readonly<Record<string, Values>>

/** The dimensions and names that become metrics. */
const asMetrics = (sets: Sets, metrics: Metrics) =>
  Object.entries(sets).flatMap(([dimension, values]) => {
    const isFew = metrics === 'few'
    const names = Object.keys(values).filter(name => !isFew || (dimension === '' && FEW.includes(name)))
    return names.length === 0 ? [] : [{ dimension, names }]
  })

/** One line; `sets` are metrics by their dimension besides the function's name (empty: none). */
function line(timestamp: number, sets: Sets, members: Members, metrics: Metrics): string {
  const known: Sets = Object.fromEntries(
    Object.entries(sets).map(([dimension, values]) => [
      dimension,
      Object.fromEntries(Object.entries(values).filter(([, [value]]) => value !== null)),
    ]),
  )
  const CloudWatchMetrics = asMetrics(known, metrics).map(({ dimension, names }) => ({
    Namespace: 'IotdaCert',
    Dimensions: [dimension === '' ? [FUNCTION] : [FUNCTION, dimension]],
    Metrics: names.map(Name => ({ Name, Unit: known[dimension]?.[Name]?.[1] })),
  }))
  const values = Object.values(known).flatMap(it =>
    Object.entries(it).map(([name, [value]]) => [name, value]),
  )
  const own = CloudWatchMetrics.length === 0 ? {} : { _aws: { Timestamp: timestamp, CloudWatchMetrics } }
  return `${JSON.stringify({ ...own, ...members, ...Object.fromEntries(values) })}\n`
}

/** The line of a target that the answer only counts. Pure. */
export const emfLineOf = (
  result: TargetResult,
  { runId, at, functionName, metrics }: { runId: string; at: number; functionName: string; metrics: Metrics },
): string => targetLine(result, at, { [FUNCTION]: functionName, runId }, metrics)

/** Every line of one answer of the function of that name; without those of targets that are only counted. Pure. */
export function emfLines(answer: Answer, functionName: string, metrics: Metrics = 'few'): readonly string[] {
  const at = Date.parse(answer.finishedAt)
  const { runId, trigger, results } = answer
  const common = { [FUNCTION]: functionName, runId }
  return [
    line(at, { '': wholeOf(answer, at) }, { ...common, trigger }, metrics),
    ...results.map(result => targetLine(result, at, common, metrics)),
    ...sourceLines(results, at, common, metrics),
  ]
}

function wholeOf({ ok, startedAt, results, counted: others, told }: Answer, at: number): Values {
  const counted = (outcomes: readonly string[]) => results.filter(r => outcomes.includes(r.outcome)).length
  const okAt = ok ? at : told?.okAt ? Date.parse(told.okAt) : null
  return {
    RunOk: [ok ? 1 : 0, 'Count'],
    RunDuration: [at - Date.parse(startedAt), 'Milliseconds'],
    Targets: [results.length + (others?.idle ?? 0), 'Count'],
    TargetsRotated: [counted(['rotated', 'repaired']), 'Count'],
    TargetsFailed: [counted(['failed', 'refused', 'rolled-back']), 'Count'],
    TargetsWaiting: [counted(['suspended', 'held', 'busy']), 'Count'],
    TargetsUnwell: [results.filter(r => healthOf(r, at) === 'unwell').length, 'Count'],
    AlertsSent: [told?.sent ?? null, 'Count'],
    AlertsUndelivered: [told?.undelivered ?? null, 'Count'],
    // How long ago all targets were well, as far as it is known.
    LastSuccessAge: [told && okAt !== null ? Math.max(0, at - okAt) / 1_000 : null, 'Seconds'],
  }
}

function targetLine(result: TargetResult, at: number, common: Members, metrics: Metrics): string {
  const { target, outcome, outlook, steps, error, online } = result
  const daysLeft = (life: ReportedLife | null) => life && (Date.parse(life.notAfter) - at) / DAY_MS
  const obtain = steps.filter(s => s.step === 'obtain')
  const own: Values = {
    Ok: [healthOf(result, at) === 'unwell' ? 0 : 1, 'Count'],
    SlotsUsed: [outlook.slotsUsed, 'Count'],
    DaysLeftServed: [daysLeft(outlook.served), 'None'],
    DaysLeftBound: [daysLeft(outlook.bound), 'None'],
    DevicesOnline: [online?.count ?? null, 'Count'],
    DevicesUsual: [online?.usual == null ? null : Math.round(online.usual), 'Count'],
  }
  const overAll: Values = {
    ...own,
    ObtainAttempts: [obtain.length, 'Count'],
    ObtainFailures: [obtain.filter(s => s.status === 'failed').length, 'Count'],
    ...Object.fromEntries(steps.map(s => [`Step${pascal(s.step)}`, [s.durationMs, 'Milliseconds']] as const)),
  }
  const members = { ...common, Target: target, outcome, error: error?.code ?? null }
  return line(at, { Target: own, '': overAll }, members, metrics)
}

/** What the CAs were asked lately, where this run asked them. Targets that share a source say the same of it. */
function sourceLines(
  results: readonly TargetResult[],
  at: number,
  common: Members,
  metrics: Metrics,
): readonly string[] {
  const latest = new Map(results.flatMap(({ orders }) => orders ?? []).map(it => [it.source, it]))
  return [...latest.values()].map(({ source, orders, failedValidations }) => {
    const values: Values = {
      AcmeOrders: [orders, 'Count'],
      AcmeFailedValidations: [failedValidations, 'Count'],
    }
    return line(at, { Source: values }, { ...common, Source: source }, metrics)
  })
}

const pascal = (step: string): string =>
  step.replaceAll(/(?:^|-)(\w)/g, (_, letter: string) => letter.toUpperCase())
