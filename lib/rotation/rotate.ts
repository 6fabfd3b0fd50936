import { asRotationError, RotationError } from '../base/rotation-error.ts'
import type { DeviceOutlook } from '../model/device-profile.ts'
import type { Outcome, StepName } from '../model/outcomes.ts'
import { outcomeOf, writeOutcome } from '../report/outcome.ts'
import { type Ended, resultOf, type TargetResult } from '../report/result.ts'
import type { TargetDocument } from '../state/documents.ts'
import { type Lease, takeLease } from '../state/lease.ts'
import { instanceKey } from '../state/state.ts'
import {
  type Context,
  certificateDocument,
  isShown,
  openContext,
  type RotationSetup,
  targetDocument,
} from './context.ts'
import { backedOff, isCostly } from './decide/back-off.ts'
import { decide } from './decide/decide.ts'
import type { Decided, DueToDeploy, DueToRepair, Idle } from './decide/decision.ts'
import { recallOf } from './decide/renewal-window.ts'
import { requireConfiguration } from './decide/require-configuration.ts'
import { deviceOutlook } from './observe/device-outlook.ts'
import { inspect } from './observe/inspect.ts'
import { boundLeaf, describe, type Inspection, revokedBound } from './observe/inspection.ts'
import { lookAhead, lookAheadDaily } from './observe/look-ahead.ts'
import { reconcileDocument } from './observe/reconcile.ts'
import { noteInventory } from './observe/source-inventory.ts'
import { awaitedNow } from './rings/awaited.ts'
import { leadMs } from './rings/turn.ts'
import type { Uploaded } from './steps/add.ts'
import type { Bound } from './steps/bind.ts'
import type { Proof, Settled } from './steps/record.ts'
import { sweep } from './steps/sweep.ts'
import { done, logFailure, type StepResult, Suspension, traced, warn } from './trace.ts'

/** How often a run decides, when somebody else changes the binding meanwhile. */
const TRIES = 3

/** Rotates one target: looks, decides, and repairs the difference. Never throws; the result says everything. */
export function rotate(setup: RotationSetup): Promise<TargetResult> {
  const { event, run, target } = setup
  if (event.force) run.log.warn({ target: target.name, askedBy: event.askedBy ?? null }, 'forced')
  return conclude(setup, lookAndRotate, finish)
}

/** Under the lease everything is looked at again; and once more whenever somebody else changed the binding. */
async function lookAndRotate(context: Context, lock: () => Promise<Lease>): Promise<Came> {
  const { event, run, target } = context
  const seen = await lookAndDecide(context)
  noteInventory(context, seen)
  if (event.action === 'plan') await lookAhead(context, seen.inspection)
  if (!seen.decision.due) return { outcome: idleOutcome(seen.decision) }
  if (event.action !== 'rotate') {
    const { planSteps } = await loadSteps()
    await planSteps(context, seen)
    return { outcome: 'planned' }
  }
  // A bind that is open, or not what is served, is no matter of somebody else: devices wait for it.
  if (context.postpone && seen.decision.plan === 'deploy') {
    context.postpone({ target, emergency: seen.decision.emergency })
    return { outcome: 'suspended', isPostponed: true }
  }
  const lease = await lock()
  for (let tried = 1; ; tried += 1) {
    const decided = await lookAndDecide(context, lease)
    try {
      return await perform(context, lease, decided)
    } catch (thrown) {
      if (!(thrown instanceof RotationError) || thrown.code !== 'changed' || tried === TRIES) throw thrown
      run.log.info({ target: target.name }, thrown.message)
    }
  }
}

const idleOutcome = ({ reason }: Idle): Outcome =>
  reason === 'held' ? 'held' : reason === 'fresh' ? 'idle' : 'suspended'

// --- the recipes -------------------------------------------------------------------------------------------

/** What is decided is done. */
function perform(context: Context, lease: Lease, decided: Decided): Came | Promise<Came> {
  const { inspection, decision } = decided
  if (decision.plan === 'none') return { outcome: idleOutcome(decision) }
  if (decision.plan === 'deploy') return deploy(context, lease, { ...decided, decision })
  if (decision.plan === 'repair') return repair(context, lease, { ...decided, decision })
  // An earlier run bound it.
  const bound: Bound = { inspection, binding: decision.binding, deployed: null }
  return decision.plan === 'verify'
    ? prove(context, lease, bound)
    : goBack(context, lease, bound, decision.why)
}

