import { RotationError } from '../base/errors.ts'
import { HOUR_MS, iso } from '../base/time.ts'
import type { Journal } from '../contracts.ts'
import { leafOf, normalizePem, parseChain } from '../x509/certificate.ts'
import type { PendingCertificate } from './documents.ts'
import { takeLease } from './lease.ts'
import { withLeftover } from './leftovers.ts'
import { newPendingId, segment } from './record.ts'
import { findRoom } from './slots.ts'
import { done, type Job, type Step, type StepResult, skipped, suspend, type World } from './world.ts'

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

/** Both slots are used and neither may go: wait where waiting helps, else a person is needed. */
export function blockedRoom(room: { readonly until: number | null; readonly why: string }): StepResult {
  if (room.until !== null) return suspend(room.until, `both slots are used: ${room.why}`)
  throw new RotationError('slots-full', `both slots are used: ${room.why}`, {
    hint: 'Delete one unbound server certificate in the console, or change slots.delete.',
  })
}

async function obtainInTurn(world: World, job: Job): Promise<StepResult> {
  const known = await usable(world, job)
  if (known?.chainPem) return take(world, job, known, 'obtained by an earlier run')
  const lease = await takeLease(world.store, `certificate-${segment(world.spec.name)}`, world.run)
  try {
    const pending = (await usable(world, job)) ?? (await begin(world, job))
    if (pending.chainPem) return await take(world, job, pending, 'obtained by another run')
    return await fromSource(world, job, pending)
  } finally {
    await lease.release()
  }
}

/** The pending certificate, if it still is what the settings ask for and good for this target. */
async function usable(world: World, job: Job): Promise<PendingCertificate | null> {
  const { pending } = await job.certificateDocument.refresh()
  if (!pending) return null
  const now = world.run.clock.now()
  const { rolledBack } = await job.targetDocument.get()
  const leaf = pending.chainPem ? leafOf(first(pending.chainPem)) : null
  // Bound here already: it is kept for a target that has not got it yet, and is not what is wanted now.
  const bound = job.inspection.bound?.slot?.leaf?.fingerprint
  const spent =
    leaf !== null &&
    (leaf.notAfter - now < (leaf.notAfter - leaf.notBefore) / 3 ||
      rolledBack.includes(leaf.fingerprint) ||
      leaf.fingerprint === bound)
  const keyless =
    leaf !== null &&
    !(await world.records.privateKey(world.spec.name, pending.id)) &&
    !inSlot(job, leaf.fingerprint)
  if (pending.specHash === world.specHash && !spent && !keyless) return pending
  await drop(world, job, pending)
  return null
}

const inSlot = (job: Job, fingerprint: string): boolean =>
  job.inspection.slots.some(s => s.leaf?.fingerprint === fingerprint)

const first = (chainPem: string) => {
  const [leaf] = parseChain(chainPem)
  if (!leaf) throw new RotationError('certificate-invalid', 'the source gave no certificate')
  return leaf
}

/** Gives a pending certificate up: its authorizations and TXT values first, then its key, then the entry. */
async function drop(
  { source, records, spec, run }: World,
  job: Job,
  pending: PendingCertificate,
): Promise<void> {
  const journal = await records.journal(spec.name, pending.id)
  try {
    if (!pending.chainPem) await source.abandon(journal, run)
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
  await records.wipeKey(spec.name, pending.id)
  await job.certificateDocument.update(d =>
    d.pending?.id === pending.id
      ? { ...d, pending: null, leftovers: withLeftover(d.leftovers, journal.notes) }
      : d,
  )
}

async function begin({ run, specHash, spec }: World, job: Job): Promise<PendingCertificate> {
  const fresh: PendingCertificate = {
    id: newPendingId(),
    specHash,
    source: spec.source,
    since: run.clock.now(),
    notes: {},
    chainPem: null,
    fingerprint: null,
  }
  const { pending } = await job.certificateDocument.update(d => (d.pending ? d : { ...d, pending: fresh }))
  return pending ?? fresh
}

async function fromSource(world: World, job: Job, pending: PendingCertificate): Promise<StepResult> {
  const { source, records, spec, run } = world
  const journal = await records.journal(spec.name, pending.id)
  const replaces = job.inspection.bound?.slot?.certificatePem ?? null
  const obtained = await source.obtain({ spec, replaces }, journal, run).catch(async error => {
    await noteTheCasWord(world, job, error)
    await forgetUnbegun(world, job, journal, pending)
    throw ofSource(error, spec.source)
  })
  if (obtained.kind === 'suspended') return suspend(obtained.until, obtained.why)
  const { chainPem, fingerprint } = readObtained(obtained.chainPem, spec.source)
  const kept = await job.certificateDocument.update(d =>
    d.pending?.id === pending.id
      ? {
          ...d,
          notBefore: null,
          pending: { ...d.pending, chainPem, fingerprint, notes: obtained.leftovers ?? {} },
        }
      : d,
  )
  return take(world, job, kept.pending ?? { ...pending, chainPem, fingerprint }, 'new')
}

function readObtained(pem: string, source: string): { chainPem: string; fingerprint: string } {
  try {
    // As IoTDA wants it: leaf first, no blank lines, no text between the blocks.
    const chainPem = normalizePem(parseChain(pem))
    return { chainPem, fingerprint: leafOf(first(chainPem)).fingerprint }
  } catch (error) {
    throw ofSource(error, source)
  }
}

/** A PEM text that cannot be read does not know where it came from. */
function ofSource(error: unknown, source: string): unknown {
  if (!(error instanceof RotationError) || error.code !== 'certificate-invalid') return error
  return new RotationError(
    'certificate-invalid',
    `sources.${source} gave no usable certificate: ${error.message}`,
    {
      cause: error,
      hint: `Nothing on IoTDA was changed. See what stands behind sources.${source}; a later run asks it again.`,
    },
  )
}

/** A source that failed before it wrote anything down has begun nothing that a later run could go on with. */
async function forgetUnbegun(
  { records, spec }: World,
  job: Job,
  { notes }: Journal,
  { id }: PendingCertificate,
): Promise<void> {
  if (Object.keys(notes).length > 0 || (await records.privateKey(spec.name, id))) return
  await job.certificateDocument.update(d =>
    d.pending?.id === id && d.pending.chainPem === null ? { ...d, pending: null } : d,
  )
}

/** What the CA says about waiting binds every later run, forced ones included. */
async function noteTheCasWord({ run }: World, job: Job, error: unknown): Promise<void> {
  if (!(error instanceof RotationError) || error.code !== 'rate-limited') return
  const at = error.retryAt ?? run.clock.now() + HOUR_MS
  await job.certificateDocument.update(d => ({ ...d, notBefore: { at, why: error.message } }))
}

async function take(world: World, job: Job, pending: PendingCertificate, how: string): Promise<StepResult> {
  const chainPem = pending.chainPem ?? ''
  const leaf = leafOf(first(chainPem))
  job.pending = pending
  job.material = { chainPem, leaf, key: await world.records.privateKey(world.spec.name, pending.id) }
  const what = `${leaf.keyType} certificate for ${leaf.names.join(', ')}, valid until ${iso(leaf.notAfter)}`
  return how === 'new' ? done(`${what}, from ${leaf.issuer}`) : skipped(`${what}, ${how}`)
}
