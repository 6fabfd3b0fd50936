import { RotationError } from '../base/rotation-error.ts'
import { type Secret, secret } from '../base/secret.ts'
import type { StateStore } from '../contracts.ts'
import { openSealedKeys } from './sealed-keys.ts'

/** A sealed RSA-4096 key and the journal of an order with some names are below this. */
const BYTES = 8_192

/**
 * Writes what a rotation would, under a certificate's name that no settings can have: a document, and beside it a
 * sealed key. Both are read back and removed, whatever happens. @throws RotationError of the first that fails
 */
export async function rehearseDocuments(store: StateStore, sealKey: Secret, id: string): Promise<void> {
  const document = `certificates/rehearsal-${id}`
  const key = `${document}/key`
  const keys = openSealedKeys(store, async () => sealKey, null)
  const text = `${JSON.stringify({ schema: 1, rehearsal: 'x'.repeat(BYTES) })}\n`
  try {
    const revision = await store.write(document, text, null)
    await keys.ensure(key, async () => text)
    await store.write(document, text, revision)
    const [read, unsealed] = [await store.read(document), await keys.read(key)]
    if (read?.body !== text || unsealed?.reveal() !== secret(text).reveal())
      throw new RotationError('store-unreadable', `what was written to ${document} is not what is read`)
  } finally {
    for (const made of [key, document]) await store.remove(made).catch(() => {})
  }
}
