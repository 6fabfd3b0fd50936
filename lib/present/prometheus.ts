import { DAY_MS } from '../base/time.ts'
import { visible } from '../base/visible.ts'
import type { Answer } from '../report/answer.ts'
import { healthOf, shareLeft } from '../report/health.ts'
import type { ReportedLife, TargetResult } from '../report/result.ts'

/** Metrics as Prometheus scrapes them, e.g. by the textfile collector. https://prometheus.io/docs/instrumenting/exposition_formats/ */

type Labels = Readonly<Record<string, string>>
type Samples = readonly (readonly [labels: Labels, value: number])[]
type Samplers = Readonly<
  Record<string, readonly [help: string, samples: (result: TargetResult, now: number) => Samples]>
>

/** Nothing where it is not known. */
const one = (value: number | null | undefined): Samples => (value == null ? [] : [[{}, value]])

const ofLives =
  (of: (life: ReportedLife, now: number) => number) =>
  ({ outlook }: TargetResult, now: number): Samples =>
    (['served', 'bound'] as const).flatMap(what => {
      const life = outlook[what]
      return life ? [[{ what }, of(life, now)] as const] : []
    })

const daysUntil = (instant: string, now: number): number => (Date.parse(instant) - now) / DAY_MS

/** One sample for each value of a label, of what has it. */
const grouped = <Item>(
  label: string,
  items: readonly Item[],
  by: (item: Item) => string,
  value: (group: readonly Item[]) => number,
): Samples =>
  [...new Set(items.map(by))].map(name => [{ [label]: name }, value(items.filter(it => by(it) === name))])

/** Of each target. */
const OF_TARGETS: Samplers = {
  days_left: [
    'Days until the certificate ends, of what is served and of what is bound.',
    ofLives(({ notAfter }, now) => daysUntil(notAfter, now)),
  ],
  life_left_ratio: [
    'Share of the lifetime that is left, from 1 to 0, of what is served and of what is bound.',
    ofLives(shareLeft),
  ],
  ok: [
    '1 unless the target is in a state that a person should look at.',
    (result, now) => one(isUnwell(result, now) ? 0 : 1),
  ],
  last_outcome: [
    'The outcome of the last run that said something new.',
    ({ kept }) => (kept?.lastResult ? [[{ outcome: kept.lastResult.outcome }, 1]] : []),
  ],
  last_success_age_seconds: [
    'How long ago all was well for the last time; 0 while it is.',
    (result, now) => one(successAgeS(result, now)),
  ],
  failures: ['Failures in a row.', ({ kept }) => one(kept?.failures)],
  held: ['1 while no unattended change happens.', ({ kept }) => one(kept && Number(kept.held !== null))],
  slots_used: [
    'Slots of the instance that hold a certificate, of 2.',
    ({ outlook }) => one(outlook.slotsUsed),
  ],
  step_duration_seconds: [
    'How long each step of the last rotation took.',
    ({ kept }) =>
      grouped(
        'step',
        kept?.lastSteps ?? [],
        it => it.step,
        all => all.reduce((sum, { durationMs }) => sum + durationMs, 0) / 1_000,
      ),
  ],
  rotations: [
    'Entries of the history by outcome, of the last 50.',
    ({ kept }) =>
      grouped(
        'outcome',
        kept?.history ?? [],
        it => it.outcome,
        all => all.length,
      ),
  ],
  acme_orders: [
    'Orders of the source that still count against its budget.',
    ({ kept }) => (kept?.orders ?? []).map(({ source, orders }) => [{ source }, orders]),
  ],
  acme_failed_validations: [
    'Failed validations of the source that still count against its budget.',
    ({ kept }) =>
      (kept?.orders ?? []).map(({ source, failedValidations }) => [{ source }, failedValidations]),
  ],
  verdicts: [
    'What each device profile makes of the chain: 1 accepts, 0 refuses; everywhere it is served.',
    ({ devices }) =>
      grouped(
        'profile',
        devices?.verdicts ?? [],
        it => it.profile ?? 'any',
        all => Number(all.every(({ ok }) => ok)),
      ),
  ],
  root_ends_days: [
    'Days until a root or an intermediate ends that devices trust by, the first to end, within 90 days.',
    ({ devices }, now) =>
      devices?.ends.length ? one(Math.min(...devices.ends.map(({ at }) => daysUntil(at, now)))) : [],
  ],
  iotda_devices_online: [
    'Devices online at the last count, where they are counted.',
    ({ kept }) => one(kept?.online?.counts.at(-1)?.count),
  ],
  iotda_devices_usual: [
    'Devices that are usually online at that hour; after a bind, of those that were there before.',
    ({ kept }) => one(kept?.online?.counts.at(-1)?.usual),
  ],
  alerts_open: [
    '1 while people know of a state that is not over, by what it is and how bad.',
    ({ kept }) =>
      kept?.trouble ? [[{ event: kept.trouble.event, severity: kept.trouble.severity }, 1]] : [],
  ],
  alerts_undelivered: ['Alerts that could not be delivered yet.', ({ kept }) => one(kept?.undelivered)],
}

