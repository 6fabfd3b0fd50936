import { RotationError } from '../../base/rotation-error.ts'
import { DAY_MS, formatDuration } from '../../base/time.ts'
import type { PendingBinding, Replaced } from '../../state/documents.ts'
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
} from '../world.ts'
import { putBack } from './deploy.ts'
import { playedDevices } from './device-probes.ts'
import { isStoreDown } from './lost-answers.ts'
import { type Complaint, type Reading, read } from './reading.ts'
import { promote } from './record.ts'

const ANYBODY = { devices: [], before: null, overruled: [] }

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
  const devices = playedDevices(world)
  const reading = await read(world, {
    wanted: pending.fingerprint,
    old: oldFingerprints(job, replaced),
    silent: silentBefore(target, replaced?.silent),
    devices,
    before: replaced && { working: replaced.working ?? [], refusing: replaced.refusing },
    overruled: pending.overruled ?? [],
  })
  const took = formatDuration(run.clock.now() - started)
  if (reading.kind === 'unfinished')
    return suspend(run.clock.now() + world.intervalMs, `the run ends before it is certain: ${reading.where}`)
  if (reading.kind !== 'new')
    return judge(world, job, pending, replaced, {
      ...reading,
      where: `${reading.where}, after ${took}`,
    })
  job.proof = { kind: 'served' }
  if (reading.silent.length > 0)
    warn(job, 'unverified', `not reached before or after the bind: ${reading.silent.join(', ')}`)
  for (const { why } of reading.complaints) warn(job, 'device-refuses', why)
  for (const what of reading.untidy) warn(job, 'chain-untidy', `the port sends more than the chain: ${what}`)
  return done(
    `served at every address${toWhom(target, reading.complaints)}, ${target.probe.steady} times in a row, after ${took}`,
  )
}

/** How many of the kinds of device that the settings name connect everywhere. */
function toWhom({ profiles }: World['target'], complaints: readonly Complaint[]): string {
  if (profiles.length === 0) return ''
  const served = profiles.filter(({ name }) => !complaints.some(({ profile }) => profile === name))
  const of = served.length === profiles.length ? '' : ` of ${profiles.length}`
  return ` to ${served.length}${of} kind${profiles.length === 1 ? '' : 's'} of device`
}

/** The verdicts of verify, other than "served". */
async function judge(
  world: World,
  job: Job,
  pending: PendingBinding,
  replaced: Replaced | null,
  reading: Exclude<Reading, { kind: 'new' | 'unfinished' }>,
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
  // That is a verdict, too: the new certificate stays, and is looked after like any other.
  await promote(world, job)
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

/** Puts the predecessor back when verify said so, and sees that it is served again. */
export const rollBack: Step = async (world, job) => {
  const { pending } = await job.targetDocument.get()
  const why = pending?.failedWhy ?? (job.proof?.kind === 'bad' ? job.proof.why : null)
  if (!pending || why === null) return skipped('not needed')
  const replaced = pending.replaces
  if (!replaced || replaced === 'first') throw changed('there is nothing to put back')
  const predecessor = job.inspection.slots.find(s => s.serverCertificateId === replaced.serverCertificateId)
  if (!predecessor || predecessor.expiryDate <= world.run.clock.now()) {
    await promote(world, job, why)
    throw new RotationError('not-served', `the bound certificate is not served: ${why}`, {
      hint: `The previous certificate ${predecessor ? 'has expired' : 'is gone'}, so there is no way back: another one is obtained after the back-off.`,
    })
  }
  await job.targetDocument
    .update(d => ({ ...d, pending: d.pending && { ...d.pending, failedWhy: why } }))
    .catch(error => {
      // A later run would verify again and come to the same: putting back must not wait for a disk.
      if (!isStoreDown(error)) throw error
      warn(job, 'state-not-written', error.message)
    })
  await putBack(world, job, replaced)
  job.proof = { kind: 'bad', why }
  const reading = replaced.fingerprint
    ? await read(world, {
        wanted: replaced.fingerprint,
        old: [pending.fingerprint],
        silent: silentBefore(world.target, replaced.silent),
        ...ANYBODY,
      })
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
  // Somebody may have bound it a moment ago: what stood there before is no failure yet.
  const now = world.run.clock.now()
  const others = job.inspection.slots.flatMap(s =>
    s.leaf && s.leaf.fingerprint !== leaf.fingerprint && s.leaf.notAfter > now ? [s.leaf.fingerprint] : [],
  )
  const reading = await read(world, {
    ...{ wanted: leaf.fingerprint, old: others, silent: silentBefore(world.target, silent) },
    ...ANYBODY,
  })
  if (reading.kind === 'old' || reading.kind === 'unfinished')
    return suspend(
      world.run.clock.now() + world.intervalMs,
      `a change of the binding has not reached the port yet: ${reading.where}`,
    )
  if (reading.kind === 'new') return done('the bound certificate is served at every address')
  throw new RotationError('not-served', `the bound certificate is not served: ${reading.where}`, {
    hint: `It was bound again without effect. Check DNS of ${world.target.domain} and the instance's custom domain in the console.`,
  })
}
