import { RotationError } from '../../base/rotation-error.ts'
import { iso } from '../../base/time.ts'
import type { Leaf } from '../../model/certificate.ts'
import { keyIdOf, type PendingCertificate } from '../../state/documents.ts'
import { type Lease, takeLease } from '../../state/lease.ts'
import { newPendingId, segment, targetKey } from '../../state/state.ts'
import { leafOf, parseChain } from '../../x509/certificate.ts'
import { chooseSource } from '../decide/choose-source.ts'
import { isAnother, isHolder } from '../observe/source-inventory.ts'
import {
  done,
  type Job,
  type Step,
  type StepResult,
  skipped,
  sourceNamed,
  suspend,
  type World,
} from '../world.ts'
import { attempt } from './ask-source.ts'
import { withLeftover } from './leftovers.ts'
import { blockedRoom } from './room.ts'
import { findRoom } from './slots.ts'

/**
 * A certificate in hand: the one an earlier run obtained, or the order it left, or a new one. Several targets
 * may share the certificate: one obtains, the others adopt what it got.
 */
export const obtain: Step = async (world, job) => {
  const room = findRoom(job.inspection, {
    target: world.target,
    document: await job.targetDocument.get(),
    fingerprint: job.inspection.documents.certificate.pending?.fingerprint ?? null,
    pressing: world.event.force || job.verdict.emergency,
  })
  // No order for a certificate that could not be uploaded anyway.
  if (room.kind === 'blocked') return blockedRoom(room)
  return world.inTurn(`certificate/${world.spec.name}`, () => obtainInTurn(world, job))
}

async function obtainInTurn(world: World, job: Job): Promise<StepResult> {
  const lease = await takeLease(world.store, `certificate-${segment(world.spec.name)}`, world.run)
  try {
    const known = await usable(world, job, null)
    if (known?.chainPem) return await take(world, job, known, 'obtained by an earlier run')
    return await fromSources(world, job, lease)
  } finally {
    await lease.release()
  }
}

/** Asks one source after another, while the one before has failed for good. */
async function fromSources(world: World, job: Job, lease: Lease): Promise<StepResult> {
  const { spec, run } = world
  const { emergency } = job.verdict
  for (let failure: RotationError | null = null; ; ) {
    const now = run.clock.now()
    const choice = chooseSource(spec, await job.certificateDocument.refresh(), { now, emergency })
    if (choice.kind === 'wait') {
      if (failure) throw failure
      return suspend(choice.until, choice.why)
    }
    const { source } = choice
    const pending = (await usable(world, job, source)) ?? (await begin(world, job, source))
    if (pending.chainPem) return take(world, job, pending, 'obtained by another run')
    const outcome = await attempt(world, job, pending, lease)
    if (outcome.kind === 'obtained') return take(world, job, outcome.pending, 'new')
    if (outcome.kind === 'suspended') return suspend(outcome.until, outcome.why)
    failure = outcome.error
    run.log.warn({ certificate: spec.name, source }, `the next source is asked: ${failure.message}`)
  }
}

/**
 * The pending certificate, if it still is what the settings ask for and good for this target; one that is still
 * to be obtained, only from `source`, or any when null.
 */
async function usable(world: World, job: Job, source: string | null): Promise<PendingCertificate | null> {
  const { pending } = await job.certificateDocument.refresh()
  if (!pending) return null
  const now = world.run.clock.now()
  const { rolledBack } = await job.targetDocument.get()
  const leaf = pending.chainPem ? leafOf(first(pending.chainPem)) : null
  // Bound here already: it is kept for a target that has not got it yet, and is not what is wanted now.
  const bound = job.inspection.bound?.slot?.leaf?.fingerprint
  const spent =
    leaf !== null &&
    (isStale(world, job, pending, leaf, now) ||
      rolledBack.includes(leaf.fingerprint) ||
      leaf.fingerprint === bound)
  const keyless =
    leaf !== null &&
    !(await world.records.privateKey(world.spec.name, keyIdOf(pending))) &&
    !inSlot(job, leaf.fingerprint)
  const elsewhere = leaf === null && source !== null && pending.source !== source
  if (pending.specHash === world.specHash && !spent && !keyless && !elsewhere) return pending
  await drop(world, job, pending)
  return null
}

/** Whether its source would do better: by another order, or because it holds another one by now. */
function isStale(world: World, job: Job, { source }: PendingCertificate, leaf: Leaf, now: number): boolean {
  if (!isHolder(world, source)) return leaf.notAfter - now < (leaf.notAfter - leaf.notBefore) / 3
  const held = source === world.spec.sources[0] ? job.inspection.inventory?.held : null
  return leaf.notAfter <= now || (held ? isAnother(held, leaf) : false)
}

const inSlot = (job: Job, fingerprint: string): boolean =>
  job.inspection.slots.some(s => s.leaf?.fingerprint === fingerprint)

const first = (chainPem: string) => {
  const [leaf] = parseChain(chainPem)
  if (!leaf) throw new RotationError('certificate-invalid', 'the source gave no certificate')
  return leaf
}

/** Gives a pending certificate up: its authorizations and TXT values first, then its key, then the entry. */
async function drop(world: World, job: Job, pending: PendingCertificate): Promise<void> {
  const { records, spec, run } = world
  const journal = await records.journal(spec.name, pending.id)
  try {
    if (!pending.chainPem) await sourceNamed(world, pending.source).abandon(journal, run)
  } catch (error) {
    run.log.warn(
      { certificate: spec.name, error: (error as Error).message },
      'an old order could not be given up cleanly',
    )
  }
  // Uploaded, but not to be bound any more: its slot may be freed.
  await job.targetDocument.update(d =>
    d.pending?.boundAt === null && d.pending.fingerprint === pending.fingerprint
      ? { ...d, pending: null }
      : d,
  )
  if (pending.keyId === undefined) await records.wipeKey(spec.name, pending.id)
  await job.certificateDocument.update(d =>
    d.pending?.id === pending.id
      ? { ...d, pending: null, leftovers: withLeftover(d.leftovers, journal.notes, pending.source) }
      : d,
  )
}

async function begin(world: World, job: Job, source: string): Promise<PendingCertificate> {
  const { run, specHash, spec, target } = world
  const fresh: PendingCertificate = {
    id: newPendingId(),
    specHash,
    by: targetKey(target),
    source,
    ...(spec.reuseKey && !isHolder(world, source) ? { keyId: `reused-${spec.keyType}` } : {}),
    since: run.clock.now(),
    notes: {},
    chainPem: null,
    fingerprint: null,
  }
  const { pending } = await job.certificateDocument.update(d => (d.pending ? d : { ...d, pending: fresh }))
  return pending ?? fresh
}

async function take(world: World, job: Job, pending: PendingCertificate, how: string): Promise<StepResult> {
  const chainPem = pending.chainPem ?? ''
  const leaf = leafOf(first(chainPem))
  job.pending = pending
  job.material = { chainPem, leaf, key: await world.records.privateKey(world.spec.name, keyIdOf(pending)) }
  const what = `${leaf.keyType} certificate for ${leaf.names.join(', ')}, valid until ${iso(leaf.notAfter)}`
  return how === 'new' ? done(`${what}, from ${leaf.issuer}`) : skipped(`${what}, ${how}`)
}