/** Of the fleet as a whole: instants, in seconds since the epoch. */
const OF_ALL: Readonly<Record<string, readonly [help: string, at: (answer: Answer) => string | undefined]>> =
  {
    status_timestamp_seconds: [
      'When all of this was looked at, in seconds since the epoch.',
      ({ finishedAt }) => finishedAt,
    ],
    last_run_timestamp_seconds: [
      'When the last run for all targets ended that is written down, every three hours if all goes well.',
      ({ lastRun }) => lastRun?.at,
    ],
  }

const PREFIX = 'iotda_cert_'
/** What is about devices is not about certificates, and has its own name. */
const nameOf = (name: string): string => (name.startsWith('iotda_') ? name : PREFIX + name)

/** Names of all metrics. */
export const METRIC_NAMES = Object.keys({ ...OF_ALL, ...OF_TARGETS }).map(nameOf)

const isUnwell = (result: TargetResult, now: number): boolean => healthOf(result, now) === 'unwell'

function successAgeS(result: TargetResult, now: number): number | null {
  const { kept } = result
  if (!kept) return null
  if (!isUnwell(result, now)) return 0
  const good = kept.history.filter(h => h.outcome === 'rotated' || h.outcome === 'repaired')
  const last = Math.max(
    ...[...good.map(h => h.at), ...(kept.trouble ? [kept.trouble.since] : [])].map(Date.parse),
  )
  return Number.isFinite(last) ? (now - last) / 1_000 : null
}

const escaped = (text: string): string => visible(text).replaceAll('\\', '\\\\').replaceAll('"', '\\"')

const labelled = (labels: Labels): string =>
  Object.entries(labels)
    .map(([label, text]) => `${label}="${escaped(text)}"`)
    .join(',')

const familyText = (name: string, help: string, lines: readonly string[]): readonly string[] => [
  `# HELP ${nameOf(name)} ${help}`,
  `# TYPE ${nameOf(name)} gauge`,
  ...lines.map(line => nameOf(name) + line),
]

/** The whole text. Pure. */
export function prometheusText(answer: Answer): string {
  const now = Date.parse(answer.finishedAt)
  const ofAll = Object.entries(OF_ALL).flatMap(([name, [help, at]]) => {
    const instant = at(answer)
    return familyText(name, help, instant === undefined ? [] : [` ${Date.parse(instant) / 1_000}`])
  })
  const ofTargets = Object.entries(OF_TARGETS).flatMap(([name, [help, samples]]) => {
    const lines = answer.results.flatMap(result =>
      samples(result, now).map(
        ([labels, value]) => `{${labelled({ target: result.target, ...labels })}} ${value}`,
      ),
    )
    return familyText(name, help, lines)
  })
  return `${[...ofAll, ...ofTargets].join('\n')}\n`
}