/** A rollback that an earlier run began. */
async function goBack(context: Context, lease: Lease, bound: Bound, why: string): Promise<Settled> {
  const { isDoubtful } = await loadSteps()
  return (await isDoubtful(context, bound))
    ? prove(context, lease, bound)
    : settle(context, lease, bound, { kind: 'bad', why })
}

/** Another certificate: obtained, judged, uploaded, bound, proven. */
async function deploy(context: Context, lease: Lease, decided: Decided<DueToDeploy>): Promise<Settled> {
  const { warnOfTime, obtain, preflight, stopKind, awaitTurn, free, add } = await loadSteps()
  warnOfTime(context)
  const material = await step(context, 'obtain', () => obtain(context, decided))
  const judged = await step(context, 'preflight', () =>
    preflight(context, decided, material).catch(refusal => stopKind(context, material, refusal)),
  )
  const placed = await step(context, 'free', async () =>
    free(context, lease, await awaitTurn(context, judged)),
  )
  const uploaded = await step(context, 'add', () => add(context, lease, placed))
  return cutOver(context, lease, uploaded)
}

/** What is uploaded: bound and proven. A rollback by hand begins here, with what was bound before. */
export async function cutOver(context: Context, lease: Lease, uploaded: Uploaded): Promise<Settled> {
  const { bind } = await loadSteps()
  const bound = await step(context, 'bind', () => bind(context, lease, uploaded))
  return prove(context, lease, bound)
}

/** What is bound: proven, or its predecessor put back. */
async function prove(context: Context, lease: Lease, bound: Bound): Promise<Settled> {
  const { verify } = await loadSteps()
  const proof = await step(context, 'verify', () => verify(context, bound))
  return settle(context, lease, bound, proof)
}

async function settle(context: Context, lease: Lease, bound: Bound, proof: Proof): Promise<Settled> {
  const { rollBack, record } = await loadSteps()
  const ending = await step(context, 'roll-back', () => rollBack(context, lease, bound, proof))
  return step(context, 'record', () => record(context, bound, ending))
}

/** The port serves something else than what is bound: the binding is sent again. */
async function repair(context: Context, lease: Lease, decided: Decided<DueToRepair>): Promise<Came> {
  const { bindAgain, verifyAgain } = await loadSteps()
  const bound = await step(context, 'bind', () => bindAgain(context, lease, decided))
  await step(context, 'verify', () => verifyAgain(context, bound))
  return { outcome: 'repaired' }
}

/** The steps' code is loaded only when something is due. */
async function loadSteps() {
  const [plan, obtain, preflight, rollOut, free, add, bindTime, bind, verify, rollBack, record] =
    await Promise.all([
      import('./actions/plan.ts'),
      import('./steps/obtain.ts'),
      import('./steps/preflight.ts'),
      import('./rings/await-turn.ts'),
      import('./steps/free.ts'),
      import('./steps/add.ts'),
      import('./steps/bind-time.ts'),
      import('./steps/bind.ts'),
      import('./steps/verify.ts'),
      import('./steps/roll-back.ts'),
      import('./steps/record.ts'),
    ])
  return {
    ...plan,
    ...obtain,
    ...preflight,
    ...rollOut,
    ...free,
    ...add,
    ...bindTime,
    ...bind,
    ...verify,
    ...rollBack,
    ...record,
  }
}

/** One step of a recipe. `until`: a person paces the run; nothing more happens until a person says so. */
async function step<T>(context: Context, name: StepName, work: () => Promise<StepResult<T>>): Promise<T> {
  const { event, run, specHash } = context
  const value = await traced(context, name, work)
  // Whoever stops after verify wants its verdict carried out, too.
  const last = event.until === 'verify' ? 'record' : event.until
  if (last !== name) return value
  const why = `stopped after ${name}, as asked`
  await targetDocument(context).update(d => ({ ...d, held: { since: run.clock.now(), why, specHash } }))
  warn(context, 'held', `${why}; run \`iotda-cert resume\` to go on`)
  throw new Suspension(null, why)
}

// --- before and after --------------------------------------------------------------------------------------

