import { isDeepStrictEqual } from 'node:util'
import { RotationError } from '../../base/rotation-error.ts'
import type { DomainConfiguration } from '../../iotda/client.ts'
import type { PendingBinding, Replaced } from '../../state/documents.ts'
import { encodeKey } from '../../x509/key.ts'
import { look } from '../observe/inspect.ts'
import {
  boundId,
  changed,
  done,
  type Job,
  type Step,
  skipped,
  suspend,
  timeToBindMs,
  type World,
  warn,
} from '../world.ts'
import { lookBefore, overruled } from './baseline.ts'
import { soaking } from './bind-time.ts'
import { confirmUploaded, findUploaded, isAmbiguous, isLost, isStoreDown, settle } from './lost-answers.ts'
import { configBack, configFor, switchesOff } from './ocsp-stapling.ts'
import { blockedRoom } from './room.ts'
import { findRoom } from './slots.ts'

/**
 * The only place that changes IoTDA. Every change re-reads the domain configuration just before, proves the
 * lease, and treats a lost answer as a question: what is there now?
 */

/** Frees a slot when both are used: one certificate that is not bound, by the delete guard. */
export const free: Step = async (world, job) => {
  const { target, iotda, run, event } = world
  const served = await look(world)
  const { fingerprint } = materialOf(job).leaf
  const room = findRoom(
    { ...job.inspection, served: [...job.inspection.served, ...served] },
    {
      target,
      document: await job.targetDocument.get(),
      fingerprint,
      pressing: event.force || job.verdict.emergency,
    },
  )
  if (room.kind === 'present') return skipped('the certificate is in a slot already')
  if (room.kind === 'room') return skipped('a slot is free')
  if (room.kind === 'blocked') return blockedRoom(room)

  const id = room.slot.serverCertificateId
  await job.lease?.guard()
  const configuration = await readBinding(world, job)
  if (configuration?.serverCertificateId === id) throw changed(`certificate ${id} was bound meanwhile`)
  try {
    await iotda.deleteServerCertificate(id, run.signal)
  } catch (error) {
    // A lost answer or a refusal: gone is gone.
    const left = await iotda.listServerCertificates(run.signal)
    if (left.some(c => c.serverCertificateId === id)) throw error
  }
  job.deletedJustNow = true
  job.deleted.push({ serverCertificateId: id, why: room.why })
  await job.targetDocument.update(d => ({ ...d, added: d.added.filter(a => a !== id) }))
  return done(`deleted ${id}: ${room.why}`, 'DeleteServerCertificate')
}

/** Uploads chain and key, unless the leaf is in a slot already. Never the same leaf twice. */
export const add: Step = async (world, job) => {
  const { iotda, target, run } = world
  const { leaf, chainPem, key } = materialOf(job)
  const present = await findUploaded(world, leaf)
  if (present === 'unknown')
    return suspend(world.run.clock.now() + world.intervalMs, 'a slot cannot be read; adding could add twice')
  if (present) return adoptUploaded(world, job, present, 'it is in a slot already')
  if (!key)
    throw new RotationError('certificate-invalid', 'the private key of the obtained certificate is gone')
  await job.lease?.guard()
  try {
    const { privateKey, password } = encodeKey(key, target.keyEncoding)
    const { serverCertificateId } = await iotda.addServerCertificate(
      { certificatePem: chainPem, privateKey, privateKeyPassword: password },
      run.signal,
    )
    // Written down at once: whatever happens now, it is known as ours.
    const uploaded = await adoptUploaded(world, job, serverCertificateId, 'uploaded')
    await confirmUploaded(world, serverCertificateId, leaf)
    return uploaded
  } catch (error) {
    if (!isAmbiguous(error, job))
      throw (await slotsChanged(world, job)) ? changed('a slot was filled') : error
    const found = await settle(
      world,
      () => findUploaded(world, leaf),
      id => id !== null && id !== 'unknown',
    )
    if (found && found !== 'unknown')
      return adoptUploaded(world, job, found, 'uploaded; the answer was lost, it was found by its PEM')
    return suspend(
      run.clock.now() + world.intervalMs,
      `whether IoTDA took the certificate is unknown (${(error as Error).message}); only a later run adds again`,
    )
  }
}

