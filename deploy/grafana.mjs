// Writes deploy/grafana.json, a dashboard over what `iotda-cert status --prometheus` says.
import { writeFile } from 'node:fs/promises'

// biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of the dashboard.
const datasource = { type: 'prometheus', uid: '${datasource}' }
let id = 0
const panel = (title, type, gridPos, targets, more = {}) => ({
  id: ++id,
  title,
  type,
  datasource,
  gridPos,
  targets: targets.map(([expr, legendFormat], i) => ({
    refId: String.fromCharCode(65 + i),
    datasource,
    expr,
    legendFormat,
    ...(type === 'table' ? { format: 'table', instant: true } : {}),
  })),
  fieldConfig: { defaults: { ...more.defaults }, overrides: [] },
  options: { ...more.options },
})
const days = {
  defaults: {
    unit: 'd',
    decimals: 0,
    thresholds: {
      mode: 'absolute',
      steps: [
        { color: 'red', value: null },
        { color: 'orange', value: 7 },
        { color: 'yellow', value: 14 },
        { color: 'green', value: 30 },
      ],
    },
    color: { mode: 'thresholds' },
  },
}
const at = (x, y, w, h) => ({ x, y, w, h })

const dashboard = {
  title: 'iotda-cert',
  uid: 'iotda-cert',
  tags: ['iotda', 'tls'],
  schemaVersion: 39,
  version: 1,
  editable: true,
  refresh: '5m',
  time: { from: 'now-90d', to: 'now' },
  templating: {
    list: [
      { name: 'datasource', label: 'Data source', type: 'datasource', query: 'prometheus' },
      {
        name: 'target',
        label: 'Target',
        type: 'query',
        datasource,
        query: 'label_values(iotda_cert_ok, target)',
        multi: true,
        includeAll: true,
        refresh: 2,
      },
    ],
  },
  panels: [
    panel('Targets to look at', 'stat', at(0, 0, 4, 4), [['count(iotda_cert_ok == 0) or vector(0)', '']]),
    panel(
      'Fewest days left, served',
      'stat',
      at(4, 0, 4, 4),
      [['min(iotda_cert_days_left{what="served"})', '']],
      days,
    ),
    panel('Held', 'stat', at(8, 0, 4, 4), [['sum(iotda_cert_held)', '']]),
    panel('Undelivered alerts', 'stat', at(12, 0, 4, 4), [['sum(iotda_cert_alerts_undelivered)', '']]),
    panel(
      'Longest without success',
      'stat',
      at(16, 0, 4, 4),
      [['max(iotda_cert_last_success_age_seconds)', '']],
      {
        defaults: { unit: 's' },
      },
    ),
    panel(
      'Since the last run; since this was looked at',
      'stat',
      at(20, 0, 4, 4),
      [
        ['time() - iotda_cert_last_run_timestamp_seconds', 'run'],
        ['time() - iotda_cert_status_timestamp_seconds', 'look'],
      ],
      { defaults: { unit: 's' } },
    ),
    panel(
      'Days left, served',
      'bargauge',
      at(0, 4, 12, 10),
      [['sort(iotda_cert_days_left{what="served",target=~"$target"})', '{{target}}']],
      { ...days, options: { orientation: 'horizontal' } },
    ),
    panel('Days left, bound and served', 'timeseries', at(12, 4, 12, 10), [
      ['iotda_cert_days_left{target=~"$target"}', '{{target}} {{what}}'],
    ]),
    panel('Failures in a row', 'timeseries', at(0, 14, 8, 8), [
      ['iotda_cert_failures{target=~"$target"}', '{{target}}'],
    ]),
    panel('Outcomes in the history', 'timeseries', at(8, 14, 8, 8), [
      ['sum by (outcome) (iotda_cert_rotations{target=~"$target"})', '{{outcome}}'],
    ]),
    panel('ACME orders and failed validations', 'timeseries', at(16, 14, 8, 8), [
      ['max by (source) (iotda_cert_acme_orders)', 'orders, {{source}}'],
      ['max by (source) (iotda_cert_acme_failed_validations)', 'failed, {{source}}'],
    ]),
    panel('Steps of the last rotation', 'bargauge', at(0, 22, 12, 8), [
      ['avg by (step) (iotda_cert_step_duration_seconds{target=~"$target"})', '{{step}}'],
    ]),
    panel('Slots used', 'timeseries', at(12, 22, 6, 8), [
      ['iotda_cert_slots_used{target=~"$target"}', '{{target}}'],
    ]),
    panel('Last outcome', 'table', at(18, 22, 6, 8), [['iotda_cert_last_outcome{target=~"$target"}', '']]),
    panel('Device profiles that refuse', 'table', at(0, 30, 8, 8), [
      ['iotda_cert_verdicts{target=~"$target"} == 0', ''],
    ]),
    panel(
      'Roots that end',
      'bargauge',
      at(8, 30, 8, 8),
      [['sort(iotda_cert_root_ends_days{target=~"$target"})', '{{target}}']],
      { ...days, options: { orientation: 'horizontal' } },
    ),
    panel(
      'Share of the lifetime left, served',
      'timeseries',
      at(0, 38, 24, 8),
      [['iotda_cert_life_left_ratio{what="served",target=~"$target"}', '{{target}}']],
      { defaults: { unit: 'percentunit', min: 0, max: 1 } },
    ),
    panel('What people know of', 'table', at(16, 30, 8, 8), [
      ['iotda_cert_alerts_open{target=~"$target"}', ''],
    ]),
    panel('Devices online', 'timeseries', at(0, 46, 24, 8), [
      ['iotda_devices_online{target=~"$target"}', '{{target}}'],
      ['iotda_devices_usual{target=~"$target"}', '{{target}}, usual'],
    ]),
  ],
}

await writeFile(new URL('grafana.json', import.meta.url), `${JSON.stringify(dashboard, null, 2)}\n`)
