import { randomUUID } from 'node:crypto'
import type { PortRequest } from './any-port.ts'
import { RotationError } from './base/errors.ts'
import type { Log } from './base/log.ts'
import { createTurns, inParallel } from './base/parallel.ts'
import { abortAfter, type Clock, iso, systemClock } from './base/time.ts'
import { functionSurroundings, type Runtime } from './config/function.ts'
import { loadSettings, processSurroundings, type Settings, type Surroundings } from './config/load.ts'
import type { DriverContext, Notifier, Run, StateStore } from './contracts.ts'
import { asDelivered } from './deliveries.ts'
import { createIotdaClient } from './iotda/client.ts'
import { createEndpoint } from './iotda/endpoint.ts'
import { OUTCOMES, type RunEvent, type StepName, type StepRecord, type Target } from './model.ts'
import { notifiers } from './notifiers/index.ts'
import {
  buildSolvers,
  buildSources,
  driverSchemas,
  huaweiClient,
  keysFrom,
  make,
  need,
  openClients,
  sealKeyOf,
} from './parts.ts'
import { readRemote } from './remote.ts'
import { alert } from './rotation/alert.ts'
import { openRecords, type Records, specHashOf } from './rotation/record.ts'
import { isOk, type TargetResult } from './rotation/report.ts'
import { rotate } from './rotation/rotate.ts'
import { byUrgency } from './rotation/urgency.ts'
import type { World } from './rotation/world.ts'
import { stores } from './stores/index.ts'
import type { Warm } from './warm.ts'

export { keepWarm } from './warm.ts'

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
}

const TARGETS_AT_ONCE = 4
/** What is kept for finishing: the answer must be out before the platform ends the process. */
const FINISH_MS = 2_000

/**
 * Runs one event over its targets: settings, then drivers, then rotation, then the answer.
 * @throws RotationError `settings-invalid` or `usage` before anything is touched
 */
export async function run(request: Request): Promise<Answer> {
  const clock = request.clock ?? systemClock
  const startedAt = clock.now()
  const settings = await settingsOf(request, clock)
  const targets = chosenTargets(settings, request.event)
  const app = await build(settings, request, clock)
  try {
    // The order counts where not all can start at once.
    const ordered = targets.length > TARGETS_AT_ONCE ? await byUrgency(targets, app.records) : targets
    const { event, warnings } = await asDelivered(request, app.records, startedAt)
    const results = await inParallel(ordered, TARGETS_AT_ONCE, async target => {
      const result = await app.perform(target, event)
      return { ...result, warnings: [...result.warnings, ...warnings] }
    })
    const ok = results.every(isOk)
    const { runId } = app
    return {
      version: 1,
      runId,
      trigger: request.trigger,
      ok,
      startedAt: iso(startedAt),
      finishedAt: iso(clock.now()),
      results,
    }
  } finally {
    await app.close()
  }
}

/** Probes any device port; the settings are read only if a profile is none of the presets. */
export async function probePort(
  request: PortRequest & Pick<Request, 'config' | 'surroundings'>,
): Promise<Answer> {
  const { probe } = await import('./any-port.ts')
  return probe(request, () => settingsOf(request, request.clock ?? systemClock))
}

type Asked = Pick<Request, 'config' | 'surroundings' | 'runtime' | 'warm'>

function settingsOf({ config, surroundings, runtime, warm }: Asked, clock: Clock): Promise<Settings> {
  const process = surroundings ?? processSurroundings()
  const around = runtime ? functionSurroundings(process, runtime) : process
  const load = (from: Surroundings): Promise<Settings> =>
    loadSettings(config, driverSchemas, { remote: question => readRemote(question, clock), ...from })
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
  close(): Promise<void>
}

async function build(settings: Settings, request: Request, clock: Clock): Promise<App> {
  const runId = randomUUID()
  const clients = request.warm?.clients(clock) ?? openClients()
  // The last resort: whatever still hangs at the deadline is let go of, so that the answer gets out.
  const { signal, clear } = abortAfter(Math.max(1, request.deadline - clock.now()), request.signal)
  const current: Run = { runId, clock, log: request.log, deadline: request.deadline - FINISH_MS, signal }
  const context = (name: string): DriverContext => ({
    name,
    http: clients.http,
    clock,
    log: request.log,
    huaweiKeys: keysFrom(settings),
  })
  const store = await make<StateStore, DriverContext>(stores, settings.store, context('store'))
  const records = openRecords(store, sealKeyOf(settings, store), settings.store.sealKeyPrevious)
  const solver = await buildSolvers(settings, context)
  const certificateSources = await buildSources(settings, records, context, solver)
  const alerts = await Promise.all(
    settings.notifiers.map((chosen, i) =>
      make<Notifier, DriverContext>(notifiers, chosen, context(`notifiers[${i}]`)),
    ),
  )
  const inTurn = createTurns()
  const worldOf = (target: Target, event: RunEvent): World => {
    const spec = need(settings.certificates, target.certificate)
    return {
      target,
      spec,
      specHash: specHashOf(spec),
      event,
      run: current,
      intervalMs: settings.intervalMs,
      iotda: createIotdaClient(huaweiClient(settings, target, clients.http, clock)),
      endpoint: createEndpoint(),
      sources: certificateSources,
      store,
      records,
      sharing: settings.targets.filter(t => t.certificate === target.certificate),
      inTurn,
      canaryOf: need(settings.access, target.name).canaryOf,
      progress: request.progress ?? (() => {}),
    }
  }
  return {
    runId,
    records,
    perform: async (target, event) => {
      const world = worldOf(target, event)
      const result = await byAction(world)
      await alert(world, result, alerts)
      return result
    },
    close: async () => {
      clear()
      await clients.close()
    },
  }
}

async function byAction(world: World): Promise<TargetResult> {
  const { action } = world.event
  if (action === 'rotate' || action === 'plan' || action === 'status') return rotate(world)
  if (action === 'probe') return (await import('./rotation/probe.ts')).probe(world)
  return (await import('./rotation/manual.ts'))[action](world)
}

// --- order of work -----------------------------------------------------------------------------------------

function chosenTargets(settings: Settings, { targets }: RunEvent): readonly Target[] {
  if (targets === null) return settings.targets
  return targets.map(name => {
    const target = settings.targets.find(t => t.name === name)
    if (target) return target
    throw new RotationError('usage', `there is no target "${name}"`, {
      retry: 'never',
      hint: `Targets in the settings: ${settings.targets.map(t => t.name).join(', ')}.`,
    })
  })
}
