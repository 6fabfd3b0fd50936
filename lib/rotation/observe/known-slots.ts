import type { ServerCertificate } from '../../iotda/client.ts'
import type { Leaf, Served, Slot } from '../../model/certificate.ts'
import { type Context, isShown } from '../context.ts'
import type { Inspection } from './inspection.ts'

/**
 * What a look at each certificate would say, where the world says it already. IoTDA has no call that changes a
 * certificate, so that an id always stands for the same leaf; what is bound and what is served are asked each time.
 * Whatever is due or in doubt looks at everything, as does every look under the lease.
 */

/** Whether nothing is open that depends on more than the bound leaf: no step, no doubt, no person who looks. */
export function isSettled(context: Context, { target, certificate }: Inspection['documents']): boolean {
  const { event, rings, specHash } = context
  const isPlain = event.action === 'rotate' && !event.force && event.until === null && event.accept === null
  const isQuiet =
    target.pending === null &&
    target.held === null &&
    target.failures === 0 &&
    target.retryAfter === null &&
    target.rolledBack.length === 0 &&
    target.watch === undefined &&
    target.current?.specHash === specHash
  const isGood =
    certificate.pending === null && certificate.revoked.length === 0 && certificate.bannedKeys.length === 0
  return isPlain && isQuiet && isGood && rings === null && !isShown(context)
}

/**
 * The slots without a look at each: what is bound is what we know as current, every address serves the leaf with its
 * fingerprint, and the dates of the list agree with that leaf. Of the other slot only its dates are known then. Null:
 * one of these is not so. Pure.
 */
export function knownSlots({
  id,
  certificates,
  documents: { target },
  served,
}: {
  readonly id: string | null | undefined
  readonly certificates: readonly ServerCertificate[]
  readonly documents: Pick<Inspection['documents'], 'target'>
  readonly served: readonly Served[]
}): readonly Slot[] | null {
  const { current } = target
  if (!id || current?.serverCertificateId !== id || current.fingerprint === null) return null
  const listed = certificates.find(c => c.serverCertificateId === id)
  const [first] = served
  if (!listed || !first?.leaf || !first.chainPem) return null
  if (!served.every(s => s.leaf?.fingerprint === current.fingerprint)) return null
  if (!agrees(listed, first.leaf)) return null
  const { leaf, chainPem } = first
  return certificates.map(({ serverCertificateId, effectiveDate, expiryDate }) => ({
    serverCertificateId,
    effectiveDate,
    expiryDate,
    certificatePem: serverCertificateId === id ? chainPem : null,
    leaf: serverCertificateId === id ? leaf : null,
  }))
}

const agrees = ({ effectiveDate, expiryDate }: ServerCertificate, { notBefore, notAfter }: Leaf): boolean =>
  effectiveDate === notBefore && expiryDate === notAfter