/** Whether somebody uploaded or deleted since this run looked: a refusal may mean that the slots are full now. */
async function slotsChanged({ iotda, run }: World, { inspection, deleted }: Job): Promise<boolean> {
  const seen = inspection.slots.map(s => s.serverCertificateId)
  const left = seen.filter(id => !deleted.some(d => d.serverCertificateId === id))
  const listed = await iotda.listServerCertificates(run.signal)
  return listed.length !== left.length || !listed.every(c => left.includes(c.serverCertificateId))
}

/** Points the domain configuration at the new certificate: the cut-over. */
export const bind: Step = async (world, job) => {
  const { target, run, event } = world
  const { leaf } = materialOf(job)
  const { serverCertificateId: id, staplingBack } = await pendingOf(job)
  if (id === null) throw new RotationError('internal', 'bind without an uploaded certificate')
  // Where there is no way back, no time is needed for it.
  const wayBack = (job.inspection.bound?.slot?.expiryDate ?? 0) > run.clock.now()
  if (wayBack && run.deadline - run.clock.now() < timeToBindMs(target)) {
    return suspend(
      run.clock.now() + world.intervalMs,
      'too little time is left in this run to verify and, if needed, to roll back',
    )
  }
  if (boundId(job) === id) return skipped(`${id} is bound already`)
  const wait = soaking(world, job, leaf)
  if (wait) return wait
  const { held } = await job.targetDocument.refresh()
  if (held && held.since > job.inspection.at && event.action === 'rotate' && !event.force)
    throw changed(`the target was held meanwhile: ${held.why}`)
  const replaces = await replacedBy(world, job)
  const excused = { overruled: [...overruled(world, job)] }
  await job.targetDocument.update(d =>
    d.pending ? { ...d, pending: { ...d.pending, replaces, ...excused } } : d,
  )
  await job.lease?.guard()
  const configuration = await readBinding(world, job)
  const config = configuration && configFor(world, job, configuration, { leaf, staplingBack })
  if (configuration) await putBinding(world, configuration.configurationId, id, config)
  else await createBinding(world, id)
  await noteBound(world, job).catch(error => {
    // The deed is done, and `replaces` is written down: whether devices are served counts more than the note.
    run.log.warn({ target: target.name, error: (error as Error).message }, 'the bind could not be noted')
    warn(job, 'state-not-written', `the bind could not be written down: ${(error as Error).message}`)
  })
  return done(
    `${id} is bound to ${target.domain}`,
    configuration ? 'UpdateDomainConfiguration' : 'CreateDomainConfiguration',
  )
}

/** Sends the bound id again, once: the port serves something else. */
export const rebind: Step = async (world, job) => {
  const id = boundId(job)
  await job.lease?.guard()
  const configuration = await readBinding(world, job)
  if (!configuration || id === null) throw changed('nothing is bound any more')
  await putBinding(world, configuration.configurationId, id, configuration.serverCertificateConfig)
  await job.targetDocument.update(d => ({ ...d, lastBoundAt: world.run.clock.now() }))
  return done(`${id} was bound again`, 'UpdateDomainConfiguration')
}

/** Binds the predecessor again after verify found the new certificate unusable. */
export async function putBack(world: World, job: Job, replaced: Replaced): Promise<void> {
  const { iotda, run } = world
  const { configuration } = job.inspection
  if (!configuration) throw changed('the domain configuration is gone')
  const pending = await pendingOf(job)
  await job.lease?.guard().catch(error => {
    // A full disk must not leave devices with what they refuse; a lease that another run has taken must.
    if (!isStoreDown(error)) throw error
    warn(job, 'state-not-written', `the lease could not be prolonged: ${error.message}`)
  })
  const now = await iotda.showDomainConfiguration(configuration.configurationId, run.signal)
  if (now.serverCertificateId === replaced.serverCertificateId) return
  if (now.serverCertificateId !== pending.serverCertificateId)
    throw changed(`${now.serverCertificateId} was bound meanwhile`)
  const config = configBack(now, replaced, pending.staplingBack)
  await putBinding(world, now.configurationId, replaced.serverCertificateId, config)
  await job.targetDocument
    .update(d => ({ ...d, lastBoundAt: run.clock.now() }))
    .catch(error => warn(job, 'state-not-written', (error as Error).message))
}

