import { RotationError } from '../base/errors.ts'
import { DAY_MS, formatDuration, iso, SECOND_MS } from '../base/time.ts'
import type { Served } from '../model.ts'
import { putBack } from './deploy.ts'
import type { PendingBinding, Replaced } from './documents.ts'
import { look } from './inspect.ts'
import {
  changed,
  done,
  type Job,
  type Step,
  type StepResult,
  skipped,
  suspend,
  type World,
  warn,
} from './world.ts'

const LOOK_EVERY_MS = 2 * SECOND_MS

/** What the port showed over a while, measured against what it should show. */
type Reading =
  | {
      readonly kind: 'new' /** Addresses that did not answer before the bind either. */
      readonly silent: readonly string[]
    }
  | { readonly kind: 'old'; readonly where: string }
  | { readonly kind: 'unreachable'; readonly where: string }
  | { readonly kind: 'wrong'; readonly where: string }

/** Proves on the device port that the bound certificate is served: n looks in a row, at every address. */
export const verify: Step = async (world, job) => {
  const { target, run } = world
  const { pending } = await job.targetDocument.get()
  if (!pending) return skipped('nothing was bound')
  if (target.probe.mode === 'off') {
    job.proof = { kind: 'unverified', why: 'the probe is off' }
    return skipped('the probe is off')
  }
  const replaced = pending.replaces === 'first' ? null : pending.replaces
  const started = run.clock.now()
  const silent = silentBefore(target, replaced?.silent)
  const reading = await read(world, pending.fingerprint, oldFingerprints(job, replaced), silent)
  const took = formatDuration(run.clock.now() - started)
  if (reading.kind === 'new') {
    job.proof = { kind: 'served' }
    if (reading.silent.length > 0)
      warn(job, 'unverified', `not reached before or after the bind: ${reading.silent.join(', ')}`)
    return done(`served at every address, ${target.probe.steady} times in a row, after ${took}`)
  }
  return judge(world, job, pending, replaced, reading)
}

/** The verdicts of verify, other than "served". */
async function judge(
  world: World,
  job: Job,
  pending: PendingBinding,
  replaced: Replaced | null,
  reading: Exclude<Reading, { kind: 'new' }>,
): Promise<StepResult> {
  const { target, run } = world
  const now = run.clock.now()
  if (reading.kind === 'unreachable' && !replaced?.reachable && target.probe.mode === 'best-effort') {
    job.proof = { kind: 'unverified', why: reading.where }
    warn(job, 'unverified', `the device port could not be reached before or after the bind: ${reading.where}`)
    return skipped(`unverified: ${reading.where}`)
  }
  const predecessor = job.inspection.slots.find(s => s.serverCertificateId === replaced?.serverCertificateId)
  const predecessorEnds = predecessor?.leaf?.notAfter ?? 0
  if (reading.kind === 'old' && (!replaced || predecessorEnds > now)) {
    const sinceMs = now - (pending.boundAt ?? now)
    if (sinceMs >= DAY_MS)
      warn(
        job,
        'not-propagated',
        `the old certificate is still served ${formatDuration(sinceMs)} after the bind`,
      )
    return suspend(
      now + world.intervalMs,
      `the old certificate is still served (${reading.where}); it stays bound and is looked at again first thing`,
    )
  }
  if (replaced && predecessor && predecessorEnds > now && replaced.served) {
    job.proof = { kind: 'bad', why: reading.where }
    return done(`not served: ${reading.where}`)
  }
  const why = !predecessor
    ? 'it is gone'
    : predecessorEnds <= now
      ? 'it has expired'
      : 'it was not served before either'
  throw new RotationError('not-served', `the bound certificate is not served: ${reading.where}`, {
    hint: `The new certificate stays bound: the previous one is no way back (${why}). Check DNS of ${target.domain} and the instance's device port.`,
  })
}

/** What may still be served for a while: the predecessor, or, where there was none, whatever stood there before. */
function oldFingerprints({ inspection }: Job, replaced: Replaced | null): readonly string[] {
  if (replaced) return replaced.fingerprint ? [replaced.fingerprint] : []
  return inspection.served.flatMap(s => (s.leaf ? [s.leaf.fingerprint] : []))
}

/** Addresses that may go on not answering, e.g. IPv6 where there is none: they say nothing about the bind. */
const silentBefore = ({ probe }: World['target'], silent: readonly string[] = []): readonly string[] =>
  probe.mode === 'require' ? [] : silent

/**
 * Looks until the wanted leaf is steady at every address, something wrong is steady, or the time is over. A port
 * that alternates until then is what else it shows.
 */
