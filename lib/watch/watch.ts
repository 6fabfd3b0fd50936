import { randomUUID } from 'node:crypto'
import { contextOf, driverSchemas, openClients, openState } from '../app/drivers.ts'
import { remoteOf } from '../app/remote.ts'
import type { Log } from '../base/log.ts'
import { inParallel } from '../base/parallel.ts'
import { abortAfter, type Clock, iso, systemClock } from '../base/time.ts'
import { functionSurroundings, type Runtime } from '../config/function.ts'
import { processSurroundings, type Surroundings } from '../config/load.ts'
import { loadWatch, type WatchedTarget, type WatchSettings } from '../config/watch.ts'
import type { DriverContext, Run } from '../contracts.ts'
import { createEndpoint } from '../iotda/endpoint.ts'
import { daysOf, type Found, judgeLook, judgeRotator, rotatorUnknown } from './judge.ts'
import { tellWatch } from './tell.ts'

/** What a door asks for. */
export interface WatchRequest {
  /** A file's path, or inline JSON; null: what IOTDA_CERT_WATCH says. */
  readonly config: string | null
  readonly deadline: number
  readonly log: Log
  readonly clock?: Clock
  readonly surroundings?: Surroundings
  readonly runtime?: Runtime
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
const TELL_MS = 15_000

/** The name under which the rotator itself is watched. */
const ROTATOR = 'rotator'

/**
 * Looks at every device port, and at the rotator's last run, and tells people what is wrong. Needs nothing of the
 * rotator: not its settings, its credentials, or its state. @throws RotationError when it is not told what to watch
 */
export async function watch(request: WatchRequest): Promise<WatchAnswer> {
  const { clock = systemClock, log } = request
  const startedAt = clock.now()
  const settings = await settingsOf(request, clock)
  const clients = openClients(settings.proxy)
  const { signal, clear } = abortAfter(Math.max(1, request.deadline - startedAt))
  const run: Run = { runId: randomUUID(), clock, log, deadline: request.deadline, signal }
  const context = contextOf(settings, clients, { clock, log })
  try {
    const looking = abortAfter(Math.max(1_000, request.deadline - startedAt - TELL_MS), signal)
    const [targets, rotator] = await Promise.all([
      inParallel(settings.targets, AT_ONCE, target => lookAt(target, { clock, signal: looking.signal })),
      lookAtRotator(settings, context, clock),
    ])
    looking.clear()
    const found = rotator ? [...targets, rotator] : targets
    const undelivered = await tellWatch({ settings, context, run, found })
    return {
      ...{ version: 1, runId: run.runId, ok: found.every(f => f.conditions.length === 0) },
      ...{ startedAt: iso(startedAt), finishedAt: iso(clock.now()) },
      results: found.map(resultOf),
      undelivered,
    }
  } finally {
    clear()
    await clients.close()
  }
}

const resultOf = ({ name, daysLeft, conditions }: Found): WatchedResult => ({
  target: name,
  ok: conditions.length === 0,
  daysLeft,
  problems: conditions.map(({ event, reason }) => ({ event: event ?? '', reason })),
})

function settingsOf({ config, surroundings, runtime }: WatchRequest, clock: Clock): Promise<WatchSettings> {
  const process = surroundings ?? processSurroundings()
  const around = runtime ? functionSurroundings(process, runtime) : process
  return loadWatch(config, driverSchemas, { remote: remoteOf(around, clock), ...around })
}

/** Never throws: what goes wrong is what is found. */
async function lookAt(target: WatchedTarget, run: Pick<Run, 'clock' | 'signal'>): Promise<Found> {
  const { name, host, port, addresses, sni, roots, profiles } = target
  const seen = await createEndpoint().lookClosely({ host, port, addresses }, sni, run.signal)
  const now = run.clock.now()
  const conditions = judgeLook({ sni, roots, profiles, seen, now })
  return { name, domain: sni, daysLeft: daysOf(seen, now), conditions }
}

async function lookAtRotator(
  { rotator }: WatchSettings,
  context: (name: string) => DriverContext,
  clock: Clock,
): Promise<Found | null> {
  if (rotator === null) return null
  const about = { name: ROTATOR, domain: null, daysLeft: null }
  try {
    const { records } = await openState({ store: rotator.store }, context)
    const { last } = await records.run().get()
    const condition = judgeRotator(last, rotator.silentAfterMs, clock.now())
    return { ...about, conditions: condition ? [condition] : [] }
  } catch (error) {
    return { ...about, conditions: [rotatorUnknown((error as Error).message)] }
  }
}
