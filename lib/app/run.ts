import { randomUUID } from 'node:crypto'
import { alertFailure, alertRun, noteTarget, type RunAlerting } from '../alerts/alert-run.ts'
import { createHeartbeat, type Heartbeat } from '../alerts/heartbeat.ts'
import type { Log } from '../base/log.ts'
import { createPaces } from '../base/pace.ts'
import { createTurns, inParallel } from '../base/parallel.ts'
import { asRotationError, RotationError } from '../base/rotation-error.ts'
import { abortAfter, iso, MINUTE_MS, SECOND_MS, systemClock } from '../base/time.ts'
import { quoted } from '../base/visible.ts'
import type { Alerting, Settings } from '../config/load.ts'
import type { Run } from '../contracts.ts'
import { createIotdaClient } from '../iotda/client.ts'
import { createEndpoint } from '../iotda/endpoint.ts'
import {
  type Action,
  OUTCOMES,
  type RunEvent,
  type StepName,
  type StepRecord,
  type Warning,
} from '../model/outcomes.ts'
import type { Target } from '../model/target.ts'
import type { Answer } from '../report/answer.ts'
import { allOk } from '../report/health.ts'
import type { TargetResult } from '../report/result.ts'
import { lastRunIn, withKept, withOrders } from '../report/status.ts'
import type { RotationSetup } from '../rotation/context.ts'
import { rotate } from '../rotation/rotate.ts'
import { type Records, specHashOf } from '../state/state.ts'
import { asDelivered } from './at-most-once.ts'
import { huaweiClient, need, type State } from './drivers.ts'
import { createCount } from './fleet/count.ts'
import type { Postponed } from './fleet/hand-on.ts'
import type { Seen } from './publish-page.ts'
import { FINISH_MS, inSession, type Session, type SettingsRequest, settingsOf } from './session.ts'

export { keepWarm } from './warm-cache.ts'

/** What a door asks for. */
export interface Request extends SettingsRequest {
  readonly event: RunEvent
  readonly trigger: 'schedule' | 'queue' | 'manual'
  /** The answer must be there by then (milliseconds since the epoch). */
  readonly deadline: number
  readonly log: Log
  readonly progress?: (target: string, step: StepName, ended: StepRecord | null) => void
  readonly signal?: AbortSignal
  /** Names this event where the platform may deliver it more than once. */
  readonly deliveryId?: string
  /** What is sent to the queue of `schedule.fanOut` comes back to this door: a scheduled run may hand targets on. */
  readonly takesMessages?: boolean
  /** Told of each target that the answer only counts. */
  readonly counted?: (result: TargetResult, run: Pick<Run, 'runId' | 'clock'>) => void
  /** Told of the settings that are the door's own business. */
  readonly configured?: (settings: Pick<Settings, 'metrics' | 'pageLanguage'>) => void
}

/** SearchDevices takes one call a second of an account. */
const COUNTS = { perSecond: 1 }
/** What is kept for telling people, at most. */
const TELL_MS = 10 * SECOND_MS
/** What a run that failed before its targets has for telling people, at most. */
const TELL_FAILURE_MS = MINUTE_MS / 2

/** What is loaded when there is something to tell, to publish, or to do by hand. */
const publishing = () => import('./publish-page.ts')
const byHand = () => import('./by-hand.ts')
const handing = () => import('./fleet/hand-on.ts')
const sharding = () => import('./fleet/shards.ts')

/** One event, with what it is done with. */
interface Work {
  readonly request: Request
  readonly settings: Settings
  readonly targets: readonly Target[]
  readonly session: Session
}

/**
 * Runs one event over its targets: settings, then drivers, then rotation, then the answer.
 * @throws RotationError `settings-invalid` or `usage` before anything is touched
 */