async function read(
  world: World,
  wanted: string,
  old: readonly string[],
  silent: readonly string[],
): Promise<Reading> {
  const { target, run } = world
  const { steady, withinMs } = target.probe
  const started = run.clock.now()
  let matches = 0
  let wrongs = 0
  let other: Exclude<Reading, { kind: 'new' }> | null = null
  for (;;) {
    const served = await look(world)
    // Addresses were not asked to the end then.
    run.signal.throwIfAborted()
    const reading = readingOf(served, wanted, old, silent)
    matches = reading.kind === 'new' ? matches + 1 : 0
    wrongs = reading.kind === 'wrong' ? wrongs + 1 : 0
    if (matches >= steady) return reading
    if (reading.kind !== 'new') other = reading
    const spentMs = run.clock.now() - started
    // Devices are refused while a wrong certificate is served: do not wait the whole time for it to go away.
    const overMs = wrongs >= steady ? withinMs / 4 : withinMs
    const isOver = spentMs >= overMs || spentMs + LOOK_EVERY_MS > run.deadline - started
    if (isOver && reading.kind !== 'new') return reading
    if (other && spentMs >= 2 * withinMs) return other
    await run.clock.sleep(matches > 0 ? LOOK_EVERY_MS / 4 : LOOK_EVERY_MS, run.signal)
  }
}

/** The worst of what the addresses show: wrong, unreachable, old, new. */
function readingOf(
  all: readonly Served[],
  wanted: string,
  old: readonly string[],
  silentBefore: readonly string[],
): Reading {
  const silentStill = all.filter(s => !s.leaf && silentBefore.includes(s.address))
  // Where nothing answers, nothing is left to judge by.
  const served = silentStill.length < all.length ? all.filter(s => !silentStill.includes(s)) : all
  const others = served.filter(s => s.leaf?.fingerprint !== wanted)
  if (served.length > 0 && others.length === 0)
    return { kind: 'new', silent: silentStill.map(s => s.address) }
  const wrong = others.find(s => s.leaf && !old.includes(s.leaf.fingerprint))
  if (wrong?.leaf) {
    return {
      kind: 'wrong',
      where: `${wrong.address} serves ${wrong.leaf.subject || wrong.leaf.names.join(', ')} by ${wrong.leaf.issuer} (${wrong.leaf.fingerprint.slice(0, 16)}…)`,
    }
  }
  const silent = others.find(s => !s.leaf)
  if (silent) return { kind: 'unreachable', where: `${silent.address}: ${silent.error ?? 'no answer'}` }
  const stale = others[0]
  return stale?.leaf
    ? { kind: 'old', where: `${stale.address} serves the one valid until ${iso(stale.leaf.notAfter)}` }
    : { kind: 'unreachable', where: 'no address to look at' }
}

/** Puts the predecessor back when verify said so, and sees that it is served again. */
export const rollBack: Step = async (world, job) => {
  const { pending } = await job.targetDocument.get()
  const why = pending?.failedWhy ?? (job.proof?.kind === 'bad' ? job.proof.why : null)
  if (!pending || why === null) return skipped('not needed')
  const replaced = pending.replaces
  if (!replaced || replaced === 'first') throw changed('there is nothing to put back')
  await job.targetDocument.update(d => ({ ...d, pending: d.pending && { ...d.pending, failedWhy: why } }))
  await putBack(world, job, replaced)
  job.proof = { kind: 'bad', why }
  const reading = replaced.fingerprint
    ? await read(
        world,
        replaced.fingerprint,
        [pending.fingerprint],
        silentBefore(world.target, replaced.silent),
      )
    : null
  if (reading && reading.kind !== 'new')
    warn(job, 'rollback-unverified', `the previous certificate is bound again, but ${reading.where}`)
  return done(`${replaced.serverCertificateId} is bound again: ${why}`, 'UpdateDomainConfiguration')
}

/** After a repair: the bound leaf must be served now. */
export const verifyRepair: Step = async (world, job) => {
  const leaf = job.inspection.bound?.slot?.leaf
  if (!leaf) return skipped('the bound certificate cannot be read')
  const silent = job.inspection.served.filter(s => !s.leaf).map(s => s.address)
  const reading = await read(world, leaf.fingerprint, [], silentBefore(world.target, silent))
  if (reading.kind === 'new') return done('the bound certificate is served at every address')
  throw new RotationError('not-served', `the bound certificate is not served: ${reading.where}`, {
    hint: `It was bound again without effect. Check DNS of ${world.target.domain} and the instance's custom domain in the console.`,
  })
}