/** Inspects, reconciles what is written down with it, decides. Writes nothing but what was adopted or first seen. */
export async function lookAndDecide(context: Context, lease: Lease | null = null): Promise<Decided> {
  const { run, target, spec, specHash, event, intervalMs, trace, rings } = context
  if (run.clock.now() >= run.deadline) throw outOfTime()
  const inspection = await traced(context, 'inspect', async () => {
    const seen = await inspect(context, lease)
    return done(seen, describe(seen), 'ListServerCertificates')
  })
  return traced(context, 'decide', async () => {
    const reconciled = await reconcileDocument(context, inspection, lease)
    const document = lease ? reconciled : await devicesWatched(context, inspection, reconciled)
    const rollout = { awaited: await awaitedNow(context, inspection), leadMs: leadMs(rings, target) }
    const asked = { now: run.clock.now(), intervalMs, spec, specHash, event }
    const facts = { ...asked, inspection, document, ...rollout }
    const decision = decide(facts)
    trace.add('decisions', decision)
    const recall = recallOf(inspection, facts)
    if (recall) warn(context, 'recalled', recall.message)
    const revoked = revokedBound(inspection)
    if (revoked) warn(context, 'revoked', revoked)
    requireConfiguration(target, inspection, decision)
    const { due, reason, detail } = decision
    return done({ inspection, document, decision }, `${due ? 'due' : 'idle'} (${reason}): ${detail}`)
  })
}

/** The code for counting devices is loaded only where they are counted. */
async function devicesWatched(
  context: Context,
  inspection: Inspection,
  document: TargetDocument,
): Promise<TargetDocument> {
  if (context.target.devices === null) return document
  const { watchDevices } = await import('./device-watch/device-watch.ts')
  return watchDevices(context, inspection, document)
}

/** What the work on a target came to; the decision is the last one, unless another is to be told. */
export interface Came extends Pick<Ended, 'outcome'>, Partial<Pick<Ended, 'decision' | 'deployed'>> {
  /** What is written down is the business of whoever goes on. */
  readonly isPostponed?: true
}

const NOT_LOOKED_AT = { due: false, reason: 'fresh', detail: 'not looked at', nextCheckAt: null }

/**
 * Does the work and makes the result: the one place where a suspension and an error end. The lease that was taken is
 * given back when all is written down. Never throws.
 */
export async function conclude(
  setup: RotationSetup,
  work: (context: Context, lock: () => Promise<Lease>) => Promise<Came>,
  after: (context: Context, ended: Ended) => Promise<DeviceOutlook | null> = async () => null,
): Promise<TargetResult> {
  const context = openContext(setup)
  const { target, store, run, event, trace } = context
  const ended = ({ outcome, decision, deployed = null }: Came, error: RotationError | null): Ended => ({
    target: target.name,
    outcome,
    decision: decision ?? trace.decisions.at(-1) ?? NOT_LOOKED_AT,
    error,
    deployed,
    devices: null,
    nextKey: null,
    isSeen: event.action === 'plan' || isShown(context),
  })
  const leases: Lease[] = []
  const lock = async (): Promise<Lease> => {
    const lease = await takeLease(store, instanceKey(target), run)
    leases.push(lease)
    return lease
  }
  try {
    const worked = await work(context, lock).catch(thrown => suspended(context, thrown))
    const came = ended(worked, null)
    const devices = worked.isPostponed ? null : await after(context, came)
    return resultOf(trace, { ...came, devices, nextKey: await nextKeyOf(context) })
  } catch (thrown) {
    const error = run.signal.aborted ? outOfTime(thrown) : asRotationError(thrown)
    const failed = ended({ outcome: outcomeOf(error) }, error)
    await noteFailure(context, failed, error)
    return resultOf(trace, { ...failed, nextKey: await nextKeyOf(context) })
  } finally {
    for (const lease of leases) await lease.release()
  }
}

/** Null: none is announced, or that cannot be read. */
const nextKeyOf = async (context: Context): Promise<Ended['nextKey']> => {
  if (typeof context.spec.reuseKey !== 'object') return null
  const document = await certificateDocument(context)
    .get()
    .catch(() => null)
  return document?.nextKey ?? null
}

function suspended({ trace }: Context, thrown: unknown): Came {
  if (!(thrown instanceof Suspension)) throw thrown
  const decision = trace.decisions.at(-1) ?? NOT_LOOKED_AT
  return {
    outcome: 'suspended',
    decision: { ...decision, nextCheckAt: thrown.until ?? decision.nextCheckAt },
  }
}

const outOfTime = (cause?: unknown): RotationError =>
  new RotationError('out-of-time', 'the run has no time left; the next one goes on', { cause })

