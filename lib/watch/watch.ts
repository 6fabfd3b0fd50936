import type { Condition } from '../alerts/decide.ts'
import { inParallel } from '../base/parallel.ts'
import { abortAfter, iso } from '../base/time.ts'
import type { WatchedTarget } from '../config/watch.ts'
import type { DriverContext, Run } from '../contracts.ts'
import { createEndpoint, type Handshake } from '../iotda/endpoint.ts'
import { type Asking, lookUpRevocation } from '../revocation/look-up.ts'
import { alertWatch, type WatchAlerting } from './alert.ts'
import {
  daysLeftOf,
  type Found,
  portConditions,
  type Rotator,
  revokedCondition,
  rotatorConditions,
} from './conditions.ts'

/** What the watchdog looks at, and who is told. */
export interface Watching extends WatchAlerting {
  readonly targets: readonly WatchedTarget[]
  /** Null: it is not watched. */
  readonly rotator: Rotator | null
  /** For revocation lists. */
  readonly http: DriverContext['http']
}

/** One target as the watchdog found it. */
export interface WatchedResult {
  readonly target: string
  readonly ok: boolean
  readonly daysLeft: number | null
  readonly problems: readonly { readonly event: string; readonly reason: string }[]
}

/** Version 1 of the watchdog's answer; plain JSON. */
export interface WatchAnswer {
  readonly version: 1
  readonly runId: string
  readonly ok: boolean
  readonly startedAt: string
  readonly finishedAt: string
  readonly results: readonly WatchedResult[]
  /** Alerts that could not be delivered. */
  readonly undelivered: number
}

const AT_ONCE = 8
/** What is kept for telling people. */
const ALERT_MS = 15_000

/** The name under which the rotator itself is watched. */
const ROTATOR = 'rotator'

/**
 * Looks at every device port, and at the rotator's last run, and tells people what is wrong. Needs nothing of the
 * rotator: not its settings, its credentials, or its state.
 */
export async function watch(watching: Watching): Promise<WatchAnswer> {
  const { targets, rotator, run } = watching
  const { runId, clock, deadline } = run
  const startedAt = clock.now()
  const looking = abortAfter(Math.max(1_000, deadline - startedAt - ALERT_MS), run.signal)
  const found = await Promise.all([
    inParallel(targets, AT_ONCE, target => lookAt(target, { clock, signal: looking.signal }, watching.http)),
    rotator ? lookAtRotator({ ...rotator, record: watching.record }, run) : [],
  ])
  looking.clear()
  const all = found.flat()
  const undelivered = await alertWatch(watching, all)
  return {
    version: 1,
    runId,
    ok: all.every(({ conditions }) => conditions.length === 0),
    startedAt: iso(startedAt),
    finishedAt: iso(clock.now()),
    results: all.map(resultOf),
    undelivered,
  }
}

const resultOf = ({ name, daysLeft, conditions }: Found): WatchedResult => ({
  target: name,
  ok: conditions.length === 0,
  daysLeft,
  problems: conditions.map(({ event, reason }) => ({ event: event ?? '', reason })),
})

/** Never throws: what goes wrong is what is found. */
async function lookAt(
  target: WatchedTarget,
  run: Pick<Run, 'clock' | 'signal'>,
  http: DriverContext['http'],
): Promise<Found> {
  const { name, host, port, addresses, sni, roots, profiles } = target
  const seen = await createEndpoint().lookClosely({ host, port, addresses }, sni, run.signal)
  const now = run.clock.now()
  const revoked = await revokedIn(target, seen, { run, http })
  const conditions = [...portConditions({ sni, roots, profiles, seen, now }), ...revoked]
  return { name, domain: sni, daysLeft: daysLeftOf(seen, now), conditions }
}

/** What the revocation lists that the served chains name say of them. Never throws. */
async function revokedIn(
  { roots, profiles }: WatchedTarget,
  seen: readonly Handshake[],
  asking: Pick<Asking, 'run' | 'http'>,
): Promise<readonly Condition[]> {
  const held = [roots, ...profiles.map(it => it.trustedRoots)].filter(pem => pem !== null)
  const trustedRoots = held.length === 0 ? null : held.join('\n')
  const chains = new Set(seen.flatMap(({ chainPem }) => chainPem ?? []))
  const found = await Promise.all([...chains].map(pem => lookUpRevocation(pem, { ...asking, trustedRoots })))
  return revokedCondition(found.flatMap(({ revoked }) => revoked))
}

async function lookAtRotator(rotator: Rotator, { clock }: Run): Promise<readonly Found[]> {
  const conditions = await rotatorConditions(rotator, clock)
  return [{ name: ROTATOR, domain: null, daysLeft: null, conditions }]
}
