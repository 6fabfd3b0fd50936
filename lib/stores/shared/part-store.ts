import type { StateStore } from '../../contracts.ts'
import { movingStore } from './moving-store.ts'

/** The documents in a folder of a store, under the names that they have anywhere. The page is nobody's. */
export function partStore(store: StateStore, folder: string): StateStore {
  const { publish: _, ...rest } = store
  const at = (key: string): string => `${folder}/${key}`
  return {
    ...rest,
    read: key => store.read(at(key)),
    write: (key, body, expected) => store.write(at(key), body, expected),
    remove: key => store.remove(at(key)),
  }
}

/** Where documents of one part stood before. */
export interface Before {
  /** Undefined: where they are now. */
  readonly placeOf: (key: string) => StateStore | undefined
  readonly places: readonly StateStore[]
  /** The document that every part has, and that vouches for the others. */
  readonly common: string
}

/** A part that takes along what stood in another one before, document by document when it is first read. */
export function takingAlong(own: StateStore, { placeOf, places, common }: Before): StateStore {
  const earlier = (key: string): StateStore => placeOf(key) ?? own
  const moving = movingStore(
    own,
    {
      read: key => earlier(key).read(key),
      write: (key, body, expected) => earlier(key).write(key, body, expected),
      remove: key => earlier(key).remove(key),
    },
    key => placeOf(key) !== undefined,
  )
  /** It stays where it is, for those that are left there. */
  const commonOne = async () => {
    const there = await own.read(common)
    if (there) return there
    for (const place of places) {
      const found = await place.read(common)
      if (!found) continue
      await own.write(common, found.body, null).catch(() => {})
      return own.read(common)
    }
    return null
  }
  return {
    ...moving,
    read: async key => {
      if (key === common) return commonOne()
      // No run that has nothing to do reads the history of a target.
      if (/^targets\/[^/]+$/.test(key) && placeOf(key)) await moving.read(`${key}/history`)
      return moving.read(key)
    },
  }
}
