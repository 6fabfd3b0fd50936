/** Metrics, judged by what is not ours: the documented schema of EMF, and a parser of Prometheus' text. */
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { Ajv } from 'ajv'
import parsePrometheus from 'parse-prometheus-text-format'
import { describe, expect, test, vi } from 'vitest'
import { handler } from '../../functions/lambda.ts'
import { emfLines } from '../../lib/present/emf.ts'
import { METRIC_NAMES, prometheusText } from '../../lib/present/prometheus.ts'
import type { Answer } from '../../lib/report/answer.ts'
import { lambdaContext, openFunctionRig } from '../support/function-rig.ts'
import { DAY_MS, HOUR_MS, openDue, openScenario } from '../support/scenario.ts'
import { answer, kept, result } from './answers.ts'
import { fleet } from './fleet.ts'

const text = (atMost: number) => ({ type: 'string', minLength: 1, maxLength: atMost })
/** Units of https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html */
const UNITS = ['Seconds', 'Microseconds', 'Milliseconds', 'Bytes', 'Percent', 'Count', 'Count/Second', 'None']
/** https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html */
const list = (minItems: number, maxItems: number, items: object) => ({
  type: 'array',
  minItems,
  maxItems,
  items,
})
const whole = (required: readonly string[], properties: object) => ({
  type: 'object',
  required,
  additionalProperties: false,
  properties,
})
const metric = whole(['Name'], {
  Name: text(1_024),
  Unit: { enum: UNITS },
  StorageResolution: { enum: [1, 60] },
})
const directive = whole(['Namespace', 'Dimensions', 'Metrics'], {
  Namespace: { ...text(1_024), pattern: '^[A-Za-z0-9._/#:-]+$' },
  Dimensions: list(1, 1_000, list(0, 30, text(250))),
  Metrics: list(1, 100, metric),
})
const _aws = whole(['Timestamp', 'CloudWatchMetrics'], {
  Timestamp: { type: 'integer', minimum: 1_000_000_000_000 },
  CloudWatchMetrics: list(1, 1_000, directive),
})
const EMF = { type: 'object', required: ['_aws'], properties: { _aws } }
const isEmf = new Ajv({ allErrors: true }).compile(EMF)

interface Directive {
  readonly Dimensions: readonly (readonly string[])[]
  readonly Metrics: readonly { readonly Name: string }[]
}

/** The schema, and what it says in words: every target member is there, dimensions are texts, metrics numbers. */
function judgeEmf(line: string): Record<string, unknown> {
  expect(line.endsWith('\n') && !line.slice(0, -1).includes('\n')).toBe(true)
  expect(Buffer.byteLength(line)).toBeLessThan(256 * 1024)
  const document = JSON.parse(line) as Record<string, unknown> & { _aws: { CloudWatchMetrics: Directive[] } }
  expect(isEmf(document), JSON.stringify(isEmf.errors)).toBe(true)
  for (const { Dimensions, Metrics } of document._aws.CloudWatchMetrics) {
    for (const name of Dimensions.flat()) expect(document[name]).toMatch(/^.{1,1024}$/)
    for (const { Name } of Metrics) expect(Number.isFinite(document[Name]), Name).toBe(true)
  }
  return document
}

/** A rotation, a failure, and what `status` says of them. */
async function seen() {
  const { s } = await openDue()
  const rotated = await s.rig.run({}, { clock: s.clock })
  s.clock.advance(70 * DAY_MS)
  s.faults.add({ operations: ['httpreq.Present'], status: 500, times: 99 })
  const failed = await s.rig.run({}, { clock: s.clock })
  s.clock.advance(HOUR_MS / 2)
  const status = await s.rig.run({ action: 'status' }, { clock: s.clock })
  const later = await s.rig.run({}, { clock: s.clock })
  return { rotated, failed, later, status }
}

