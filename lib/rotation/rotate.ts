import { asRotationError, RotationError } from '../base/rotation-error.ts'
import type { Outcome, StepName } from '../model/outcomes.ts'
import { report, type TargetResult } from '../report/result.ts'
import { takeLease } from '../state/lease.ts'
import { instanceKey } from '../state/state.ts'
import { decide } from './decide/decide.ts'
import { recallOf } from './decide/renewal-window.ts'
import { planned, requireConfiguration, warnOfTime } from './decide/requirements.ts'
import { describe, startJob, timed } from './job.ts'
import { lookAhead } from './observe/ahead.ts'
import { inspect } from './observe/inspect.ts'
import { noteInventory } from './observe/source-inventory.ts'
import { squareUp } from './observe/square-up.ts'
import { afterFailure, afterRun, outcomeOf } from './outcome.ts'
import { sweep } from './steps/leftovers.ts'
import { type Job, type Plan, type Step, type World, warn } from './world.ts'

const ATTEMPTS = 3

/** The recipe: what is done for each plan, in order. */
const RECIPES: Readonly<Record<Plan, readonly StepName[]>> = {
  none: [],
  deploy: ['obtain', 'preflight', 'free', 'add', 'bind', 'verify', 'roll-back', 'record'],
  verify: ['verify', 'roll-back', 'record'],
  'roll-back': ['roll-back', 'record'],
  repair: ['bind', 'verify'],
}

/** The steps of a plan; their code is loaded only when something is due. */
async function stepsOf(plan: Plan): Promise<readonly (readonly [StepName, Step])[]> {
  if (plan === 'none') return []
  const { add, bind, free, rebind } = await import('./steps/deploy.ts')
  const { rollBack, verify, verifyRepair } = await import('./steps/verify.ts')
  const { record } = await import('./steps/record.ts')
  const obtaining = plan === 'deploy' ? await loadObtaining() : {}
  const repairing = plan === 'repair' ? { bind: rebind, verify: verifyRepair } : {}
  const steps: Partial<Record<StepName, Step>> = {
    ...{ free, add, bind, verify, 'roll-back': rollBack, record },
    ...obtaining,
    ...repairing,
  }
  return RECIPES[plan].flatMap(name => {
    const step = steps[name]
    return step ? [[name, step] as const] : []
  })
}

async function loadObtaining(): Promise<Partial<Record<StepName, Step>>> {
  const [{ obtain }, { preflight }] = await Promise.all([
    import('./steps/obtain.ts'),
    import('./steps/preflight.ts'),
  ])
  return { obtain, preflight }
}

/** Rotates one target: looks, decides, and repairs the difference. Never throws; the result says everything. */
export async function rotate(world: World): Promise<TargetResult> {
  const job = startJob(world)
  const { event, run } = world
  if (event.force) run.log.warn({ target: world.target.name, askedBy: event.askedBy ?? null }, 'forced')
  try {
    await lookAndDecide(world, job)
    noteInventory(world, job)
    if (!job.verdict.due) return await finish(world, job, idleOutcome(job))
    if (world.event.action !== 'rotate') return await finish(world, job, await planned(world, job))
    job.lease = await takeLease(world.store, instanceKey(world.target), world.run)
    return await finish(world, job, await performUnderLease(world, job))
  } catch (thrown) {
    return await fail(world, job, thrown)
  } finally {
    await job.lease?.release()
  }
}

/** Under the lease everything is looked at again; and once more whenever somebody else changed the binding. */
async function performUnderLease(world: World, job: Job): Promise<Outcome> {
  for (let attempt = 1; ; attempt += 1) {
    await lookAndDecide(world, job)
    if (!job.verdict.due) return idleOutcome(job)
    warnOfTime(world, job)
    try {
      return await perform(world, job)
    } catch (thrown) {
      if (!(thrown instanceof RotationError) || thrown.code !== 'changed' || attempt === ATTEMPTS)
        throw thrown
      world.run.log.info({ target: world.target.name }, thrown.message)
    }
  }
}

