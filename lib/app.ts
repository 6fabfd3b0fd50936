import { randomUUID } from 'node:crypto'
import type { GenericSchema } from 'valibot'
import { RotationError } from './base/errors.ts'
import { createHttp, type Http } from './base/http.ts'
import type { Log } from './base/log.ts'
import { createTurns, inParallel } from './base/parallel.ts'
import { abortAfter, type Clock, iso, systemClock } from './base/time.ts'
import { loadSettings, processSurroundings, type Settings, type Surroundings } from './config/load.ts'
import type {
  CertificateSource,
  DnsSolver,
  Driver,
  DriverContext,
  Notifier,
  Run,
  SourceContext,
  StateStore,
} from './contracts.ts'
import { createHuaweiClient } from './huawei/client.ts'
import { createIotdaClient } from './iotda/client.ts'
import { createEndpoint } from './iotda/endpoint.ts'
import { OUTCOMES, type RunEvent, type StepName, type StepRecord, type Target } from './model.ts'
import { notifiers } from './notifiers/index.ts'
import { readRemote } from './remote.ts'
import { alert } from './rotation/alert.ts'
import { openRecords, type Records, specHashOf } from './rotation/record.ts'
import { isOk, type TargetResult } from './rotation/report.ts'
import { rotate } from './rotation/rotate.ts'
import type { World } from './rotation/world.ts'
import { solverName, solvers } from './solvers/index.ts'
import { sources } from './sources/index.ts'
import { stores } from './stores/index.ts'

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
  const settings = await loadSettings(request.config, driverSchemas, {
    remote: question => readRemote(question, clock),
    ...(request.surroundings ?? processSurroundings()),
  })
  const targets = chosenTargets(settings, request.event)
  const app = await build(settings, request, clock)
  try {
    const results = await inParallel(await byUrgency(targets, app.records), TARGETS_AT_ONCE, target =>
      app.perform(target),
    )
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

/** Whether the door should throw, so that the platform counts an error. */
export const failed = (answer: Answer): boolean => answer.results.some(r => OUTCOMES[r.outcome].throws)

// --- building ----------------------------------------------------------------------------------------------

interface App {
  readonly runId: string
  readonly records: Records
  perform(target: Target): Promise<TargetResult>
  close(): Promise<void>
}

async function build(settings: Settings, request: Request, clock: Clock): Promise<App> {
  const runId = randomUUID()
  const clients = new Map<string, Http>()
  const http = (caCertificates: string | null): Http => {
    const key = caCertificates ?? ''
    const client = clients.get(key) ?? createHttp({ caCertificates })
    clients.set(key, client)
    return client
  }
  // The last resort: whatever still hangs at the deadline is let go of, so that the answer gets out.
  const { signal, clear } = abortAfter(Math.max(1, request.deadline - clock.now()), request.signal)
  const current: Run = { runId, clock, log: request.log, deadline: request.deadline - FINISH_MS, signal }
  const context = (name: string): DriverContext => ({
    name,
    http,
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
  const worldOf = (target: Target): World => {
    const spec = need(settings.certificates, target.certificate)
    return {
      target,
      spec,
      specHash: specHashOf(spec),
      event: request.event,
      run: current,
      intervalMs: settings.intervalMs,
      iotda: createIotdaClient(huaweiClient(settings, target, http, clock)),
      endpoint: createEndpoint(),
      source: need(certificateSources, spec.source),
      store,
      records,
      sharing: settings.targets.filter(t => t.certificate === target.certificate),
      inTurn,
      progress: request.progress ?? (() => {}),
    }
  }
  return {
    runId,
    records,
    perform: async target => {
      const world = worldOf(target)
      const result = await byAction(world)
      await alert(world, result, alerts)
      return result
    },
    close: async () => {
      clear()
      await Promise.allSettled([...clients.values()].map(client => client.close()))
    },
  }
}

async function byAction(world: World): Promise<TargetResult> {
  const { action } = world.event
  if (action === 'rotate' || action === 'plan' || action === 'status') return rotate(world)
  return (await import('./rotation/manual.ts'))[action](world)
}

type Registry = Readonly<Record<string, () => Promise<{ readonly default: unknown }>>>

async function make<Made, Context>(
  registry: Registry,
  chosen: { type: string; settings: unknown },
  context: Context,
): Promise<Made> {
  const driver = (await need(registry, chosen.type)()).default as Driver<GenericSchema, Context, Made>
  return driver.create(chosen.settings, context)
}

const registries = { source: sources, solver: solvers, store: stores, notifier: notifiers } as const

const driverSchemas = {
  schema: async (kind: keyof typeof registries, type: string): Promise<GenericSchema | null> => {
    const registry: Registry = registries[kind]
    if (!Object.hasOwn(registry, type)) return null
    return ((await need(registry, type)()).default as Driver<GenericSchema, never, unknown>).settings
  },
  known: (kind: keyof typeof registries) => Object.keys(registries[kind]),
}

async function buildSolvers(
  settings: Settings,
  context: (name: string) => DriverContext,
): Promise<SourceContext['solver']> {
  const entries = Object.entries(settings.solvers).map(
    async ([name, chosen]) =>
      [name, await make<DnsSolver, DriverContext>(solvers, chosen, context(name))] as const,
  )
  const built = Object.fromEntries(await Promise.all(entries))
  return (reference, domain) => need(built, solverName(reference, domain))
}

async function buildSources(
  settings: Settings,
  records: Records,
  context: (name: string) => DriverContext,
  solver: SourceContext['solver'],
): Promise<Record<string, CertificateSource>> {
  const entries = Object.entries(settings.sources).map(async ([name, chosen]) => {
    const own: SourceContext = { ...context(name), memory: records.source(name), solver }
    return [name, await make<CertificateSource, SourceContext>(sources, chosen, own)] as const
  })
  return Object.fromEntries(await Promise.all(entries))
}

function huaweiClient(settings: Settings, target: Target, http: (ca: string | null) => Http, clock: Clock) {
  const { credentials, caCertificates } = need(settings.access, target.name)
  const { endpoint, region, signing, projectId, instanceId } = target.instance
  const keys = () => keysFrom(settings)(credentials)
  return createHuaweiClient({
    http: http(caCertificates),
    clock,
    keys,
    endpoint,
    region,
    signing,
    projectId,
    instanceId,
    driver: 'iotda',
  })
}

const keysFrom =
  (settings: Settings): DriverContext['huaweiKeys'] =>
  async name => {
    if (Object.hasOwn(settings.credentials, name)) return need(settings.credentials, name)
    throw new RotationError('settings-invalid', `there is no "${name}" in credentials`, {
      retry: 'never',
      hint: `Add it, or name one of: ${Object.keys(settings.credentials).join(', ')}.`,
    })
  }

const sealKeyOf = (settings: Settings, store: StateStore) => async () => {
  const key = settings.store.sealKey ?? (await store.ownSealKey())
  if (key) return key
  throw new RotationError('settings-invalid', `the ${settings.store.type} store needs store.sealKey`, {
    retry: 'never',
    hint: 'Set it to a reference to 32 random bytes in base64 (openssl rand -base64 32).',
  })
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

/** Most urgent first, where not all can start at once: by the end of the certificate obtained last. */
async function byUrgency(targets: readonly Target[], records: Records): Promise<readonly Target[]> {
  if (targets.length <= TARGETS_AT_ONCE) return targets
  // One that cannot be read is its own target's failure, in its own turn.
  const ends = await Promise.all(
    targets.map(({ certificate }) =>
      records
        .certificate(certificate)
        .get()
        .then(
          ({ current }) => current?.notAfter ?? 0,
          () => 0,
        ),
    ),
  )
  const endOf = new Map(targets.map((target, i) => [target, ends[i] ?? 0]))
  return targets.toSorted((a, b) => (endOf.get(a) ?? 0) - (endOf.get(b) ?? 0))
}

function need<T>(from: Readonly<Record<string, T>>, name: string): T {
  const value = from[name]
  if (value === undefined) throw new RotationError('internal', `"${name}" is not there`)
  return value
}
