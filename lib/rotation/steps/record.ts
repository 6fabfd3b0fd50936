import type { PendingBinding, TargetDocument } from '../../state/documents.ts'
import { backOffMs } from '../decide/decide.ts'
import { done, type Job, type Step, skipped, type World } from '../world.ts'
import { sweep, withLeftover } from './leftovers.ts'

/** Roll-backs in a row before the target is held. */
const ROLL_BACKS_AT_MOST = 2

/** Writes down what has become current and previous, and lets go of what is no longer needed. */
export const record: Step = async (world, job) => {
  const { proof } = job
  if (!proof) return skipped('nothing to write down')
  if (proof.kind === 'bad') {
    await job.targetDocument.update(d => rolledBack(d, world, job, proof.why))
    await settleCertificate(world, job)
    return { ...done('the rollback is written down'), outcome: 'rolled-back' }
  }
  await promote(world, job)
  return { ...done('current and previous are written down'), outcome: 'rotated' }
}

/** The pending certificate becomes current; with `unusableWhy` although devices cannot use it. */
export async function promote(world: World, job: Job, unusableWhy: string | null = null): Promise<void> {
  await job.targetDocument.update(d => {
    const next = promoted(d, world)
    if (unusableWhy === null || !d.pending) return next
    const { rolledBack, rollBacks, held } = rolledBackNow(d, world, d.pending.fingerprint, unusableWhy)
    return { ...next, rolledBack, rollBacks, held }
  })
  await settleCertificate(world, job)
}

function promoted(document: TargetDocument, { event }: World): TargetDocument {
  const { pending } = document
  if (!pending?.serverCertificateId) return document
  const { serverCertificateId, fingerprint, specHash, replaces } = pending
  // Null when a person bound what this program had uploaded: it replaced what was current.
  const replaced = replaces === 'first' ? null : (replaces ?? document.current)
  const staplingOff = replaces !== null && replaces !== 'first' && replaces.staplingOff === true
  return {
    ...document,
    current: { serverCertificateId, fingerprint, specHash },
    previous: replaced
      ? {
          ...{ serverCertificateId: replaced.serverCertificateId, fingerprint: replaced.fingerprint },
          ...(staplingOff ? { staplingOff } : {}),
        }
      : document.previous,
    pending: null,
    declined: null,
    passedOver: null,
    held: event.action === 'rollback' || heldSince(document, pending) ? document.held : null,
    failures: 0,
    retryAfter: null,
    rollBacks: 0,
  }
}

/**
 * Whether the hold came with or after the bind: a rollback by hand (also one that a later run finishes), `until`,
 * or `hold`. The bind itself had leave to end an older one.
 */
function heldSince({ held, rolledBack }: TargetDocument, { boundAt, replaces }: PendingBinding): boolean {
  if (!held) return false
  const replaced = replaces && replaces !== 'first' ? replaces.fingerprint : null
  return boundAt === null || held.since >= boundAt || (replaced !== null && rolledBack.includes(replaced))
}

/** A rolled-back leaf is never bound again unattended; one more is tried after a back-off, then the target is held. */
function rolledBack(
  document: TargetDocument,
  world: World,
  { inspection }: Job,
  why: string,
): TargetDocument {
  const { pending } = document
  if (!pending) return document
  const at = world.run.clock.now()
  const failures = document.failures + 1
  const current = inspection.slots.find(s => s.serverCertificateId === document.current?.serverCertificateId)
  return {
    ...document,
    pending: null,
    ...rolledBackNow(document, world, pending.fingerprint, why),
    failures,
    retryAfter: at + backOffMs(failures, (current?.expiryDate ?? at) - at),
  }
}

/** Never again this leaf; after two in a row nothing more without a person. */
function rolledBackNow(
  document: TargetDocument,
  { run, specHash }: World,
  fingerprint: string,
  why: string,
): Pick<TargetDocument, 'rolledBack' | 'rollBacks' | 'held'> {
  const rollBacks = document.rollBacks + 1
  const giveUp = `${rollBacks} new certificates in a row had to be rolled back, last: ${why}`
  return {
    rolledBack: [...document.rolledBack, fingerprint].slice(-20),
    rollBacks,
    held: rollBacks < ROLL_BACKS_AT_MOST ? document.held : { since: run.clock.now(), why: giveUp, specHash },
  }
}

/** Once every target that shares the certificate has it (or has rolled it back), its key is wiped. */
export async function settleCertificate(world: World, job: Job): Promise<void> {
  const { records, sharing, spec } = world
  const { pending } = await job.certificateDocument.get()
  if (!pending?.fingerprint) return
  const { fingerprint } = pending
  const documents = await Promise.all(
    sharing.map(target =>
      // A target whose state cannot be read has not got it yet, for all that is known.
      records
        .target(target)
        .refresh()
        .catch(() => null),
    ),
  )
  const has = (d: TargetDocument | null): boolean =>
    d !== null &&
    (d.current?.fingerprint === fingerprint ||
      d.rolledBack.includes(fingerprint) ||
      d.declined === pending.id)
  if (!documents.every(has)) return
  const isCurrent = documents.some(d => d?.current?.fingerprint === fingerprint)
  const { keyId } = pending
  const { keptKeys } = await job.certificateDocument.get()
  for (const id of keyId === undefined ? [pending.id, ...keptKeys] : keptKeys.filter(k => k !== keyId))
    await records.wipeKey(spec.name, id)
  await job.certificateDocument.update(d => {
    if (d.pending?.id !== pending.id) return d
    const leaf = job.material?.leaf ?? job.inspection.bound?.slot?.leaf
    const current = isCurrent
      ? { fingerprint, specHash: pending.specHash, notAfter: leaf?.notAfter ?? 0, source: pending.source }
      : d.current
    return {
      ...d,
      pending: null,
      current,
      keptKeys: keyId === undefined ? [] : [keyId],
      leftovers: withLeftover(d.leftovers, pending.notes, pending.source),
    }
  })
  await sweep(world, job)
}
