import { asRotationError } from '../../base/rotation-error.ts'
import type { StateStore, StoredDocument } from '../../contracts.ts'

/** Marks the revision of a document that could not be moved: it is written where it stands. */
const EARLIER = 'earlier '

/**
 * A store whose names have changed. A document under its earlier name is read, and moved: written under the new
 * name first, then removed under the old one, so that a crash leaves both, of which the new one counts. What
 * cannot be moved (a key that may only read) is read and written where it stands.
 */
export function movingStore(
  store: StateStore,
  earlier: Pick<StateStore, 'read' | 'write' | 'remove'>,
  isMoved: (key: string) => boolean,
): StateStore {
  const move = async (key: string, before: StoredDocument): Promise<StoredDocument | null> => {
    try {
      const revision = await store.write(key, before.body, null)
      // Somebody removed it between our reading and our writing: it must not come back.
      if ((await earlier.read(key)) === null) {
        await store.remove(key)
        return null
      }
      await earlier.remove(key)
      return { body: before.body, revision }
    } catch (thrown) {
      if (asRotationError(thrown).code === 'store-conflict') return store.read(key)
      return (await store.read(key)) ?? { ...before, revision: `${EARLIER}${before.revision}` }
    }
  }
  const read = async (key: string): Promise<StoredDocument | null> => {
    if (!isMoved(key)) return store.read(key)
    const [now, before] = await Promise.all([store.read(key), earlier.read(key)])
    // Neither is seen while another process moves it just then: looked at again, since it is under the new name then.
    if (before === null) return now ?? store.read(key)
    if (now === null) return move(key, before)
    await earlier.remove(key).catch(() => {})
    return now
  }
  return {
    ...store,
    read,
    write: async (key, body, expected) =>
      expected?.startsWith(EARLIER)
        ? `${EARLIER}${await earlier.write(key, body, expected.slice(EARLIER.length))}`
        : store.write(key, body, expected),
    remove: async key => {
      // The old one first: after a crash it would stand for a document that is gone.
      if (isMoved(key)) await earlier.remove(key)
      await store.remove(key)
    },
  }
}
