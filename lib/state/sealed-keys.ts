import { isSealedWith, seal, unseal } from '../base/seal.ts'
import { type Secret, secret } from '../base/secret.ts'
import type { StateStore } from '../contracts.ts'
import { isConflict } from './conflict.ts'

/** Private keys that rest in a store, each sealed under the key of its document. */
export interface SealedKeys {
  /** Null when it was never made, or is wiped. */
  read(key: string): Promise<Secret | null>
  /** Made at most once: of two writers, the first one's is everybody's. */
  ensure(key: string, make: () => Promise<string>): Promise<Secret>
  /** Puts it in the place of any. */
  replace(key: string, value: Secret): Promise<void>
  /** Succeeds when there is none. */
  wipe(key: string): Promise<void>
}

/** What `previousSealKey` sealed is opened with it, and sealed anew; `sealKey` is asked for at the first key only. */
export function openSealedKeys(
  store: StateStore,
  sealKey: () => Promise<Secret>,
  previousSealKey: Secret | null,
): SealedKeys {
  const read: SealedKeys['read'] = async key => {
    const stored = await store.read(key)
    if (!stored) return null
    const current = await sealKey()
    if (!previousSealKey || isSealedWith(current, stored.body) || !isSealedWith(previousSealKey, stored.body))
      return unseal(current, stored.body, key)
    const found = unseal(previousSealKey, stored.body, key)
    await store.write(key, seal(current, found.reveal(), key), stored.revision).catch(error => {
      // Whoever was first did the same.
      if (!isConflict(error)) throw error
    })
    return found
  }
  return {
    read,
    ensure: async (key, make) => {
      const known = await read(key)
      if (known) return known
      const made = await make()
      try {
        await store.write(key, seal(await sealKey(), made, key), null)
        return secret(made)
      } catch (error) {
        const theirs = isConflict(error) ? await read(key) : null
        if (!theirs) throw error
        return theirs
      }
    },
    replace: async (key, value) => {
      const stored = await store.read(key)
      await store.write(key, seal(await sealKey(), value.reveal(), key), stored?.revision ?? null)
    },
    wipe: key => store.remove(key),
  }
}