export async function run(request: Request): Promise<Answer> {
  const { event, log, clock = systemClock, deadline, signal } = request
  const runId = randomUUID()
  let alerting: Alerting | null = null
  try {
    const settings = await settingsOf(request, left => {
      alerting = left
    })
    request.configured?.(settings)
    const targets = chosenTargets(settings, event)
    alerting = settings
    const reservedMs =
      tellsPeople(request, settings) || isPublished(request, settings)
        ? Math.min(TELL_MS, (deadline - clock.now()) / 10)
        : 0
    const clients = request.warm?.clients(clock, settings.proxy)
    return await inSession(
      settings,
      {
        runId,
        clock,
        log,
        deadline: deadline - reservedMs,
        ...(signal ? { signal } : {}),
        ...(clients ? { clients } : {}),
      },
      async session => {
        const work = { request, settings, targets, session }
        return settings.shards.count === 1 ? perform(work) : (await sharding()).inParts(work, perform)
      },
    )
  } catch (thrown) {
    if (alerting && tells(request)) await tellFailure(request, alerting, runId, thrown)
    throw thrown
  }
}

/** What a person asks for on a terminal is answered there. */
const isTold = ({ event }: Request): boolean => event.action === 'rotate'

/** Of a target that was handed on only that is written down: the next scheduled run tells of all of them together. */
const tells = (request: Request): boolean => isTold(request) && request.trigger !== 'queue'

const isWhole = (request: Request): boolean => request.event.targets === null && isTold(request)

const isPublished = (request: Request, settings: Settings): boolean =>
  isWhole(request) && settings.isPublished

const tellsPeople = (request: Request, { notifiers, heartbeat }: Alerting): boolean =>
  tells(request) && (notifiers.length > 0 || heartbeat !== null)

/** Of a run that did not get as far as its targets: with whatever of the settings can be used. Never throws. */
async function tellFailure(
  { log, deadline, clock = systemClock }: Request,
  alerting: Alerting,
  runId: string,
  thrown: unknown,
): Promise<void> {
  const { notifiers, store, intervalMs, heartbeat } = alerting
  if (notifiers.length === 0 && heartbeat === null) return
  const until = Math.min(deadline, clock.now() + TELL_FAILURE_MS)
  await inSession(alerting, { runId, clock, log, deadline: until, finishMs: 0 }, async session => {
    const named = await session.notifiers(notifiers)
    const records =
      store &&
      (await session.state(store, null).then(
        state => state.records,
        () => null,
      ))
    await alertFailure({ run: session.run, records, notifiers: named, intervalMs }, thrown)
    await createHeartbeat(heartbeat, { ...session.run, http: session.http }).end(false, String(thrown))
  }).catch(error =>
    log.warn({ runId, error: asRotationError(error).message }, 'that the run failed was not told'),
  )
}

async function perform(work: Work): Promise<Answer> {
  const { request, settings, targets, session } = work
  const { run, http } = session
  const state = await session.state(settings.store, settings)
  const { records } = state
  const notifiers = isTold(request) ? await session.notifiers(settings.notifiers) : []
  // What is told at the end depends on it: read beside everything else, it costs no round trip of its own.
  if (isTold(request))
    void records
      .run()
      .get()
      .catch(() => {})
  const beat = createHeartbeat(isWhole(request) ? settings.heartbeat : null, { ...run, http })
  beat.start()
  const setupOf = await setups(work, state)
  const startedAt = run.clock.now()
  // The order counts where not all can start at once.
  const ordered = targets.length > settings.concurrency ? await byUrgency(targets, records) : targets
  const { event, warnings } = await asDelivered(request, records, startedAt)
  const seen = new Map<string, Seen>()
  const telling = new Map<Target, TargetResult>()
  const attend = async (
    target: Target,
    postpone: RotationSetup['postpone'] = null,
  ): Promise<TargetResult> => {
    const setup = { ...setupOf(target, event), postpone }
    const result = await byAction(setup)
    const alerting = { run, records, notifiers, intervalMs: settings.intervalMs }
    const hasToTell = await noteTarget(alerting, target, result)
    const said = { ...result, warnings: [...result.warnings, ...warnings] }
    if (hasToTell) telling.set(target, said)
    if (!isPublished(request, settings)) return said
    seen.set(target.name, { setup, result })
    const { seen: _, devices: _d, ...answered } = said
    return answered
  }
  const { results, counted } = await attendAll(work, ordered, attend)
  const finishedAt = run.clock.now()
  const answer: Answer = {
    version: 1,
    runId: run.runId,
    trigger: request.trigger,
    ok: allOk(results, finishedAt),
    startedAt: iso(startedAt),
    finishedAt: iso(finishedAt),
    results,
    ...(counted ? { counted } : {}),
  }
  return {
    ...answer,
    ...(await finish(work, answer, { state, notifiers, beat, telling, seen: [...seen.values()] })),
  }
}

