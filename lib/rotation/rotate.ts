import { asRotationError, RotationError } from '../base/errors.ts'
import type { Outcome, StepName } from '../model.ts'
import { reconcile, wrongWithAdopted } from './adopt.ts'
import { lookAhead } from './ahead.ts'
import { decide } from './decide.ts'
import { inspect, servedChain } from './inspect.ts'
import { takeLease } from './lease.ts'
import { sweep } from './leftovers.ts'
import { afterFailure, afterRun, outcomeOf } from './outcome.ts'
import { instanceKey } from './record.ts'
import { report, type TargetResult } from './report.ts'
import { findRoom } from './slots.ts'
import { type Job, type Plan, type Step, type StepResult, type World, warn } from './world.ts'

const ATTEMPTS = 3

/** The recipe: what is done for each plan, in order. Deploying code is loaded only when something is due. */
const recipe = async (plan: Plan): Promise<readonly (readonly [StepName, Step])[]> => {
  if (plan === 'none') return []
  const { add, bind, free, rebind } = await import('./deploy.ts')
  const { rollBack, verify, verifyRepair } = await import('./verify.ts')
  const { record } = await import('./settle.ts')
  if (plan === 'verify')
    return [
      ['verify', verify],
      ['roll-back', rollBack],
      ['record', record],
    ]
  if (plan === 'roll-back')
    return [
      ['roll-back', rollBack],
      ['record', record],
    ]
  if (plan === 'repair')
    return [
      ['bind', rebind],
      ['verify', verifyRepair],
    ]
  const { obtain } = await import('./obtain.ts')
  const { preflight } = await import('./preflight.ts')
  return [
    ['obtain', obtain],
    ['preflight', preflight],
    ['free', free],
    ['add', add],
    ['bind', bind],
    ['verify', verify],
    ['roll-back', rollBack],
    ['record', record],
  ]
}