// --- the binding -------------------------------------------------------------------------------------------

/** The configuration as it is now; it must still be what this run decided on. */
async function readBinding({ iotda, run }: World, job: Job): Promise<DomainConfiguration | null> {
  const decided = job.inspection.configuration
  if (!decided) {
    const all = await iotda.listDomainConfigurations(run.signal)
    if (all.length > 0) throw changed(`a domain configuration for ${all[0]?.domainName} has appeared`)
    return null
  }
  const now = await iotda.showDomainConfiguration(decided.configurationId, run.signal)
  if (now.serverCertificateId !== boundId(job))
    throw changed(`${now.serverCertificateId} was bound meanwhile`)
  if (!isDeepStrictEqual(now.serverCertificateConfig, decided.serverCertificateConfig)) {
    throw changed('the OCSP settings of the domain configuration were changed')
  }
  return now
}

async function replacedBy(world: World, job: Job): Promise<Replaced | 'first'> {
  const { configuration, bound } = job.inspection
  if (!configuration?.serverCertificateId) return 'first'
  return {
    serverCertificateId: configuration.serverCertificateId,
    serverCertificateConfig: configuration.serverCertificateConfig,
    fingerprint: bound?.slot?.leaf?.fingerprint ?? null,
    staplingOff: switchesOff(world, configuration.serverCertificateConfig, materialOf(job).leaf),
    ...(await lookBefore(world, job)),
  }
}

async function putBinding(
  { iotda, run }: World,
  configurationId: string,
  serverCertificateId: string,
  serverCertificateConfig: DomainConfiguration['serverCertificateConfig'],
): Promise<void> {
  const isBound = async (): Promise<boolean> =>
    (await iotda.showDomainConfiguration(configurationId, run.signal)).serverCertificateId ===
    serverCertificateId
  let failure: unknown = null
  try {
    await iotda.updateDomainConfiguration(
      configurationId,
      { serverCertificateId, serverCertificateConfig },
      run.signal,
    )
  } catch (error) {
    if (!isLost(error)) throw error
    failure = error
  }
  if (await settle({ run }, isBound, bound => bound)) return
  throw (
    failure ??
    new RotationError(
      'unavailable',
      `iotda UpdateDomainConfiguration was accepted, but ${serverCertificateId} is not bound a minute later`,
    )
  )
}

async function createBinding({ iotda, run, target }: World, serverCertificateId: string): Promise<void> {
  try {
    await iotda.createDomainConfiguration({ domainName: target.domain, serverCertificateId }, run.signal)
  } catch (error) {
    if (!isLost(error)) throw error
    const all = await iotda.listDomainConfigurations(run.signal)
    if (!all.some(c => c.serverCertificateId === serverCertificateId)) throw error
  }
}

async function noteBound({ run }: World, job: Job): Promise<void> {
  const at = run.clock.now()
  await job.targetDocument.update(d => ({
    ...d,
    lastBoundAt: at,
    pending: d.pending && { ...d.pending, boundAt: at },
  }))
}

// --- the upload --------------------------------------------------------------------------------------------

async function adoptUploaded({ specHash, target }: World, job: Job, id: string, how: string) {
  const { leaf } = materialOf(job)
  job.uploadedId = id
  const pending: PendingBinding = {
    fingerprint: leaf.fingerprint,
    specHash: job.pending?.specHash ?? specHash,
    serverCertificateId: id,
    replaces: null,
    boundAt: null,
    failedWhy: null,
  }
  await job.targetDocument.update(d => ({
    ...d,
    pending: d.pending?.serverCertificateId === id ? d.pending : pending,
    added: d.added.includes(id) ? d.added : [...d.added, id],
  }))
  return how === 'uploaded'
    ? done(`${id} holds the new certificate of ${target.name}`, 'CreateServerCertificate')
    : done(`${id}: ${how}`)
}

const materialOf = (job: Job): NonNullable<Job['material']> => {
  if (!job.material) throw new RotationError('internal', 'deploy without a certificate')
  return job.material
}

const pendingOf = async (job: Job): Promise<PendingBinding> => {
  const { pending } = await job.targetDocument.get()
  if (!pending) throw new RotationError('internal', 'no pending certificate is written down')
  return pending
}