/** Runs the steps of the plan until one suspends; one that throws ends the run. */
export async function perform(
  world: World,
  job: Job,
  steps?: readonly (readonly [StepName, Step])[],
): Promise<Outcome> {
  const { plan } = job.verdict
  let outcome: Outcome = plan === 'repair' ? 'repaired' : 'rotated'
  for (const [name, step] of steps ?? (await stepsOf(plan))) {
    const result = await timed(world, job, name, () => step(world, job))
    if (result.status === 'suspended') {
      job.verdict = { ...job.verdict, nextCheckAt: result.until }
      return 'suspended'
    }
    outcome = result.outcome ?? outcome
    if (stopsAfter(world) === name) return await stopHere(world, job, name)
  }
  return outcome
}

/** Whoever stops after verify wants its verdict carried out, too. */
const stopsAfter = ({ event }: World): StepName | null => (event.until === 'verify' ? 'record' : event.until)

/** Inspect, square the diary with it, decide. Writes nothing but what was adopted or first seen. */
export async function lookAndDecide(world: World, job: Job): Promise<void> {
  const { run, spec, specHash, event, intervalMs } = world
  if (run.clock.now() >= run.deadline) throw outOfTime()
  await timed(world, job, 'inspect', async () => {
    job.inspection = await inspect(world, served => {
      job.inspection = { ...job.inspection, served }
    })
    return { status: 'done', detail: describe(job), call: 'ShowServerCertificate' }
  })
  await timed(world, job, 'decide', async () => {
    const document = await squareUp(world, job)
    const facts = {
      now: run.clock.now(),
      intervalMs,
      spec,
      specHash,
      event,
      inspection: job.inspection,
      document,
    }
    job.verdict = decide(facts)
    const recall = recallOf(job.inspection, facts)
    if (recall) warn(job, 'recalled', recall.message)
    requireConfiguration(world, job)
    return {
      status: 'done',
      detail: `${job.verdict.due ? 'due' : 'idle'} (${job.verdict.reason}): ${job.verdict.detail}`,
    }
  })
}

/** `until`: a person paces the run; nothing more happens until a person says so. */
async function stopHere({ run, specHash }: World, job: Job, name: StepName): Promise<Outcome> {
  const why = `stopped after ${name}, as asked`
  await job.targetDocument.update(d => ({ ...d, held: { since: run.clock.now(), why, specHash } }))
  warn(job, 'held', `${why}; run \`iotda-cert resume\` to go on`)
  return 'suspended'
}

/** The emergency leaves `held` once a day: a day is used up by an attempt that ended, not by one that waits. */
async function noteEmergency({ run, event }: World, job: Job, outcome: Outcome): Promise<void> {
  if (!job.verdict.emergency || event.action !== 'rotate' || ['suspended', 'busy'].includes(outcome)) return
  await job.targetDocument.update(d => (d.held ? { ...d, emergencyAt: run.clock.now() } : d))
}

const idleOutcome = (job: Job): Outcome =>
  job.verdict.reason === 'held' ? 'held' : job.verdict.reason === 'fresh' ? 'idle' : 'suspended'

async function finish(world: World, job: Job, outcome: Outcome): Promise<TargetResult> {
  if (outcome === 'idle' && world.event.action === 'rotate') {
    await settleLeftover(world, job)
    await sweep(world, job)
  }
  await noteEmergency(world, job, outcome)
  await afterRun(world, job, outcome, null)
  await lookAhead(world, job)
  return report(world, job, outcome, null)
}

/** A run that died after the promotion left the certificate pending and its key in the store. */
async function settleLeftover(world: World, job: Job): Promise<void> {
  const { bound, documents } = job.inspection
  const { pending } = documents.certificate
  if (!pending?.fingerprint || pending.fingerprint !== bound?.slot?.leaf?.fingerprint) return
  const { settleCertificate } = await import('./steps/record.ts')
  await settleCertificate(world, job).catch(error =>
    world.run.log.warn(
      { target: world.target.name, error: (error as Error).message },
      'a key is not wiped yet',
    ),
  )
}

/** A failure is written down with its back-off; one that cannot be written down is still reported. */
export async function fail(world: World, job: Job, thrown: unknown): Promise<TargetResult> {
  const error = world.run.signal.aborted ? outOfTime(thrown) : asRotationError(thrown)
  const outcome = outcomeOf(error)
  await noteEmergency(world, job, outcome).catch(() => {})
  await afterFailure(world, job, outcome, error)
  return report(world, job, outcome, error)
}

const outOfTime = (cause?: unknown): RotationError =>
  new RotationError('out-of-time', 'the run has no time left; the next one goes on', { cause })
