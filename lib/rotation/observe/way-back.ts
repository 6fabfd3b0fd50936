import { iso } from '../../base/time.ts'
import type { Slot } from '../../model/certificate.ts'
import { covers } from '../../x509/certificate.ts'
import { type Context, certificateDocument } from '../context.ts'
import { isBanned, wasRevoked } from './inspection.ts'
import { revocationOf } from './revocation.ts'
import { wrongWithAdopted } from './wrong-with-adopted.ts'

/** Whether a certificate was revoked here, or has a key that a person called compromised; null: neither. */
export async function revokedHere(context: Context, { leaf, certificatePem }: Slot): Promise<string | null> {
  const document = await certificateDocument(context).get()
  if (leaf && wasRevoked(document, leaf.fingerprint)) return 'was revoked'
  return certificatePem !== null && isBanned(document.bannedKeys, certificatePem)
    ? 'has a compromised key'
    : null
}

/**
 * Why a certificate in a slot must never be put back, whoever says so: it was revoked, its time is over or still to
 * come, or it is for another name. Null: nothing of that.
 */
export async function barredFromReturn(context: Context, slot: Slot): Promise<string | null> {
  const { target, run } = context
  const revoked = await revokedHere(context, slot)
  if (revoked !== null) return revoked
  const { leaf } = slot
  if (!leaf || slot.certificatePem === null) return 'cannot be read'
  const now = run.clock.now()
  if (leaf.notBefore > now) return `is not valid before ${iso(leaf.notBefore)}`
  if (leaf.notAfter <= now) return 'has expired'
  if (!covers(leaf.names, target.domain)) return `is not for ${target.domain}`
  const listed = await revocationOf(context, slot.certificatePem)
  return listed.revoked.length > 0 ? `is revoked: ${listed.revoked.join('; ')}` : null
}

/** The same of a way back that is only remembered: devices of every profile must trust it, too, as one that is new. */
export async function unfitToReturn(context: Context, slot: Slot): Promise<string | null> {
  const barred = await barredFromReturn(context, slot)
  if (barred !== null) return barred
  const wrong = await wrongWithAdopted(context, slot)
  return wrong === null ? null : `is not right for devices: ${wrong}`
}
