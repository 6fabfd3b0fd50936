import { createHash } from 'node:crypto'
import * as v from 'valibot'
import { isMacOf, isMacWith, macOf } from '../base/mac.ts'
import { RotationError } from '../base/rotation-error.ts'
import type { Secret } from '../base/secret.ts'
import type { StateStore, StoredDocument } from '../contracts.ts'
import { isConflict } from './conflict.ts'
import { disarmed } from './disarmed.ts'

/**
 * Whoever can write the store is not thereby trusted: each document carries a MAC in its first lines, which covers
 * its key, the place of the store, its revision, and all the rest. What stays possible without the seal key: to remove documents (what is
 * bound is adopted then), to make them unreadable (a run fails, and changes nothing), and to put an earlier document
 * back in its own place. The last is told only within a run, by the revision; so nothing dangerous is done on the
 * word of state alone (DESIGN: the way back is judged again, waits have an end).
 *
 * Version 0.1.0 wrote documents without a MAC. They are taken over once: the document {@link MARKER} lists the hashes
 * of all that stood there, written before the first document with a MAC. From then on a document without one is
 * read only if it is still exactly what was taken over. No words of theirs reach people (disarmed.ts): whoever empties
 * the store may have put them there.
 */
export interface Authenticity {
  /** The text to write for a document. `revision`: one more than that of the document it replaces. */
  sign(key: string, value: unknown, revision: number): Promise<string>
  /** The JSON text of a document. @throws RotationError `store-unreadable` */
  open(key: string, stored: StoredDocument): Promise<Opened>
  /** To be called before a document is written in the place of none, or of one without a MAC. */
  begin(): Promise<void>
  /** Gives every document, and `more` of them, its MAC, where it has none or one of the seal key before. */
  renew(more: () => Promise<readonly string[]>): Promise<void>
  /** How many documents this run took over. */
  takenOver(): number
}

interface Opened {
  readonly text: string
  /** 0: it carries no MAC. */
  readonly revision: number
  /** It carries none, or one of the seal key before. */
  readonly isStale: boolean
}

/** What vouches for documents. */
export interface Vouching {
  /** Asked for at the first document only. */
  readonly sealKey: () => Promise<Secret>
  readonly previousSealKey: Secret | null
  /** Every document that there may be; null: that is not known, so that nothing is taken over. */
  readonly documents: (() => readonly string[]) | null
}

/** Says which documents without a MAC were there when the first with one was written. */
export const MARKER = 'state'

const Marker = v.object({ schema: v.literal(1), plain: v.record(v.string(), v.string()) })
const Revision = v.object({ revision: v.number() })