/** Tidies up where nothing was to be done, writes the outcome down, and looks at what lies ahead of devices. */
async function finish(context: Context, ended: Ended): Promise<DeviceOutlook | null> {
  const { event, target, trace } = context
  const inspection = trace.inspections.at(-1)
  if (ended.outcome === 'idle' && event.action === 'rotate') {
    await settleLeftover(context)
    if (inspection)
      await lookAheadDaily(context, inspection).catch(e => logFailure(context, e, 'no look ahead'))
    await sweep(context)
  }
  if (ended.outcome !== 'suspended' && event.action === 'rotate') await announceNext(context)
  await noteEmergency(context, ended.outcome)
  await noteRollout(context, ended)
  await writeOutcome(context, ended)
  const isAsked = target.trustedRoots !== null || target.profiles.length > 0 || isShown(context)
  if (!isAsked || !inspection) return null
  return deviceOutlook(context, { ...inspection, served: trace.looks.at(-1) ?? inspection.served })
}

/** What the end means for other rings; the code for it is loaded only where there is something to tell. */
async function noteRollout(context: Context, { outcome, deployed }: Ended): Promise<void> {
  const { event, rings, trace } = context
  const inspection = trace.inspections.at(-1)
  if (rings === null || event.action !== 'rotate' || !inspection) return
  const isWell = outcome === 'idle' || outcome === 'rotated' || outcome === 'repaired'
  const leaf = isWell ? (deployed?.leaf ?? boundLeaf(inspection)) : null
  const { rollout, unfrozen } = await targetDocument(context).get()
  const isTold = leaf === null || (rollout?.isTold === true && rollout.fingerprint === leaf.fingerprint)
  if (isTold && !unfrozen) return
  const { freezeLate, noteServed } = await import('./rings/await-turn.ts')
  const told = async (): Promise<void> => {
    await freezeLate(context)
    if (leaf !== null && !isTold) await noteServed(context, inspection, leaf)
  }
  await told().catch(e => logFailure(context, e, 'the roll-out does not know yet'))
}

/** The key after the present one, where devices pin keys and none is announced yet. */
async function announceNext(context: Context): Promise<void> {
  const { keyType, reuseKey } = context.spec
  if (typeof reuseKey !== 'object') return
  const { nextKey } = await certificateDocument(context).get()
  if (nextKey?.keyType === keyType) return
  const { announceKey } = await import('./keys/next-key.ts')
  await announceKey(context).catch(e => logFailure(context, e, 'the next key is not made yet'))
}

/** A run that died after the promotion left the certificate pending and its key in the store. */
async function settleLeftover(context: Context): Promise<void> {
  const inspection = context.trace.inspections.at(-1)
  const leaf = inspection ? boundLeaf(inspection) : null
  const pending = inspection?.documents.certificate.pending
  if (!leaf || pending?.fingerprint !== leaf.fingerprint) return
  const { settleCertificate } = await loadSteps()
  await settleCertificate(context, leaf).catch(e => logFailure(context, e, 'a key is not wiped yet'))
}

/** The emergency leaves `held` once a day: a day is used up by a try that ended, not by one that waits. */
async function noteEmergency(context: Context, outcome: Outcome): Promise<void> {
  const { run, event, trace } = context
  const isOver = event.action === 'rotate' && outcome !== 'suspended' && outcome !== 'busy'
  if (!trace.decisions.at(-1)?.emergency || !isOver) return
  await targetDocument(context).update(d => (d.held ? { ...d, emergencyAt: run.clock.now() } : d))
}

/** Writes a failure down with its back-off. Never throws: a failure that cannot be written is still reported. */
async function noteFailure(context: Context, ended: Ended, error: RotationError): Promise<void> {
  const { run, event, spec, trace } = context
  const { outcome } = ended
  await noteEmergency(context, outcome).catch(() => {})
  try {
    const inspection = trace.inspections.at(-1)
    const isTried = event.action === 'rotate' && outcome !== 'busy' && outcome !== 'suspended'
    if (isTried && isCostly({ spec, inspection, isDue: trace.decisions.at(-1)?.due ?? false }, error))
      await targetDocument(context).update(d => backedOff(d, inspection, error, run.clock.now()))
    await writeOutcome(context, ended)
  } catch (thrown) {
    logFailure(context, thrown, 'how the run ended could not be written down')
  }
}
