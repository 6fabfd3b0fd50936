import { asRotationError, RotationError } from '../../base/rotation-error.ts'
import { type Clock, SECOND_MS } from '../../base/time.ts'
import type { StateStore, StoredDocument } from '../../contracts.ts'
import { requireDocumentKey } from './document-key.ts'
import { newWriter } from './writer.ts'

/** A document as it stands in a service. */
export interface Kept extends StoredDocument {
  /** Names the one write that put it there. */
  readonly token: string
}

/** One write, the same each time that it is sent. */
export interface Write<Found> {
  readonly key: string
  readonly name: string
  readonly text: string
  readonly token: string
  /** Revision that must be there; null: none. */
  readonly expected: string | null
  /** What was there just before, where the service is looked at first; else null. */
  readonly before: Found | null
}

/** A service over the network that keeps documents, as its driver speaks to it. Methods throw RotationErrors. */
export interface DocumentService<Found extends Kept> {
  /** Begins every message, e.g. `s3 store`. */
  readonly driver: string
  /** As {@link StateStore.place}. */
  readonly place: string
  nameOf(key: string): string
  /** Null when absent. */
  read(name: string): Promise<Found | null>
  /** A name for a new write of this writer, and the text by which it is known again. */
  mark(body: string, writer: string): { readonly token: string; readonly text: string }
  /** Sends it once, under the condition that the service knows. Returns the new revision. */
  write(write: Write<Found>): Promise<string>
  /** Succeeds when it is gone already. */
  remove(name: string): Promise<void>
  /** Whether a refusal may mean that another writer was first, or that an earlier sending took effect. */
  isDisputed(error: RotationError): boolean
  /** Pauses before a write that left no trace is sent again. Default: three of them, whatever the error. */
  pausesAfter?(error: RotationError): readonly number[]
  /** The largest text it takes, and what to do about a larger one. */
  readonly limit?: { readonly bytes: number; readonly hint: string }
  /** Each write counts, or has no condition of its own: one that is too late must not be sent. */
  readonly looksFirst?: true
  /** What to do about another writer. */
  readonly conflictHint?: string
}

/** Pauses before a call that passes by itself is made again. */
export const PAUSES_MS = [SECOND_MS / 5, (4 * SECOND_MS) / 5, 2 * SECOND_MS] as const

/** `why` completes "another writer …". */
export const storeConflict = (
  { driver, conflictHint }: { readonly driver: string; readonly conflictHint?: string },
  why: string,
  cause?: unknown,
): RotationError =>
  new RotationError('store-conflict', `${driver}: another writer ${why}`, {
    cause,
    retry: 'now',
    ...(conflictHint === undefined ? {} : { hint: conflictHint }),
  })

/**
 * A state store over such a service. An unclear answer to a write is settled by what is there then: our own write
 * by its token, another writer's, or the expected revision still, so that the write may be sent again.
 */
export function conditionalStore<Found extends Kept>(
  service: DocumentService<Found>,
  clock: Clock,
): StateStore {
  const { driver, limit } = service
  const writer = newWriter()
  const nameOf = (key: string): string => {
    requireDocumentKey(key, driver)
    return service.nameOf(key)
  }
  const isUnclear = (error: RotationError): boolean =>
    error.code === 'unavailable' || error.code === 'throttled' || service.isDisputed(error)

  const write = async (key: string, body: string, expected: string | null): Promise<string> => {
    const name = nameOf(key)
    const marked = service.mark(body, writer)
    if (limit) refuseLarge(`${driver}: ${name}`, marked.text, limit)
    const before = service.looksFirst ? await service.read(name) : null
    if (service.looksFirst && (before?.revision ?? null) !== expected)
      throw storeConflict(service, `changed ${key}`)
    for (let tried = 0; ; tried += 1) {
      try {
        return await service.write({ key, name, ...marked, expected, before })
      } catch (thrown) {
        const error = asRotationError(thrown)
        if (!isUnclear(error)) throw error
        const now = await service.read(name)
        if (now?.token === marked.token) return now.revision
        if ((now?.revision ?? null) !== expected) throw storeConflict(service, `changed ${key}`, error)
        const pauseMs = (service.pausesAfter?.(error) ?? PAUSES_MS)[tried]
        if (pauseMs === undefined) throw error
        await clock.sleep(pauseMs)
      }
    }
  }
  return {
    place: service.place,
    writer,
    read: async key => {
      const kept = await service.read(nameOf(key))
      return kept && { body: kept.body, revision: kept.revision }
    },
    write,
    remove: async key => service.remove(nameOf(key)),
    // The processes of two functions look alike from outside: nobody can tell that one has ended.
    isGone: async () => false,
    ownSealKey: async () => null,
  }
}

function refuseLarge(what: string, text: string, { bytes, hint }: { bytes: number; hint: string }): void {
  const size = Buffer.byteLength(text)
  if (size <= bytes) return
  const message = `${what} would have ${size} bytes, and a secret holds ${bytes} at most`
  throw new RotationError('service-refused', message, { retry: 'never', hint })
}
