import { randomUUID } from 'node:crypto'
import type { Stray } from '../alerts/conditions.ts'
import { createHeartbeat } from '../alerts/heartbeat.ts'
import { noteQuietRun, openNotifiers } from '../alerts/telling.ts'
import type { Log } from '../base/log.ts'
import { inParallel } from '../base/parallel.ts'
import { RotationError } from '../base/rotation-error.ts'
import { abortAfter, type Clock, iso, systemClock } from '../base/time.ts'
import { quoted } from '../base/visible.ts'
import { functionSurroundings, type Runtime } from '../config/function.ts'
import {
  type Alerting,
  loadSettings,
  processSurroundings,
  type Settings,
  type Surroundings,
} from '../config/load.ts'
import type { Run } from '../contracts.ts'
import { OUTCOMES, type RunEvent, type StepName, type StepRecord, type Warning } from '../model/outcomes.ts'
import type { Target } from '../model/target.ts'
import { isOk, type TargetResult } from '../report/result.ts'
import type { LastRun } from '../report/status.ts'
import { rotate } from '../rotation/rotate.ts'
import type { World } from '../rotation/world.ts'
import type { Records } from '../state/state.ts'
import { asDelivered } from './at-most-once.ts'
import { contextOf, driverSchemas, openClients, openState } from './drivers.ts'
import type { PortRequest } from './probe-port.ts'
import type { Seen } from './publish-page.ts'
import { remoteOf } from './remote.ts'
import type { RolloverAnswer, RolloverRequest } from './rollover.ts'
import { byUrgency } from './urgency.ts'
import type { Warm } from './warm-cache.ts'
import { worlds } from './worlds.ts'

export { keepWarm } from './warm-cache.ts'

/** What a door asks for. */
export interface Request {
  /** A settings file's path, or inline JSON; null: what IOTDA_CERT_CONFIG says. */
  readonly config: string | null
  readonly event: RunEvent
  readonly trigger: 'schedule' | 'manual'
  /** The answer must be there by then (milliseconds since the epoch). */
  readonly deadline: number
  readonly log: Log
  readonly progress?: (target: string, step: StepName, ended: StepRecord | null) => void
  readonly signal?: AbortSignal
  readonly clock?: Clock
  readonly surroundings?: Surroundings
  /** Inside a function: what its runtime tells besides the environment. */
  readonly runtime?: Runtime
  /** What the process keeps from one event to the next. */
  readonly warm?: Warm
  /** Names this event where the platform may deliver it more than once. */
  readonly deliveryId?: string
}

/** Version 1 of the answer; plain JSON. */
export interface Answer {
  readonly version: 1
  readonly runId: string
  readonly trigger: string
  readonly ok: boolean
  readonly startedAt: string
  readonly finishedAt: string
  readonly results: readonly TargetResult[]
  /** Of the run as a whole; absent: none. */
  readonly warnings?: readonly Warning[]
  /** Of `rotate`: what people were told, and when all targets were well for the last time (before that: the first run; null: not known). */
  readonly told?: { readonly sent: number; readonly undelivered: number; readonly okAt: string | null }
  /** Of `status`: the last run for all targets that is written down, which is every few hours; null: none. */
  readonly lastRun?: LastRun | null
}

const TARGETS_AT_ONCE = 4
/** What is kept for finishing: the answer must be out before the platform ends the process. */
const FINISH_MS = 2_000
/** What is kept for telling people, at most. */
const TELL_MS = 10_000

/**
 * Runs one event over its targets: settings, then drivers, then rotation, then the answer.
 * @throws RotationError `settings-invalid` or `usage` before anything is touched
 */
export async function run(request: Request): Promise<Answer> {
  const clock = request.clock ?? systemClock
  const runId = randomUUID()
  let alerting: Alerting | null = null
  let app: App | null = null
  try {
    const settings = await settingsOf(request, clock, left => {
      alerting = left
    })
    const targets = chosenTargets(settings, request.event)
    alerting = settings
    app = await build(settings, request, clock, runId)
    return await perform(app, targets, request, clock)
  } catch (thrown) {
    if (alerting && isTold(request))
      await (await import('./outage.ts')).tellOutage({ ...request, alerting, clock, runId }, thrown)
    throw thrown
  } finally {
    await app?.close()
  }
}

