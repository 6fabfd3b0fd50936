import * as v from 'valibot'
import { isDeeperThan } from '../base/deep.ts'
import { RotationError } from '../base/rotation-error.ts'
import type { StateStore } from '../contracts.ts'

/** One document of the state: read once, then changed by functions, each change written under compare-and-swap. */
export interface Document<T> {
  /** The document as last read or written by this run; read from the store the first time. */
  get(): Promise<T>
  /** Reads it again. */
  refresh(): Promise<T>
  /**
   * Applies a change and writes it; applied again to what another writer left, when there was one. A change
   * that returns its argument writes nothing. @throws RotationError `store-conflict` after several conflicts
   */
  update(change: (document: T) => T): Promise<T>
}

const CONFLICTS_AT_MOST = 8
const DEPTH_AT_MOST = 64

/** Whether another writer was first. */
export const isConflict = (error: unknown): boolean =>
  error instanceof RotationError && error.code === 'store-conflict'

/** Opens a document of a store; `empty` stands for one that is absent. */
export function openDocument<T>(
  store: StateStore,
  key: string,
  schema: v.GenericSchema<unknown, T>,
  empty: T,
): Document<T> {
  let known: { value: T; revision: string | null } | null = null
  let queue: Promise<unknown> = Promise.resolve()

  const load = async () => {
    const stored = await store.read(key)
    // What has not changed stays the same object: a run tells by it whether it decided on what is there.
    if (known && known.revision === (stored?.revision ?? null)) return known
    known = stored
      ? { value: parseDocument(schema, key, stored.body), revision: stored.revision }
      : { value: empty, revision: null }
    return known
  }
  const change = async (apply: (document: T) => T): Promise<T> => {
    for (let conflicts = 0; ; conflicts += 1) {
      const { value, revision } = known ?? (await load())
      const next = apply(value)
      if (next === value) return value
      try {
        const written = await store.write(key, `${JSON.stringify(next, null, 1)}\n`, revision)
        known = { value: next, revision: written }
        return next
      } catch (error) {
        if (!isConflict(error) || conflicts === CONFLICTS_AT_MOST) throw error
        await load()
      }
    }
  }
  // One change at a time: several targets of one run may share a document.
  const inTurn = <R>(work: () => Promise<R>): Promise<R> => {
    const result = queue.then(work, work)
    queue = result.catch(() => {})
    return result
  }
  return {
    get: () => inTurn(async () => (known ?? (await load())).value),
    refresh: () => inTurn(async () => (await load()).value),
    update: apply => inTurn(() => change(apply)),
  }
}

/** Parses a document. @throws RotationError `store-unreadable` */
export function parseDocument<T>(schema: v.GenericSchema<unknown, T>, key: string, body: string): T {
  const unreadable = (why: string, cause?: unknown) =>
    new RotationError('store-unreadable', `state document ${key} cannot be read: ${why}`, {
      cause,
      retry: 'never',
      hint: 'Nothing was changed. Restore the document from a backup, or move it away: then what is bound is adopted.',
    })
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch (error) {
    throw unreadable('it is no JSON', error)
  }
  if (isDeeperThan(value, DEPTH_AT_MOST)) throw unreadable('it is nested too deeply')
  const version = (value as { schema?: unknown } | null)?.schema
  if (typeof version === 'number' && version > 1)
    throw unreadable(`its schema ${version} is newer than this program`)
  const parsed = v.safeParse(schema, value)
  if (!parsed.success)
    throw unreadable(parsed.issues.map(i => `${v.getDotPath(i) ?? 'document'}: ${i.message}`).join('; '))
  return parsed.output
}
