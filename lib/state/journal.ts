import { RotationError } from '../base/rotation-error.ts'
import type { Journal } from '../contracts.ts'
import type { Document } from './document.ts'
import type { CertificateDocument } from './documents.ts'
import type { SealedKeys } from './sealed-keys.ts'

/** The journal of a certificate's pending entry, whose private key rests under `key`. */
export async function openJournal(
  certificate: Document<CertificateDocument>,
  pendingId: string,
  keys: SealedKeys,
  key: string,
): Promise<Journal> {
  const { pending } = await certificate.get()
  let notes: Journal['notes'] = pending?.id === pendingId ? pending.notes : {}
  return {
    get notes() {
      return notes
    },
    write: async next => {
      await certificate.update(document => {
        if (document.pending?.id !== pendingId) {
          const why = `pending certificate ${pendingId} was dropped by another run`
          throw new RotationError('store-conflict', why)
        }
        return { ...document, pending: { ...document.pending, notes: { ...next } } }
      })
      notes = next
    },
    privateKey: make => keys.ensure(key, make),
    adoptKey: value => keys.replace(key, value),
  }
}