/** What a person asks for on a terminal is answered there. */
const isTold = ({ event }: Request): boolean => event.action === 'rotate'

async function perform(
  app: App,
  targets: readonly Target[],
  request: Request,
  clock: Clock,
): Promise<Answer> {
  const startedAt = clock.now()
  // The order counts where not all can start at once.
  const ordered = targets.length > TARGETS_AT_ONCE ? await byUrgency(targets, app.records) : targets
  const { event, warnings } = await asDelivered(request, app.records, startedAt)
  const results = await inParallel(ordered, TARGETS_AT_ONCE, async target => {
    const result = await app.perform(target, event)
    return { ...result, warnings: [...result.warnings, ...warnings] }
  })
  const answer: Answer = {
    ...{ version: 1, runId: app.runId, trigger: request.trigger, ok: results.every(isOk) },
    startedAt: iso(startedAt),
    finishedAt: iso(clock.now()),
    results,
  }
  return { ...answer, ...(await app.end(targets, answer)) }
}

/** Probes any device port; the settings are read only if a profile is none of the presets. */
export async function probePort(
  request: PortRequest & Pick<Request, 'config' | 'surroundings'>,
): Promise<Answer> {
  const { probe } = await import('./probe-port.ts')
  return probe(request, () => settingsOf(request, request.clock ?? systemClock))
}

/** Gives the account of a source another key. */
export async function rollover(
  request: RolloverRequest & Pick<Request, 'config' | 'surroundings' | 'clock'>,
): Promise<RolloverAnswer> {
  const clock = request.clock ?? systemClock
  const settings = await settingsOf(request, clock)
  return (await import('./rollover.ts')).rollover(request, settings, clock)
}

type Asked = Pick<Request, 'config' | 'surroundings' | 'runtime' | 'warm'>

function settingsOf(
  { config, surroundings, runtime, warm }: Asked,
  clock: Clock,
  salvaged?: (alerting: Alerting) => void,
): Promise<Settings> {
  const process = surroundings ?? processSurroundings()
  const around = runtime ? functionSurroundings(process, runtime) : process
  const load = (from: Surroundings): Promise<Settings> =>
    loadSettings(config, driverSchemas, { remote: remoteOf(from, clock), ...from }, salvaged)
  return warm ? warm.settings(config, around, load, clock) : load(around)
}

/** Reads the settings before the first event, so that it need not. @throws RotationError */
export async function warmUp(request: Asked & { readonly clock?: Clock }): Promise<void> {
  await settingsOf(request, request.clock ?? systemClock)
}

/** Whether the door should throw, so that the platform counts an error. */
export const failed = (answer: Answer): boolean => answer.results.some(r => OUTCOMES[r.outcome].throws)

// --- building ----------------------------------------------------------------------------------------------

interface App {
  readonly runId: string
  readonly records: Records
  perform(target: Target, event: RunEvent): Promise<TargetResult>
  /** Tells people what is to be told, and publishes what is to be published. Never throws. */
  end(targets: readonly Target[], answer: Answer): Promise<Pick<Answer, 'warnings' | 'told' | 'lastRun'>>
  close(): Promise<void>
}

