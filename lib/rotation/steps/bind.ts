import { RotationError } from '../../base/rotation-error.ts'
import type { DomainConfiguration } from '../../iotda/client.ts'
import type { Leaf } from '../../model/certificate.ts'
import type { PendingBinding, Replaced } from '../../state/documents.ts'
import type { Lease } from '../../state/lease.ts'
import { type Context, changed, targetDocument } from '../context.ts'
import type { Decided, DueToRepair } from '../decide/decision.ts'
import type { Inspection } from '../observe/inspection.ts'
import { isUnanswered, readBack, readConfiguration } from '../observe/read-back.ts'
import { done, logFailure, type StepResult, skipped, untilNextRun, warn } from '../trace.ts'
import type { Uploaded } from './add.ts'
import { lookBefore, overruled } from './baseline.ts'
import { openingFor, timeToBindMs } from './bind-time.ts'
import { configFor, differenceOf, switchesOff } from './ocsp-stapling.ts'

/** What is bound and waits for its proof. */
export interface Bound {
  readonly inspection: Inspection
  readonly binding: PendingBinding
  /** What this run brought there; null: an earlier run, or a person, bound it. */
  readonly deployed: { readonly leaf: Leaf; readonly serverCertificateId: string } | null
}

/**
 * Points the domain configuration at the new certificate: the cut-over. As every change of the binding, it re-reads
 * the configuration just before, proves the lease, and takes a lost answer for a question: what is there now?
 */
export async function bind(context: Context, lease: Lease, uploaded: Uploaded): Promise<StepResult<Bound>> {
  const { target, run, event } = context
  const { inspection, material, binding } = uploaded
  const { leaf } = material
  const { serverCertificateId: id, staplingBack } = binding
  const now = run.clock.now()
  // Where there is no way back, no time is needed for it.
  const wayBack = (inspection.bound?.slot?.expiryDate ?? 0) > now
  if (wayBack && run.deadline - now < timeToBindMs(target))
    throw untilNextRun(context, 'too little time is left in this run to verify and, if needed, to roll back')
  const deployed = { leaf, serverCertificateId: id }
  if (inspection.bound?.serverCertificateId === id)
    return skipped({ inspection, binding, deployed }, `${id} is bound already`)
  const wait = openingFor(context, uploaded.decision, leaf)
  if (wait) throw wait
  const { held } = await targetDocument(context).refresh()
  if (held && held.since > inspection.at && event.action === 'rotate' && !event.force)
    throw changed(`the target was held meanwhile: ${held.why}`)
  const replaces = await replacedBy(context, uploaded)
  const known = { replaces, overruled: [...overruled(context, uploaded, material.chainPem)] }
  await targetDocument(context).update(d => (d.pending ? { ...d, pending: { ...d.pending, ...known } } : d))
  await lease.guard()
  const configuration = await readConfiguration(context, inspection)
  if (configuration)
    await putBinding(context, configuration, id, configFor(context, configuration, leaf, staplingBack))
  else await createBinding(context, id)
  const boundAt = run.clock.now()
  await targetDocument(context)
    .update(d => ({ ...d, lastBoundAt: boundAt, pending: d.pending && { ...d.pending, boundAt } }))
    .catch(error => {
      // The deed is done, and `replaces` is written down: whether devices are served counts more than the note.
      logFailure(context, error, 'the bind could not be noted')
      warn(context, 'state-not-written', `the bind could not be written down: ${(error as Error).message}`)
    })
  return done(
    { inspection, binding: { ...binding, ...known, boundAt }, deployed },
    `${id} is bound to ${target.domain}`,
    configuration ? 'UpdateDomainConfiguration' : 'CreateDomainConfiguration',
  )
}

/** What is sent again because the port serves something else. */
export interface BoundAgain extends Decided<DueToRepair> {
  readonly serverCertificateId: string
}

/** Sends the bound id again, once: the port serves something else. */
export async function bindAgain(
  context: Context,
  lease: Lease,
  decided: Decided<DueToRepair>,
): Promise<StepResult<BoundAgain>> {
  await lease.guard()
  const configuration = await readConfiguration(context, decided.inspection)
  const id = configuration?.serverCertificateId
  if (!id) throw changed('nothing is bound any more')
  await putBinding(context, configuration, id, configuration.serverCertificateConfig)
  await targetDocument(context).update(d => ({ ...d, lastBoundAt: context.run.clock.now() }))
  return done({ ...decided, serverCertificateId: id }, `${id} was bound again`, 'UpdateDomainConfiguration')
}

async function replacedBy(
  context: Context,
  { inspection, decision, material }: Uploaded,
): Promise<Replaced | 'first'> {
  const { configuration, bound } = inspection
  if (!configuration?.serverCertificateId) return 'first'
  const { serverCertificateId, serverCertificateConfig } = configuration
  return {
    serverCertificateId,
    serverCertificateConfig,
    fingerprint: bound?.slot?.leaf?.fingerprint ?? null,
    staplingOff: switchesOff(context, serverCertificateConfig, material.leaf),
    ...(await lookBefore(context, { inspection, decision })),
  }
}

/** Binds by an update, and reads back that it is so, and with the OCSP settings that were sent. */
export async function putBinding(
  context: Context,
  { configurationId }: DomainConfiguration,
  serverCertificateId: string,
  serverCertificateConfig: DomainConfiguration['serverCertificateConfig'],
): Promise<void> {
  const { iotda, run } = context
  const binding = { serverCertificateId, serverCertificateConfig }
  const show = (): Promise<DomainConfiguration> => iotda.showDomainConfiguration(configurationId, run.signal)
  let failure: unknown = null
  try {
    await iotda.updateDomainConfiguration(configurationId, binding, run.signal)
  } catch (error) {
    if (!isUnanswered(error)) throw error
    failure = error
  }
  const now = await readBack({ run }, show, it => it.serverCertificateId === serverCertificateId)
  if (now.serverCertificateId === serverCertificateId) return mindStapling(context, binding, now)
  throw (
    failure ??
    new RotationError(
      'unavailable',
      `iotda UpdateDomainConfiguration was accepted, but ${serverCertificateId} is not bound a minute later`,
    )
  )
}

/**
 * There is no conditional update: what stands there after ours is told where it is not what was sent. What was on and
 * is off at once was lost with the update, and is sent again; anything else is a person's word, which stands.
 */
async function mindStapling(
  context: Context,
  sent: Pick<DomainConfiguration, 'serverCertificateConfig'> & { readonly serverCertificateId: string },
  { configurationId, serverCertificateConfig: found }: DomainConfiguration,
): Promise<void> {
  const { iotda, run } = context
  const { said, isLost } = differenceOf(sent.serverCertificateConfig, found)
  if (said === null) return
  if (!isLost) return warn(context, 'ocsp-changed', `the OCSP settings were changed during the bind: ${said}`)
  warn(context, 'ocsp-changed', `the OCSP settings were lost with the bind, and are sent again: ${said}`)
  await iotda
    .updateDomainConfiguration(configurationId, sent, run.signal)
    .catch(error => logFailure(context, error, 'the OCSP settings could not be sent again'))
}

async function createBinding({ iotda, run, target }: Context, serverCertificateId: string): Promise<void> {
  try {
    await iotda.createDomainConfiguration({ domainName: target.domain, serverCertificateId }, run.signal)
  } catch (error) {
    if (!isUnanswered(error)) throw error
    const all = await iotda.listDomainConfigurations(run.signal)
    if (!all.some(c => c.serverCertificateId === serverCertificateId)) throw error
  }
}