describe('embedded metric format', () => {
  test('lines of real runs satisfy the documented schema', async () => {
    const { rotated, failed, later } = await seen()
    const [whole, target, source] = emfLines(rotated, 'rotate', 'all').map(judgeEmf)
    expect(whole).toMatchObject({
      FunctionName: 'rotate',
      RunOk: 1,
      Targets: 1,
      TargetsRotated: 1,
      TargetsFailed: 0,
      TargetsUnwell: 0,
      AlertsSent: 0,
      AlertsUndelivered: 0,
      LastSuccessAge: 0,
    })
    expect(target).toMatchObject({ FunctionName: 'rotate', Target: 'factory-1', Ok: 1, SlotsUsed: 2 })
    expect(target).toMatchObject({ ObtainAttempts: 1, ObtainFailures: 0, outcome: 'rotated' })
    expect(source).toMatchObject({ Source: 'sandbox', AcmeOrders: 1, AcmeFailedValidations: 0 })
    expect(Number(target?.DaysLeftServed)).toBeCloseTo(90, 0)
    expect(Number(target?.DaysLeftBound)).toBeCloseTo(90, 0)
    expect(target).toHaveProperty('StepObtain')
    const [bad, badTarget] = emfLines(failed, 'rotate', 'all').map(judgeEmf)
    expect(bad).toMatchObject({ RunOk: 0, TargetsFailed: 1, TargetsUnwell: 1 })
    expect(Number(bad?.LastSuccessAge) / 86_400).toBeCloseTo(70, 0)
    const [waiting, waitingTarget] = emfLines(later, 'rotate', 'all').map(judgeEmf)
    expect(waiting).toMatchObject({ RunOk: 0, TargetsFailed: 0, TargetsUnwell: 1, TargetsWaiting: 1 })
    expect(waitingTarget).toMatchObject({ Ok: 0, outcome: 'suspended' })
    expect(badTarget).toMatchObject({ Ok: 0, ObtainFailures: 1, error: 'unavailable' })
    expect(Number(badTarget?.DaysLeftServed)).toBeCloseTo(20, 0)
  })

  test('targets that were never well: what the alarm looks at grows from the first run on', async () => {
    const s = await openScenario()
    await s.bindOne(10)
    s.faults.add({ operations: ['httpreq.Present'], status: 500, times: 999 })
    const ages: number[] = []
    for (const waitMs of [DAY_MS, DAY_MS, 0]) {
      const [whole] = emfLines(await s.rig.run({}, { clock: s.clock }), 'rotate', 'all').map(judgeEmf)
      ages.push(Math.round(Number(whole?.LastSuccessAge) / 3_600))
      s.clock.advance(waitMs)
    }
    expect(ages).toEqual([0, 24, 48])
  })

  test('where nothing was seen no days are told', () => {
    const [, target] = emfLines(answer(result({ outcome: 'failed' })), 'rotate', 'all').map(judgeEmf)
    expect(target).not.toHaveProperty('DaysLeftServed')
  })

  test('the Lambda handler prints them, also when it throws', async () => {
    const rig = await openFunctionRig(60)
    const printed: string[] = []
    const write = vi
      .spyOn(process.stdout, 'write')
      .mockImplementation(chunk => printed.push(String(chunk)) > 0)
    try {
      vi.stubEnv('IOTDA_CERT_CONFIG', rig.config())
      await handler({ source: 'aws.events' }, lambdaContext('one'))
      rig.sandbox.faults.add({ operations: ['iotda.List*'], status: 500, times: 99 })
      await expect(handler({ source: 'aws.events' }, lambdaContext('two'))).rejects.toThrow()
    } finally {
      write.mockRestore()
      vi.unstubAllEnvs()
    }
    const lines = printed
      .join('')
      .trimEnd()
      .split('\n')
      .filter(line => line.startsWith('{"_aws"'))
    expect(lines.map(line => judgeEmf(`${line}\n`).RunOk)).toEqual([1, undefined, 0, undefined])
    expect(new Set(lines.map(line => judgeEmf(`${line}\n`).FunctionName))).toEqual(new Set(['iotda-cert']))
  })

  test('22 custom metrics in an idle hour cost more than all the rest: six unless the settings ask for all', () => {
    const metricsOf = (lines: readonly string[]): string[] =>
      lines.flatMap(line =>
        (JSON.parse(line)._aws?.CloudWatchMetrics ?? []).flatMap(({ Dimensions, Metrics }: Directive) =>
          Metrics.map(({ Name }) => `${Dimensions} ${Name}`),
        ),
      )
    const life = { fingerprint: 'a', notBefore: '2026-06-01T00:00:00Z', notAfter: '2026-09-01T00:00:00Z' }
    const idle = { ...answer(result({ outlook: { bound: life, served: life, slotsUsed: 2 } })) }
    const told = { ...idle, told: { sent: 0, undelivered: 0, okAt: null } }
    const few = metricsOf(emfLines(told, 'rotate'))
    expect(few.every(it => it.startsWith('FunctionName '))).toBe(true)
    expect(new Set(few).size).toBeLessThanOrEqual(6)
    expect(new Set(metricsOf(emfLines(told, 'rotate', 'all'))).size).toBeGreaterThan(15)
    // What is no metric is in the lines all the same, to be searched for.
    expect(emfLines(told, 'rotate').join('')).toContain('"SlotsUsed":2')
  })
})