/** Looks after all targets. Where it may, a scheduled run leaves what is due to runs of its own. */
async function attendAll(
  { request, settings, session }: Work,
  targets: readonly Target[],
  attend: (target: Target, postpone: RotationSetup['postpone']) => Promise<TargetResult>,
): Promise<{ readonly results: readonly TargetResult[]; readonly counted: Answer['counted'] | null }> {
  const { fanOut, concurrency } = settings
  const { run } = session
  const count = createCount(isTold(request) ? targets.length : 0)
  const postponed: Postponed[] = []
  const mayHandOn = request.takesMessages === true && request.trigger === 'schedule' && isWhole(request)
  const postpone = fanOut && mayHandOn ? (due: Postponed) => void postponed.push(due) : null
  const all = await inParallel(targets, concurrency, async target => {
    const result = await attend(target, postpone)
    if (!count.takes(result, run.clock.now())) return [result]
    request.counted?.(result, run)
    return []
  })
  const results = all.flat()
  const counted = count.counted()
  if (!fanOut || postponed.length === 0) return { results, counted }
  const { handOn } = await handing()
  const here = (target: Target) => attend(target, null)
  return {
    results: await handOn({ fanOut, session, concurrency, results, postponed, attend: here }),
    counted,
  }
}

/** What a run was done with, and what it saw. */
interface Done {
  readonly state: State
  readonly notifiers: RunAlerting['notifiers']
  readonly beat: Heartbeat
  readonly seen: readonly Seen[]
  /** What people may have to be told of, as each ended. */
  readonly telling: ReadonlyMap<Target, TargetResult>
}

/** Tells people what is to be told, and publishes what is to be published. Never throws. */
async function finish(
  { request, settings, targets, session }: Work,
  { ok, results, counted, runId, finishedAt }: Answer,
  { state: { store, records }, notifiers, beat, seen, telling }: Done,
): Promise<Pick<Answer, 'warnings' | 'told' | 'lastRun'>> {
  const { clock } = session.run
  const { signal, clear } = abortAfter(Math.max(1, request.deadline - clock.now()))
  const run: Run = { ...session.run, deadline: request.deadline - FINISH_MS, signal }
  try {
    const alerting = { run, records, notifiers, intervalMs: settings.intervalMs }
    const named = new Map(results.map(result => [result.target, result]))
    const ends = targets.flatMap(target => {
      const result = named.get(target.name) ?? telling.get(target)
      return result ? [{ target, result }] : []
    })
    const ended = { targets, ends, ok, isWhole: isWhole(request) }
    const told = tells(request) ? await alertRun(alerting, ended) : null
    const lines = results.map(r => `${r.target}: ${r.outcome}, ${r.decision.detail}`)
    await beat.end(ok, [...lines, ...(counted ? [`${counted.idle} are idle`] : [])].join('\n'))
    const warning = isPublished(request, settings)
      ? await (await publishing()).publishPage({
          runId,
          finishedAt,
          seen,
          store,
          run,
          language: settings.pageLanguage,
        })
      : null
    const lastRun = request.event.action === 'status' ? await lastRunIn(records) : {}
    const warnings = [...(warning ? [warning] : []), ...(await vouchedFor(request, records))]
    return {
      ...(warnings.length > 0 ? { warnings } : {}),
      ...lastRun,
      ...(told ? { told: { ...told, okAt: told.okAt === null ? null : iso(told.okAt) } } : {}),
    }
  } catch (error) {
    // Whatever it was, the answer is what was asked for.
    run.log.warn({ error: asRotationError(error).message }, 'the run could not be finished as it should')
    return {}
  } finally {
    clear()
  }
}

