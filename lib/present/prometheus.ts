import type { Answer } from '../report/answer.ts'
import { healthOf, shareLeft } from '../report/health.ts'
import type { TargetResult } from '../report/result.ts'

/** Metrics as Prometheus scrapes them, e.g. by the textfile collector. https://prometheus.io/docs/instrumenting/exposition_formats/ */

type Labels = Readonly<Record<string, string>>
type Sample = readonly [labels: Labels, value: number | null]

interface Metric {
  readonly name: string
  readonly help: string
  readonly samples: (result: TargetResult, now: number) => readonly Sample[]
}

const DAY_MS = 86_400_000

const METRICS: readonly Metric[] = [
  {
    name: 'days_left',
    help: 'Days until the certificate ends, of what is served and of what is bound.',
    samples: ({ outlook }, now) =>
      (['served', 'bound'] as const).map(what => {
        const life = outlook[what]
        return [{ what }, life && (Date.parse(life.notAfter) - now) / DAY_MS]
      }),
  },
  {
    name: 'life_left_ratio',
    help: 'Share of the lifetime that is left, from 1 to 0, of what is served and of what is bound.',
    samples: ({ outlook }, now) =>
      (['served', 'bound'] as const).map(what => {
        const life = outlook[what]
        return [{ what }, life && shareLeft(life, now)]
      }),
  },
  {
    name: 'ok',
    help: '1 unless the target is in a state that a person should look at.',
    samples: (result, now) => [[{}, isUnwell(result, now) ? 0 : 1]],
  },
  {
    name: 'last_outcome',
    help: 'The outcome of the last run that said something new.',
    samples: ({ kept }) => (kept?.lastResult ? [[{ outcome: kept.lastResult.outcome }, 1]] : []),
  },
  {
    name: 'last_success_age_seconds',
    help: 'How long ago all was well for the last time; 0 while it is.',
    samples: (result, now) => {
      const ageMs = successAgeMs(result, now)
      return [[{}, ageMs === null ? null : ageMs / 1_000]]
    },
  },
  {
    name: 'failures',
    help: 'Failures in a row.',
    samples: ({ kept }) => [[{}, kept?.failures ?? null]],
  },
  {
    name: 'held',
    help: '1 while no unattended change happens.',
    samples: ({ kept }) => [[{}, kept ? Number(kept.held !== null) : null]],
  },
  {
    name: 'slots_used',
    help: 'Slots of the instance that hold a certificate, of 2.',
    samples: ({ outlook }) => [[{}, outlook.slotsUsed]],
  },
  {
    name: 'step_duration_seconds',
    help: 'How long each step of the last rotation took.',
    samples: ({ kept }) =>
      [...new Set(kept?.lastSteps.map(s => s.step))].map(step => [
        { step },
        (kept?.lastSteps.filter(s => s.step === step).reduce((sum, s) => sum + s.durationMs, 0) ?? 0) / 1_000,
      ]),
  },
  {
    name: 'rotations',
    help: 'Entries of the history by outcome, of the last 50.',
    samples: ({ kept }) => {
      const outcomes = kept?.history.map(h => h.outcome) ?? []
      return [...new Set(outcomes)].map(outcome => [{ outcome }, outcomes.filter(o => o === outcome).length])
    },
  },
  {
    name: 'acme_orders',
    help: 'Orders of the source that still count against its budget.',
    samples: ({ kept }) => kept?.orders.map(({ source, orders }) => [{ source }, orders] as const) ?? [],
  },
  {
    name: 'acme_failed_validations',
    help: 'Failed validations of the source that still count against its budget.',
    samples: ({ kept }) =>
      kept?.orders.map(({ source, failedValidations }) => [{ source }, failedValidations] as const) ?? [],
  },
  {
    name: 'verdicts',
    help: 'What each device profile makes of the chain: 1 accepts, 0 refuses; everywhere it is served.',
    samples: ({ devices }) => {
      const verdicts = devices?.verdicts ?? []
      return [...new Set(verdicts.map(v => v.profile))].map(profile => [
        { profile: profile ?? 'any' },
        verdicts.every(v => v.profile !== profile || v.ok) ? 1 : 0,
      ])
    },
  },
  {
    name: 'root_ends_days',
    help: 'Days until a root or an intermediate ends that devices trust by, the first to end, within 90 days.',
    samples: ({ devices }, now) => {
      const ends = (devices?.ends ?? []).map(({ at }) => (Date.parse(at) - now) / DAY_MS)
      return ends.length > 0 ? [[{}, Math.min(...ends)]] : []
    },
  },
  {
    name: 'alerts_open',
    help: '1 while people know of a state that is not over, by what it is and how bad.',
    samples: ({ kept }) =>
      kept?.trouble ? [[{ event: kept.trouble.event, severity: kept.trouble.severity }, 1]] : [],
  },
  {
    name: 'alerts_undelivered',
    help: 'Alerts that could not be delivered yet.',
    samples: ({ kept }) => [[{}, kept?.undelivered ?? null]],
  },
]

/** Of the fleet as a whole. */
const OVERALL: readonly (Pick<Metric, 'name' | 'help'> & {
  readonly value: (answer: Answer) => string | null
})[] = [
  {
    name: 'status_timestamp_seconds',
    help: 'When all of this was looked at, in seconds since the epoch.',
    value: ({ finishedAt }) => finishedAt,
  },
  {
    name: 'last_run_timestamp_seconds',
    help: 'When the last run for all targets ended that is written down, every three hours if all goes well.',
    value: ({ lastRun }) => lastRun?.at ?? null,
  },
]

/** Names of all metrics. */
export const METRIC_NAMES = [...OVERALL, ...METRICS].map(({ name }) => `iotda_cert_${name}`)

const isUnwell = (result: TargetResult, now: number): boolean => healthOf(result, now) === 'unwell'

function successAgeMs(result: TargetResult, now: number): number | null {
  const { kept } = result
  if (!kept) return null
  if (!isUnwell(result, now)) return 0
  const good = kept.history
    .filter(h => h.outcome === 'rotated' || h.outcome === 'repaired')
    .map(h => Date.parse(h.at))
  const since = kept.trouble ? [Date.parse(kept.trouble.since)] : []
  const last = Math.max(...good, ...since)
  return Number.isFinite(last) ? now - last : null
}

const escaped = (text: string): string =>
  text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')

const familyText = (name: string, help: string, lines: readonly string[]): string =>
  [`# HELP ${name} ${help}`, `# TYPE ${name} gauge`, ...lines].join('\n')

const sampleText = (name: string, labels: Labels, value: number): string =>
  `${name}{${Object.entries(labels)
    .map(([label, text]) => `${label}="${escaped(text)}"`)
    .join(',')}} ${value}`

/** The whole text. Pure. */
export function prometheusText(answer: Answer): string {
  const now = Date.parse(answer.finishedAt)
  const families = METRICS.map(({ name, help, samples }) => {
    const full = `iotda_cert_${name}`
    const lines = answer.results.flatMap(result =>
      samples(result, now).flatMap(([labels, value]) =>
        value === null ? [] : [sampleText(full, { target: result.target, ...labels }, value)],
      ),
    )
    return familyText(full, help, lines)
  })
  const overall = OVERALL.map(({ name, help, value }) => {
    const at = value(answer)
    return familyText(
      `iotda_cert_${name}`,
      help,
      at === null ? [] : [`iotda_cert_${name} ${Date.parse(at) / 1_000}`],
    )
  })
  return `${[...overall, ...families].join('\n')}\n`
}