describe('Prometheus', () => {
  const samplesOf = (answer: Answer) => {
    const families = parsePrometheus(prometheusText(answer))
    expect(families.map(f => f.name)).toEqual(METRIC_NAMES)
    for (const { type, help } of families) expect([type, help.length > 10]).toEqual(['GAUGE', true])
    return (name: string, labels: Record<string, string> = {}): number | undefined => {
      const found = families
        .find(f => f.name === `iotda_cert_${name}`)
        ?.metrics.find(m => Object.entries(labels).every(([k, it]) => m.labels?.[k] === it))
      return found?.value === undefined ? undefined : Number(found.value)
    }
  }

  test('a parser reads it, and finds everything', async () => {
    const { status } = await seen()
    const of = samplesOf(status)
    expect(of('days_left', { target: 'factory-1', what: 'served' })).toBeCloseTo(20, 0)
    expect(of('days_left', { target: 'factory-1', what: 'bound' })).toBeCloseTo(20, 0)
    expect(of('life_left_ratio', { what: 'served' })).toBeCloseTo(20 / 90, 1)
    expect(of('status_timestamp_seconds')).toBe(Date.parse(status.finishedAt) / 1_000)
    // The run that failed, half an hour before.
    expect((of('status_timestamp_seconds') ?? 0) - (of('last_run_timestamp_seconds') ?? 0)).toBe(1_800)
    expect(of('ok')).toBe(0)
    expect(of('last_outcome', { outcome: 'failed' })).toBe(1)
    expect((of('last_success_age_seconds') ?? 0) / 86_400).toBeCloseTo(70, 0)
    expect(of('failures')).toBe(1)
    expect(of('held')).toBe(0)
    expect(of('slots_used')).toBe(2)
    expect(of('step_duration_seconds', { step: 'obtain' })).toBeGreaterThanOrEqual(0)
    expect(of('rotations', { outcome: 'rotated' })).toBe(1)
    expect(of('rotations', { outcome: 'failed' })).toBe(1)
    expect(of('acme_orders', { source: 'sandbox' })).toBeGreaterThan(0)
    expect(of('acme_failed_validations', { source: 'sandbox' })).toBe(0)
    expect(of('alerts_undelivered')).toBe(0)
    expect(of('verdicts', { profile: 'any' })).toBe(1)
  })

  test('a renewal fails and a person binds a good certificate: all is well again', async () => {
    const { s } = await openDue()
    s.faults.add({ operations: ['httpreq.Present'], status: 500, times: 99 })
    expect(await s.run()).toMatchObject({ outcome: 'failed' })
    const look = async () => samplesOf(await s.rig.run({ action: 'status' }, { clock: s.clock }))
    const failed = await look()
    expect([failed('ok'), failed('failures')]).toEqual([0, 1])
    await s.bindOne(80)
    expect(await s.run()).toMatchObject({ outcome: 'idle', warnings: [{ code: 'adopted' }] })
    const mended = await look()
    expect([mended('ok'), mended('failures'), mended('last_success_age_seconds')]).toEqual([1, 0, 0])
  })

  test('what devices refuse, what ends, and what people know of', () => {
    const of = samplesOf(fleet(30))
    expect(of('verdicts', { target: 'plant-011', profile: 'meter-v1' })).toBe(0)
    expect(of('verdicts', { target: 'plant-011', profile: 'esp-idf' })).toBe(1)
    expect(of('root_ends_days', { target: 'plant-004' })).toBeCloseTo(60, 5)
    expect(of('alerts_open', { target: 'plant-002', event: 'failed', severity: 'warning' })).toBe(1)
    expect(of('alerts_open', { target: 'factory-1' })).toBeUndefined()
  })

  test('no run is written down: none is said', () => {
    expect(samplesOf({ ...fleet(1), lastRun: null })('last_run_timestamp_seconds')).toBeUndefined()
  })

  test('names that need escaping', () => {
    const odd = 'a"b\\c'
    expect(samplesOf(answer(result({ target: odd })))('ok', { target: odd })).toBe(1)
  })

  test('an outcome that somebody wrote into the state shows every character, and makes no sample', () => {
    const outcome = 'x"} 1\niotda_cert_ok{target="factory-1"} 1\u202e\u200b\r'
    const evil = result({ kept: kept({ lastResult: { at: '2026-06-15T12:00:00Z', outcome, error: null } }) })
    const text = prometheusText(answer(evil))
    expect(text.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u)
    expect(samplesOf(answer(evil))('ok')).toBe(1)
    expect(text).toContain('\\\\u202e\\\\u200b\\\\u000d')
  })

  test('the dashboard asks for nothing that is not there', async () => {
    const file = fileURLToPath(new URL('../../deploy/grafana.json', import.meta.url))
    const { panels, templating } = JSON.parse(await readFile(file, 'utf8'))
    const asked = [...panels, templating].flatMap(it =>
      [...JSON.stringify(it).matchAll(/iotda_(?:cert|devices)_\w+/g)].map(m => m[0]),
    )
    expect([...new Set(asked)].filter(name => !METRIC_NAMES.includes(name))).toEqual([])
    expect(METRIC_NAMES.filter(name => !asked.includes(name))).toEqual([])
    expect(panels.map((p: { id: number }) => p.id)).toEqual(panels.map((_: unknown, i: number) => i + 1))
  })
})