/** Rotates one target: looks, decides, and repairs the difference. Never throws; the result says everything. */
export async function rotate(world: World): Promise<TargetResult> {
  const job = startJob(world)
  const { event, run } = world
  if (event.force) run.log.warn({ target: world.target.name, askedBy: event.askedBy ?? null }, 'forced')
  try {
    await lookAndDecide(world, job)
    if (!job.verdict.due) return await finish(world, job, waits(job) ? idleOutcome(job) : 'idle')
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
  if (job.verdict.emergency) await noteEmergency(world, job)
  for (const [name, step] of steps ?? (await recipe(plan))) {
    const result = await timed(world, job, name, () => step(world, job))
    if (result.status === 'suspended') {
      job.verdict = { ...job.verdict, nextCheckAt: result.until }
      return 'suspended'
    }
    outcome = result.outcome ?? outcome
    if (world.event.until === name) return await stopHere(world, job, name)
  }
  return outcome
}

/** Inspect, square the diary with it, decide. Writes nothing but what was adopted or first seen. */
export async function lookAndDecide(world: World, job: Job): Promise<void> {
  const { run, spec, specHash, event, intervalMs } = world
  if (run.clock.now() >= run.deadline) throw outOfTime()
  await timed(world, job, 'inspect', async () => {
    job.inspection = await inspect(world)
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
    requireConfiguration(world, job)
    return {
      status: 'done',
      detail: `${job.verdict.due ? 'due' : 'idle'} (${job.verdict.reason}): ${job.verdict.detail}`,
    }
  })
}

async function squareUp(world: World, job: Job) {
  const inspected = job.inspection.documents.target
  const { document, adopted, warnings } = reconcile(job.inspection, world.specHash)
  for (const { code, message } of warnings) warn(job, code, message)
  const wrong = adopted && (await wrongWithAdopted(world, adopted, leaf => servedChain(world, leaf)))
  const at = world.run.clock.now()
  const why = `the certificate that somebody else bound is not right for devices: ${wrong}`
  const squared = wrong ? { ...document, held: { since: at, why, specHash: world.specHash } } : document
  if (wrong) warn(job, 'held', why)
  if (world.event.action === 'plan' || world.event.action === 'status' || squared === inspected)
    return squared
  // Only onto the document that was looked at: another run may have moved on since.
  return job.targetDocument.update(d => (d === inspected ? squared : d))
}

function requireConfiguration({ target }: World, { inspection, verdict }: Job): void {
  if (inspection.configuration || !verdict.due || target.domainConfiguration === 'create') return
  throw new RotationError(
    'domain-configuration-missing',
    `target ${target.name}: the instance has no domain configuration for ${target.domain}`,
    {
      retry: 'never',
      hint: 'Add the custom domain in the console (instance, Overview, Access Details), or set targets[].domainConfiguration to "create".',
    },
  )
}

/** What `plan` and `status` say beyond the decision: which slot would be used, and why. */
async function planned(world: World, job: Job): Promise<Outcome> {
  if (job.verdict.plan !== 'deploy') return 'planned'
  const { target, inspection, pressing } = {
    ...world,
    ...job,
    pressing: world.event.force || job.verdict.emergency,
  }
  const document = await squareUp(world, job)
  const fingerprint = inspection.documents.certificate.pending?.fingerprint ?? null
  const room = findRoom(inspection, { target, document, fingerprint, pressing })
  const detail = {
    present: () => 'the certificate is in a slot already',
    room: () => 'would use the free slot',
    delete: () =>
      room.kind === 'delete' ? `would delete ${room.slot.serverCertificateId}: ${room.why}` : '',
    blocked: () => (room.kind === 'blocked' ? `no slot: ${room.why}` : ''),
  }[room.kind]()
  ;(await import('./preflight.ts')).preview(world, job)
  job.steps.push({ step: 'free', status: 'skipped', durationMs: 0, call: null, detail })
  return 'planned'
}

/** `until`: a person paces the run; nothing more happens until a person says so. */
async function stopHere({ run, specHash }: World, job: Job, name: StepName): Promise<Outcome> {
  const why = `stopped after ${name}, as asked`
  await job.targetDocument.update(d => ({ ...d, held: { since: run.clock.now(), why, specHash } }))
  warn(job, 'held', `${why}; run \`iotda-cert resume\` to go on`)
  return 'suspended'
}

const noteEmergency = ({ run }: World, job: Job): Promise<unknown> =>
  job.targetDocument.update(d => (d.held ? { ...d, emergencyAt: run.clock.now() } : d))

/** Runs one step and writes down how it went. */
async function timed(
  world: World,
  job: Job,
  step: StepName,
  work: () => Promise<StepResult>,
): Promise<StepResult> {
  const { clock } = world.run
  const started = clock.now()
  world.progress(world.target.name, step, null)
  const end = (status: Job['steps'][number]['status'], detail: string, call: string | null): void => {
    const ended = { step, status, durationMs: clock.now() - started, call, detail }
    job.steps.push(ended)
    world.progress(world.target.name, step, ended)
  }
  try {
    const result = await work()
    end(result.status, result.detail, result.call ?? null)
    return result
  } catch (thrown) {
    const error = asRotationError(thrown)
    end(error.code === 'preflight-refused' ? 'refused' : 'failed', error.message, null)
    throw thrown
  }
}

const waits = (job: Job): boolean => job.verdict.reason !== 'fresh'
const idleOutcome = (job: Job): Outcome =>
  job.verdict.reason === 'held' ? 'held' : job.verdict.reason === 'fresh' ? 'idle' : 'suspended'

async function finish(world: World, job: Job, outcome: Outcome): Promise<TargetResult> {
  if (outcome === 'idle' && world.event.action === 'rotate') {
    await settleLeftover(world, job)
    await sweep(world, job)
  }
  await afterRun(world, job, outcome, null)
  await lookAhead(world, job)
  return report(world, job, outcome, null)
}

/** A run that died after the promotion left the certificate pending and its key in the store. */
async function settleLeftover(world: World, job: Job): Promise<void> {
  const { bound, documents } = job.inspection
  const { pending } = documents.certificate
  if (!pending?.fingerprint || pending.fingerprint !== bound?.slot?.leaf?.fingerprint) return
  const { settleCertificate } = await import('./settle.ts')
  await settleCertificate(world, job)
}

/** A failure is written down with its back-off; one that cannot be written down is still reported. */
export async function fail(world: World, job: Job, thrown: unknown): Promise<TargetResult> {
  const error = world.run.signal.aborted ? outOfTime(thrown) : asRotationError(thrown)
  const outcome = outcomeOf(error)
  await afterFailure(world, job, outcome, error)
  return report(world, job, outcome, error)
}

const outOfTime = (cause?: unknown): RotationError =>
  new RotationError('out-of-time', 'the run has no time left; the next one goes on', { cause })

export function startJob(world: World): Job {
  const target = world.records.target(world.target)
  const certificate = world.records.certificate(world.spec.name)
  return {
    inspection: {
      at: 0,
      configuration: null,
      bound: null,
      slots: [],
      served: [],
      renewalInfo: null,
      documents: undefined as never,
    },
    verdict: {
      due: false,
      reason: 'fresh',
      detail: 'not looked at',
      plan: 'none',
      nextCheckAt: null,
      emergency: false,
    },
    lease: null,
    targetDocument: target,
    certificateDocument: certificate,
    pending: null,
    material: null,
    uploadedId: null,
    proof: null,
    deletedJustNow: false,
    deleted: [],
    warnings: [],
    steps: [],
  }
}

function describe({ inspection }: Job): string {
  const { bound, slots, served } = inspection
  const heard = served.filter(s => s.leaf).length
  return `bound ${bound?.serverCertificateId ?? 'nothing'}, ${slots.length} of 2 slots used, ${heard} of ${served.length} addresses answered`
}