async function build(settings: Settings, request: Request, clock: Clock, runId: string): Promise<App> {
  const clients = request.warm?.clients(clock, settings.proxy) ?? openClients(settings.proxy)
  const { log } = request
  const isWhole = request.event.targets === null && isTold(request)
  const isPublished = isWhole && settings.isPublished
  const tellsPeople = isTold(request) && (settings.notifiers.length > 0 || settings.heartbeat !== null)
  const leftMs = request.deadline - clock.now()
  const deadline = request.deadline - (tellsPeople || isPublished ? Math.min(TELL_MS, leftMs / 10) : 0)
  // The last resort: whatever still hangs at the deadline is let go of, so that the answer gets out.
  const { signal, clear } = abortAfter(Math.max(1, deadline - clock.now()), request.signal)
  const current: Run = { runId, clock, log, deadline: deadline - FINISH_MS, signal }
  const context = contextOf(settings, clients, { clock, log })
  const { store, records } = await openState(settings, context)
  const telling = isTold(request) ? { openNotifiers, noteQuietRun } : null
  const notifiers = telling ? await telling.openNotifiers(settings, context) : []
  // What is told at the end depends on it: read beside everything else, it costs no round trip of its own.
  if (telling)
    void records
      .run()
      .get()
      .catch(() => {})
  const beat = createHeartbeat({
    alerting: isWhole ? settings : NO_HEARTBEAT,
    http: clients.http,
    runId,
    log,
  })
  beat.start()
  const worldOf = await worlds(settings, request.progress ?? (() => {}), {
    current,
    clients,
    context,
    store,
    records,
    isPublished,
    changesSomething: !['plan', 'status', 'probe'].includes(request.event.action),
  })
  const seen: Seen[] = []
  const strays: Stray[] = []
  return {
    runId,
    records,
    perform: async (target, event) => {
      const world = worldOf(target, event)
      const result = await byAction(world)
      if (notifiers.length > 0) {
        const stray = await (await import('../alerts/conditions.ts')).noteAlerts(world, result, notifiers)
        if (stray) strays.push(stray)
      }
      if (!isPublished) return result
      seen.push({ world, result })
      const { seen: _, devices: _d, ...answered } = result
      return answered
    },
    end: async (targets, { ok, results, finishedAt }) => {
      const { signal: end, clear: over } = abortAfter(Math.max(1, request.deadline - clock.now()))
      const run: Run = { ...current, deadline: request.deadline - FINISH_MS, signal: end }
      const people = { run, records, notifiers, intervalMs: settings.intervalMs }
      const news = { targets, results, strays, ok, isWhole }
      const quiet = await telling?.noteQuietRun(people, news)
      const told = quiet === null ? await (await import('../alerts/tell.ts')).tellEnd(people, news) : quiet
      await beat.end(ok, results.map(r => `${r.target}: ${r.outcome}, ${r.decision.detail}`).join('\n'))
      const unpublished = isPublished
        ? await (await import('./publish-page.ts')).publishPage({ runId, finishedAt, seen, store, run })
        : null
      over()
      return {
        ...(unpublished ? { warnings: [unpublished] } : {}),
        ...(request.event.action === 'status'
          ? await (await import('../report/status.ts')).lastRunIn(records)
          : {}),
        ...(told ? { told: { ...told, okAt: told.okAt === null ? null : iso(told.okAt) } } : {}),
      }
    },
    close: async () => {
      clear()
      await clients.close()
    },
  }
}

const NO_HEARTBEAT = { heartbeat: null }

async function byAction(world: World): Promise<TargetResult> {
  const { action } = world.event
  if (action === 'status') return (await import('../report/status.ts')).withKept(world, await rotate(world))
  if (action === 'rotate' || action === 'plan') {
    const result = await rotate(world)
    const hasAsked = result.steps.some(({ step }) => step === 'obtain')
    return hasAsked ? (await import('../report/status.ts')).withOrders(world, result) : result
  }
  if (action === 'revoke') return (await import('../rotation/actions/revoke.ts')).revoke(world)
  if (action === 'probe') return (await import('../rotation/actions/probe.ts')).probe(world)
  return (await import('../rotation/actions/manual.ts'))[action](world)
}

// --- order of work -----------------------------------------------------------------------------------------

function chosenTargets(settings: Settings, { targets }: RunEvent): readonly Target[] {
  if (targets === null) return settings.targets
  return targets.map(name => {
    const target = settings.targets.find(t => t.name === name)
    if (target) return target
    throw new RotationError('usage', `there is no target ${quoted(name)}`, {
      retry: 'never',
      hint: `Targets in the settings: ${settings.targets.map(t => t.name).join(', ')}.`,
    })
  })
}
