/** deploy/prometheus-alerts.yml, read by a YAML parser and by the grammar of PromQL that Prometheus itself uses. */
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { parser } from '@prometheus-io/lezer-promql'
import parsePrometheus from 'parse-prometheus-text-format'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { ERROR_CODES } from '../../lib/model/errors.ts'
import { EVENT_NAMES } from '../../lib/model/events.ts'
import { METRIC_NAMES, prometheusText } from '../../lib/present/prometheus.ts'
import { fleet } from '../present/fleet.ts'

const fileOf = (name: string): Promise<string> =>
  readFile(fileURLToPath(new URL(`../../deploy/${name}`, import.meta.url)), 'utf8')

/** https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/ */
interface AlertRule {
  readonly alert: string
  readonly expr: string
  readonly for?: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
}

interface Asked {
  readonly metrics: readonly string[]
  readonly labels: readonly string[]
  /** Where the grammar does not know what to make of it. */
  readonly errors: number
}

function read(expr: string): Asked {
  const found: Record<string, string[]> = {}
  let errors = 0
  parser.parse(expr).iterate({
    enter: ({ type, from, to }) => {
      if (type.isError) errors += 1
      found[type.name] = [...(found[type.name] ?? []), expr.slice(from, to)]
    },
  })
  return { metrics: found.Identifier ?? [], labels: found.LabelName ?? [], errors }
}

const { groups } = parse(await fileOf('prometheus-alerts.yml')) as {
  groups: readonly { name: string; rules: readonly AlertRule[] }[]
}
const rules = groups.flatMap(group => group.rules)

/** Thirty targets; of one the devices are counted. */
const [first, ...others] = fleet(30).results
const counts = [{ at: '2026-06-15T12:00:00Z', count: 190, usual: 200 }]
const counted = first?.kept ? [{ ...first, kept: { ...first.kept, online: { boundAt: null, counts } } }] : []

/** The names of the labels that samples of each metric have. */
const lastRun = { lastRun: { at: '2026-06-15T11:30:00Z', ok: true } }
const emitted = new Map(
  parsePrometheus(prometheusText({ ...fleet(30), results: [...counted, ...others], ...lastRun })).map(
    ({ name, metrics }) => [name, new Set(metrics.flatMap(({ labels }) => Object.keys(labels ?? {})))],
  ),
)

describe.each(rules.map(rule => [rule.alert, rule] as const))('%s', (_, rule) => {
  const { metrics, labels, errors } = read(rule.expr)

  test('is a rule as Prometheus takes it', () => {
    const known = ['alert', 'expr', 'for', 'keep_firing_for', 'labels', 'annotations']
    expect(Object.keys(rule).filter(key => !known.includes(key))).toEqual([])
    expect(rule.alert).toMatch(/^IotdaCert[A-Z]\w+$/)
    expect(rule.for ?? '0s').toMatch(/^(\d+(ms|[smhdwy]))+$/)
    expect(errors, rule.expr).toBe(0)
    expect(['warning', 'critical']).toContain(rule.labels.severity)
  })

  test('asks for what is there, by labels that it has', () => {
    expect(metrics.length).toBeGreaterThan(0)
    expect(metrics.filter(name => !emitted.has(name))).toEqual([])
    const has = (label: string): boolean => metrics.every(name => emitted.get(name)?.has(label))
    const said = [...JSON.stringify(rule.annotations).matchAll(/\$labels\.(\w+)/g)].map(m => m[1] ?? '')
    expect([...labels, ...said].filter(label => !has(label))).toEqual([])
  })

  test('says what, and where to read on', () => {
    const { summary = '', description = '', runbook = '' } = rule.annotations
    expect([summary.length > 10, description.length > 10]).toEqual([true, true])
    expect([...EVENT_NAMES, ...Object.keys(ERROR_CODES)].map(name => `RUNBOOK.md#${name}`)).toContain(runbook)
  })
})

test('names are unique, and a rotator that is silent is among them', () => {
  expect(new Set(rules.map(rule => rule.alert)).size).toBe(rules.length)
  expect(rules.map(rule => rule.alert)).toContain('IotdaCertRotatorSilent')
})

test('the grammar finds what is wrong', () => {
  expect(read('min by (target (iotda_cert_ok) <').errors).toBeGreaterThan(0)
  expect(read('min by (target) (iotda_cert_ok{what="x"}) < 1')).toMatchObject({
    metrics: ['iotda_cert_ok'],
    errors: 0,
    labels: ['target', 'what'],
  })
})

test('what the dashboard asks is PromQL, by labels that are there', async () => {
  const { panels } = JSON.parse(await fileOf('grafana.json')) as {
    panels: readonly { targets: readonly { expr: string; legendFormat: string }[] }[]
  }
  for (const { expr, legendFormat } of panels.flatMap(it => it.targets)) {
    const { metrics, labels, errors } = read(expr)
    expect([errors, metrics.filter(name => !METRIC_NAMES.includes(name))], expr).toEqual([0, []])
    const legend = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(m => m[1] ?? '')
    const missing = [...labels, ...legend].filter(it => !metrics.every(name => emitted.get(name)?.has(it)))
    expect(missing, expr).toEqual([])
  }
})