const SIGNED = /^\{\n "mac": "([\w.-]{1,80})",\n/

/** The MAC of a body, and what it covers; null: it carries none. */
const signatureOf = (body: string): { readonly mac: string; readonly rest: string } | null => {
  const [line, mac] = SIGNED.exec(body) ?? []
  return line === undefined || mac === undefined ? null : { mac, rest: body.slice(line.length) }
}

const isJson = (body: string): boolean => {
  try {
    JSON.parse(body)
    return true
  } catch {
    return false
  }
}

const digestOf = (body: string): string => createHash('sha256').update(body).digest('hex')

const unreadable = (key: string, why: string, hint: string): RotationError =>
  new RotationError('store-unreadable', `state document ${key} cannot be believed: ${why}`, {
    retry: 'never',
    hint: `Nothing was changed. ${hint}`,
  })

const RESTORE =
  'Find out who can write the store. Then restore the document from a backup, or move it away: then what is bound is adopted.'

/** What was admitted without a MAC. */
interface Admitted {
  readonly plain: Record<string, string>
  isWritten: boolean
}

/** Of what is believed without any: what it says must not be acted on. */
export const unsigned: Pick<Authenticity, 'sign' | 'open' | 'begin'> = {
  sign: async (_, value) => `${JSON.stringify(value, null, 1)}\n`,
  open: async (_, { body }) => ({ text: body, revision: 0, isStale: false }),
  begin: async () => {},
}

export function openAuthenticity(
  store: StateStore,
  { sealKey, previousSealKey, documents }: Vouching,
): Authenticity {
  let taken = 0
  let hasMetPlain = false
  let admitted: Promise<Admitted> | null = null
  const contextOf = (key: string): readonly string[] => [store.place, key]

  const sign = async (key: string, value: unknown, revision: number): Promise<string> => {
    const rest = `${JSON.stringify({ revision, ...(value as object) }, null, 1).slice(2)}\n`
    return `{\n "mac": "${macOf(await sealKey(), contextOf(key), rest)}",\n${rest}`
  }

  const opened = async (key: string, { mac, rest }: { mac: string; rest: string }): Promise<Opened> => {
    const current = await sealKey()
    const isOld = previousSealKey !== null && !isMacWith(current, mac) && isMacWith(previousSealKey, mac)
    const own = isOld ? previousSealKey : current
    if (!isMacWith(own, mac))
      throw unreadable(
        key,
        'its MAC is of another seal key',
        'The seal key differs from the one the state was written with: put that one back, or name it in store.sealKeyPrevious.',
      )
    if (!isMacOf(own, mac, contextOf(key), rest))
      throw unreadable(key, 'it was cut or changed, or is that of another document or store', RESTORE)
    const text = `{\n${rest}`
    return { text, revision: v.parse(Revision, JSON.parse(text)).revision, isStale: isOld }
  }

  const look = async (): Promise<Admitted> => {
    const stored = await store.read(MARKER)
    if (stored) {
      const signature = signatureOf(stored.body)
      if (!signature) throw unreadable(MARKER, 'it carries no MAC', RESTORE)
      const { text } = await opened(MARKER, signature)
      return { plain: v.parse(Marker, JSON.parse(text)).plain, isWritten: true }
    }
    const found = await Promise.all(
      (documents?.() ?? []).map(async key => ({ key, body: (await store.read(key))?.body ?? null })),
    )
    const signed = found.find(({ body }) => body !== null && signatureOf(body))
    if (signed) throw unreadable(MARKER, `it is gone, and ${signed.key} carries a MAC`, RESTORE)
    const plain = found.flatMap(({ key, body }) => (body === null ? [] : [[key, digestOf(body)] as const]))
    return { plain: Object.fromEntries(plain), isWritten: false }
  }
  const admit = (): Promise<Admitted> => {
    admitted ??= look().catch(error => {
      admitted = null
      throw error
    })
    return admitted
  }

  const open: Authenticity['open'] = async (key, { body }) => {
    const signature = signatureOf(body)
    if (signature) return opened(key, signature)
    // What is not even JSON was damaged, which whoever parses it says.
    if (!isJson(body)) return { text: body, revision: 0, isStale: false }
    const { plain, isWritten } = await admit()
    const digest = digestOf(body)
    if (!isWritten) plain[key] = digest
    if (plain[key] !== digest)
      throw unreadable(key, 'it carries no MAC, and was not there without one', RESTORE)
    hasMetPlain = true
    return { text: disarmed(body), revision: 0, isStale: true }
  }

  const begin: Authenticity['begin'] = async () => {
    const now = await admit()
    if (now.isWritten || documents === null) return
    try {
      await store.write(MARKER, await sign(MARKER, { schema: 1, plain: now.plain }, 1), null)
    } catch (error) {
      if (!isConflict(error)) throw error
      // Another run was first: its word counts.
      admitted = null
      await admit()
      return
    }
    now.isWritten = true
    taken = Object.keys(now.plain).length
  }

  const renewOne = async (key: string): Promise<void> => {
    const stored = await store.read(key)
    if (!stored) return
    const { text, revision, isStale } = await open(key, stored)
    if (!isStale) return
    const { revision: _, ...value } = JSON.parse(text)
    await store.write(key, await sign(key, value, revision + 1), stored.revision).catch(error => {
      // Whoever was first gave it one.
      if (!isConflict(error)) throw error
    })
  }

  return {
    sign: async (key, value, revision) => {
      const isVouched = documents !== null || (await admit()).isWritten
      return isVouched ? sign(key, value, revision) : `${JSON.stringify(value, null, 1)}\n`
    },
    open,
    begin,
    renew: async more => {
      if (documents === null || (previousSealKey === null && !hasMetPlain)) return
      await begin()
      await Promise.all([...documents(), ...(await more()), MARKER].map(renewOne))
    },
    takenOver: () => taken,
  }
}
