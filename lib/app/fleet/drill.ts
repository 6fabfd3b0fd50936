import { randomUUID } from 'node:crypto'
import type { Log } from '../../base/log.ts'
import { inParallel } from '../../base/parallel.ts'
import { MINUTE_MS, SECOND_MS, systemClock } from '../../base/time.ts'
import type { Settings } from '../../config/load.ts'
import type { Records } from '../../state/state.ts'
import { need } from '../drivers.ts'
import { inSession, type SettingsRequest, settingsOf } from '../session.ts'
import { type Bucket, NOTICE_MS, type RecallFacts, type RecallPlan, recallPlan } from './recall-paper.ts'

/** What `iotda-cert drill recall` asks for. */
export interface DrillRequest extends SettingsRequest {
  /** How long a run may take, and by when the last target should be safe. */
  readonly runMs: number
  readonly withinMs: number
  readonly deadline: number
  readonly log: Log
}

/** Version 1 of its answer; plain JSON. */
export interface DrillAnswer extends RecallPlan {
  readonly version: 1
  /** The last target is safe in time. */
  readonly ok: boolean
  readonly targets: number
  readonly certificates: number
  readonly withinMs: number
  readonly noticeMs: number
  readonly minAgeMs: number
  /** Settings that may hold a target back for longer. */
  readonly notes: readonly string[]
}

/** Where nothing was measured: an order of half a minute, and a bind that is proven. */
const ASSUMED_MS = MINUTE_MS
const READS_AT_ONCE = 16

/** Requests of one renewal with a new authorization (bench/round-trips.mjs), and of a DNS service for one value. */
const CA_REQUESTS = 8
const DNS_REQUESTS = 8

/** What CAs document of an account. https://letsencrypt.org/docs/rate-limits/ https://letsencrypt.org/docs/staging-environment/ */
const ORDERS: Readonly<Record<string, Pick<Bucket, 'burst' | 'everyMs'>>> = {
  'acme-v02.api.letsencrypt.org': { burst: 300, everyMs: 36 * SECOND_MS },
  'acme-staging-v02.api.letsencrypt.org': { burst: 1_500, everyMs: 7.2 * SECOND_MS },
}

/** What DNS services document; their drivers name the sources. */
const DNS: Readonly<Record<string, Pick<Bucket, 'burst' | 'everyMs'>>> = {
  route53: { burst: 5, everyMs: SECOND_MS / 5 },
  cloudflare: { burst: 60, everyMs: SECOND_MS / 4 },
  alidns: { burst: 60, everyMs: SECOND_MS / 60 },
  tencentcloud: { burst: 100, everyMs: SECOND_MS / 100 },
}

/** A rehearsal on paper: how long a recall of every certificate takes. Changes nothing. @throws RotationError */
export async function drill(request: DrillRequest): Promise<DrillAnswer> {
  const { log, deadline, withinMs, clock = systemClock } = request
  const settings = await settingsOf(request)
  return inSession(settings, { runId: randomUUID(), clock, log, deadline }, async session => {
    const { records } = await session.state(settings.store, settings)
    const facts = await factsOf(settings, records, request, clock.now())
    const plan = recallPlan(facts)
    return {
      version: 1,
      ok: plan.lastSafeAfterMs <= withinMs,
      targets: settings.targets.length,
      certificates: used(settings).length,
      withinMs,
      noticeMs: facts.noticeMs,
      minAgeMs: facts.minAgeMs,
      ...plan,
      notes: notesOf(settings),
    }
  })
}

/** Certificates that some target has. */
const used = ({ targets }: Settings): readonly string[] => [...new Set(targets.map(it => it.certificate))]

async function factsOf(
  settings: Settings,
  records: Records,
  { runMs }: DrillRequest,
  now: number,
): Promise<RecallFacts> {
  const { targets, concurrency, intervalMs, rings } = settings
  const measured = (
    await inParallel(targets, READS_AT_ONCE, async target => {
      const { rotations, lastSteps } = await records.history(target).get()
      if (rotations.at(-1)?.outcome !== 'rotated' || !lastSteps) return []
      return [lastSteps.reduce((sum, { durationMs }) => sum + durationMs, 0)]
    })
  ).flat()
  const waits = await inParallel(used(settings), READS_AT_ONCE, async name => {
    const { renewalInfo } = await records.certificate(name).get()
    return renewalInfo ? Math.max(0, renewalInfo.nextFetchAt - now) : NOTICE_MS
  })
  return {
    targets: targets.length,
    concurrency: Math.min(concurrency, targets.length),
    rotationMs: Math.max(SECOND_MS, medianOf(measured) ?? ASSUMED_MS),
    measuredOn: measured.length,
    runMs,
    intervalMs,
    noticeMs: Math.max(...waits),
    buckets: bucketsOf(settings),
    minAgeMs: Math.max(...targets.map(it => it.minAgeMs)),
    ringsMs: (rings ?? []).slice(0, -1).reduce((sum, { soakMs }) => sum + soakMs, 0),
  }
}

const medianOf = (all: readonly number[]): number | null =>
  all.toSorted((a, b) => a - b)[Math.floor(all.length / 2)] ?? null

function bucketsOf(settings: Settings): readonly Bucket[] {
  const { certificates, sources, solvers } = settings
  const bySource = new Map<string, number>()
  const bySolver = new Map<string, number>()
  for (const name of used(settings)) {
    const { sources: [source = ''] = [], names } = certificates[name] ?? { names: [] }
    const chosen = sources[source]
    if (chosen?.type !== 'acme') continue
    bySource.set(source, (bySource.get(source) ?? 0) + 1)
    const { solver } = chosen.settings as { readonly solver?: unknown }
    for (const one of typeof solver === 'string' ? [solver] : Object.values(Object(solver)))
      bySolver.set(String(one), (bySolver.get(String(one)) ?? 0) + names.length)
  }
  return [
    ...[...bySource].flatMap(([source, needed]) => {
      const { directory } = need(sources, source).settings as { readonly directory: string }
      const limit = ORDERS[new URL(directory).hostname]
      return [
        ...(limit ? [{ name: `orders at ${source}`, ...limit, needed }] : []),
        { name: `requests to ${source}`, burst: 10, everyMs: SECOND_MS / 20, needed: needed * CA_REQUESTS },
      ]
    }),
    ...[...bySolver].flatMap(([solver, needed]) => {
      const limit = DNS[solvers[solver]?.type ?? '']
      return limit ? [{ name: `requests to ${solver}`, ...limit, needed: needed * DNS_REQUESTS }] : []
    }),
  ]
}

function notesOf(settings: Settings): readonly string[] {
  const { targets, certificates, rings } = settings
  const without = used(settings).filter(name => certificates[name]?.ari === false)
  const windowed = targets.filter(it => it.bindWindow.length > 0)
  const foreign = used(settings).filter(name => {
    const [source = ''] = certificates[name]?.sources ?? []
    return settings.sources[source]?.type !== 'acme'
  })
  return [
    ...(without.length > 0
      ? [`${without.length} certificates have "ari": false: a recall is not heard of`]
      : []),
    ...(windowed.length > 0
      ? [`${windowed.length} targets bind only in their bindWindow, until the emergency`]
      : []),
    ...(foreign.length > 0
      ? [`${foreign.length} certificates come from a source that renews by itself`]
      : []),
    ...(rings ? ['rings wait only where the new certificates are of a kind that is new to devices'] : []),
  ]
}
