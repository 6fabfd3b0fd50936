import { RotationError } from '../../base/rotation-error.ts'
import type { Leaf } from '../../model/certificate.ts'
import type { Kind } from '../../model/rollout.ts'
import type { PendingBinding } from '../../state/documents.ts'
import type { Lease } from '../../state/lease.ts'
import { encodeKey } from '../../x509/key.ts'
import { type Context, changed, targetDocument } from '../context.ts'
import { readLeaf } from '../observe/inspect.ts'
import type { Inspection } from '../observe/inspection.ts'
import { isUnanswered, readBack } from '../observe/read-back.ts'
import { done, type StepResult, untilNextRun } from '../trace.ts'
import type { Placed } from './free.ts'
import type { Material } from './obtain.ts'
import type { Judged } from './preflight.ts'

/** A certificate that preflight lets pass and that is in a slot, as it is written down. */
export interface Uploaded extends Judged {
  readonly binding: PendingBinding & { readonly serverCertificateId: string }
}

/**
 * Uploads chain and key, unless the leaf is in a slot already. Never the same leaf twice: a lost answer is a
 * question, what is there now?
 */
export async function add(context: Context, lease: Lease, placed: Placed): Promise<StepResult<Uploaded>> {
  const { iotda, target, run } = context
  const { leaf, chainPem, key } = placed.material
  const present = await findUploaded(context, leaf)
  if (present === 'unknown') throw untilNextRun(context, 'a slot cannot be read; adding could add twice')
  if (present) return found(await noteUploaded(context, placed, present), 'it is in a slot already')
  if (!key)
    throw new RotationError('certificate-invalid', 'the private key of the obtained certificate is gone')
  await lease.guard()
  try {
    const { privateKey, password } = encodeKey(key, target.keyEncoding)
    const { serverCertificateId: id } = await iotda.addServerCertificate(
      { certificatePem: chainPem, privateKey, privateKeyPassword: password },
      run.signal,
    )
    // Written down at once: whatever happens now, it is known as ours.
    const uploaded = await noteUploaded(context, placed, id)
    await confirmUploaded(context, id, leaf)
    return done(uploaded, `${id} holds the new certificate of ${target.name}`, 'CreateServerCertificate')
  } catch (error) {
    if (!isAmbiguous(context, error))
      throw (await slotsChanged(context, placed.inspection)) ? changed('a slot was filled') : error
    const id = await readBack(
      context,
      () => findUploaded(context, leaf),
      answer => answer !== null && answer !== 'unknown',
    )
    if (id && id !== 'unknown')
      return found(
        await noteUploaded(context, placed, id),
        'uploaded; the answer was lost, it was found by its PEM',
      )
    throw untilNextRun(
      context,
      `whether IoTDA took the certificate is unknown (${(error as Error).message}); only a later run adds again`,
    )
  }
}

/** Uploaded, and not bound yet. */
export const newBinding = (
  { leaf, specHash }: Material,
  serverCertificateId: string,
  kind: Kind | null = null,
) => ({
  fingerprint: leaf.fingerprint,
  specHash,
  serverCertificateId,
  ...(kind ? { kind } : {}),
  replaces: null,
  boundAt: null,
  failedWhy: null,
})

const found = (uploaded: Uploaded, how: string): StepResult<Uploaded> =>
  done(uploaded, `${uploaded.binding.serverCertificateId}: ${how}`)

async function noteUploaded(
  context: Context,
  { inspection, document, decision, material, table, kind }: Placed,
  serverCertificateId: string,
): Promise<Uploaded> {
  const binding = newBinding(material, serverCertificateId, kind)
  const isKnown = ({ pending }: typeof document): boolean =>
    pending?.serverCertificateId === serverCertificateId
  context.trace.add('uploads', serverCertificateId)
  const { pending } = await targetDocument(context).update(d => ({
    ...d,
    pending: isKnown(d) ? d.pending : binding,
    added: d.added.includes(serverCertificateId) ? d.added : [...d.added, serverCertificateId],
  }))
  const noted = { ...binding, ...pending, serverCertificateId }
  return { inspection, document, decision, material, table, binding: noted }
}

/** The id under which this very leaf is uploaded; `unknown` when a slot could not be read. */
async function findUploaded({ iotda, run }: Context, leaf: Leaf): Promise<string | 'unknown' | null> {
  const listed = await iotda.listServerCertificates(run.signal)
  const shown = await Promise.all(
    listed.map(c => iotda.showServerCertificate(c.serverCertificateId, run.signal)),
  )
  const same = shown.find(c => c && readLeaf(c.certificatePem)?.fingerprint === leaf.fingerprint)
  if (same) return same.serverCertificateId
  return shown.includes(null) ? 'unknown' : null
}

/** Sees that an upload is what it should be. @throws RotationError `unavailable` */
async function confirmUploaded(context: Context, id: string, leaf: Leaf): Promise<void> {
  const { iotda, run } = context
  const shown = await readBack(
    context,
    () => iotda.showServerCertificate(id, run.signal),
    c => c !== null,
  )
  if (shown && readLeaf(shown.certificatePem)?.fingerprint === leaf.fingerprint) return
  throw new RotationError(
    'unavailable',
    `iotda ShowServerCertificate does not show what was uploaded as ${id}`,
  )
}

/** A refusal right after our own delete may be the platform still counting the deleted one. */
const isAmbiguous = ({ trace }: Context, error: unknown): boolean =>
  isUnanswered(error) ||
  (trace.deletions.length > 0 && error instanceof RotationError && error.code === 'service-refused')

/** Whether somebody uploaded or deleted since this run looked: a refusal may mean that the slots are full now. */
async function slotsChanged({ iotda, run, trace }: Context, { slots }: Inspection): Promise<boolean> {
  const left = slots
    .map(s => s.serverCertificateId)
    .filter(id => !trace.deletions.some(d => d.serverCertificateId === id))
  const listed = await iotda.listServerCertificates(run.signal)
  return listed.length !== left.length || !listed.every(c => left.includes(c.serverCertificateId))
}
