import * as v from 'valibot'
import { isDeeperThan } from '../base/deep.ts'
import { RotationError } from '../base/rotation-error.ts'
import type { StateStore } from '../contracts.ts'
import type { Authenticity } from './authenticity.ts'
import { isConflict } from './conflict.ts'
import { DEPTH_AT_MOST } from './documents.ts'

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

const TEXT_AT_MOST = 600
/** Members that say something in words, which may be those of a service or a certificate. */
const IN_WORDS = ['why', 'failedWhy', 'reason', 'detail', 'message', 'hint', 'otherChains', 'said']

/** Stores have limits, and what somebody else says must not reach them: the rest of a long text is cut off. */
function withShortTexts<T>(value: T, isInWords = false): T {
  if (typeof value === 'string')
    return (isInWords && value.length > TEXT_AT_MOST ? `${value.slice(0, TEXT_AT_MOST)}…` : value) as T
  if (Array.isArray(value)) return value.map(item => withShortTexts(item, isInWords)) as T
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).map(([key, item]) => [
    key,
    withShortTexts(item, IN_WORDS.includes(key)),
  ])
  return Object.fromEntries(entries) as T
}

/** A store, and what vouches for what stands in it. */
export interface Vouched {
  readonly store: StateStore
  readonly authenticity: Pick<Authenticity, 'sign' | 'open' | 'begin'>
}

/** Opens a document of a store; `empty` stands for one that is absent. */
export function openDocument<T>(
  { store, authenticity }: Vouched,
  key: string,
  schema: v.GenericSchema<unknown, T>,
  empty: T,
): Document<T> {
  let known: { value: T; revision: string | null; number: number } | null = null
  let queue: Promise<unknown> = Promise.resolve()

  const load = async () => {
    const stored = await store.read(key)
    // What has not changed stays the same object: a run tells by it whether it decided on what is there.
    if (known && known.revision === (stored?.revision ?? null)) return known
    if (!stored) {
      known = { value: empty, revision: null, number: 0 }
      return known
    }
    const { text, revision: number } = await authenticity.open(key, stored)
    if (known && number < known.number) throw replayed(key)
    known = { value: parseDocument(schema, key, text), revision: stored.revision, number }
    return known
  }
  const change = async (apply: (document: T) => T): Promise<T> => {
    for (let conflicts = 0; ; conflicts += 1) {
      const { value, revision, number } = known ?? (await load())
      const next = apply(value)
      if (next === value) return value
      try {
        if (number === 0) await authenticity.begin()
        const body = await authenticity.sign(key, withShortTexts(next), number + 1)
        const written = await store.write(key, body, revision)
        known = { value: next, revision: written, number: number + 1 }
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

const replayed = (key: string): RotationError =>
  new RotationError('store-unreadable', `state document ${key} cannot be believed: it is older than it was`, {
    retry: 'never',
    hint: 'Nothing was changed. Find out who put an earlier revision of it back.',
  })

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