/** Gives what carries no MAC, or one of the seal key before, its own; says what was taken over from version 0.1.0. */
async function vouchedFor({ event, log }: Request, records: Records): Promise<readonly Warning[]> {
  if (CHANGES_NOTHING.includes(event.action)) return []
  await records.renew().catch(error => {
    log.warn({ error: asRotationError(error).message }, 'the documents of the state were not all given a MAC')
  })
  const count = records.takenOver()
  if (count === 0) return []
  const message = `${count} documents of the state, which carried no MAC, were taken over from version 0.1.0; this must be said once only`
  log.warn({}, message)
  return [{ code: 'state-taken-over', message }]
}

/** What an event that asks of the rings needs, which is no run. */
export const ringsByEvent = () => import('./rollout/by-event.ts')

/** Reads the settings before the first event, so that it need not. @throws RotationError */
export async function warmUp(request: SettingsRequest): Promise<void> {
  await settingsOf(request)
}

/** Whether the door should throw, so that the platform counts an error. */
export const failed = (answer: Answer): boolean => answer.results.some(r => OUTCOMES[r.outcome].throws)

// --- targets -----------------------------------------------------------------------------------------------

/** Otherwise a source keeps nothing of what it learns. */
const CHANGES_NOTHING: readonly Action[] = ['plan', 'status', 'probe']

/** Everything that the rotation of a target may touch. */
async function setups(
  { request, settings, session }: Work,
  { store, records }: State,
): Promise<(target: Target, event: RunEvent) => Omit<RotationSetup, 'postpone'>> {
  const { run, http } = session
  const onlyRead: Records['source'] = name => ({ ...records.source(name), update: async () => {} })
  const memory = CHANGES_NOTHING.includes(request.event.action) ? onlyRead : records.source
  const { sources } = await session.issuing(settings, memory)
  const inTurn = createTurns()
  const countPaceOf = createPaces(COUNTS, run.clock)
  return (target, event) => {
    const spec = need(settings.certificates, target.certificate)
    return {
      target,
      spec,
      specHash: specHashOf(spec),
      event,
      run,
      intervalMs: settings.intervalMs,
      iotda: createIotdaClient(huaweiClient(settings, target, http, run.clock)),
      endpoint: createEndpoint(),
      http,
      sources,
      store,
      records,
      countPace: countPaceOf(need(settings.access, target.name).credentials),
      rings: settings.rings,
      sharing: settings.targets.filter(t => t.certificate === target.certificate),
      inTurn,
      canaryOf: need(settings.access, target.name).canaryOf,
      isPublished: isPublished(request, settings),
      progress: request.progress ?? (() => {}),
    }
  }
}

async function byAction(setup: RotationSetup): Promise<TargetResult> {
  const { action } = setup.event
  if (action !== 'rotate' && action !== 'plan') return (await byHand()).perform(setup, action)
  const result = await rotate(setup)
  if (action === 'plan') return withKept(setup, result)
  const hasAsked = result.steps.some(({ step }) => step === 'obtain')
  return hasAsked ? withOrders(setup, result) : result
}

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

/** Documents read at once. */
const AT_ONCE = 32

/** By what it served last, or else the certificate obtained last. */
async function endsAt(target: Target, records: Records): Promise<number> {
  const { life } = await records.target(target).get()
  return life?.notAfter ?? (await records.certificate(target.certificate).get()).current?.notAfter ?? 0
}

/** Most urgent first. */
async function byUrgency(targets: readonly Target[], records: Records): Promise<readonly Target[]> {
  // One that cannot be read is its own target's failure, in its own turn.
  const ends = await inParallel(targets, AT_ONCE, target => endsAt(target, records).catch(() => 0))
  const endOf = new Map(targets.map((target, i) => [target, ends[i]]))
  return targets.toSorted((a, b) => (endOf.get(a) ?? 0) - (endOf.get(b) ?? 0))
}
