/** A journal and a source's memory that live in this process, and survive a pretended crash. */
import { type Secret, secret } from '../../lib/base/secret.ts'
import type { Journal, SourceMemory } from '../../lib/contracts.ts'

type Json = Readonly<Record<string, unknown>>

const copy = (notes: Json): Json => JSON.parse(JSON.stringify(notes)) as Json

export interface MemoryJournal extends Journal {
  /** Every state of the notes, the newest last. */
  readonly history: readonly Json[]
  /** Null until the key was asked for. */
  readonly keyPem: string | null
}

/** Starts empty, or with what another journal holds. */
export function createJournal(from?: MemoryJournal): MemoryJournal {
  const history: Json[] = [copy(from?.notes ?? {})]
  let keyPem = from?.keyPem ?? null
  return {
    history,
    get keyPem() {
      return keyPem
    },
    get notes() {
      return copy(history.at(-1) ?? {})
    },
    write: async notes => {
      history.push(copy(notes))
    },
    privateKey: async make => {
      keyPem ??= await make()
      return secret(keyPem)
    },
    adoptKey: async key => {
      keyPem = key.reveal()
    },
  }
}

export interface MemorySource extends SourceMemory {
  readonly notes: Json
  readonly secrets: ReadonlyMap<string, Secret>
}

/** Starts empty, or with notes of an earlier run. */
export function createSourceMemory(notes: Json = {}): MemorySource {
  let kept = copy(notes)
  const secrets = new Map<string, Secret>()
  return {
    get notes() {
      return copy(kept)
    },
    secrets,
    read: async () => copy(kept),
    update: async change => {
      kept = copy(change(kept))
    },
    secret: async (name, make) => {
      const made = secrets.get(name) ?? secret(await make())
      secrets.set(name, made)
      return made
    },
    forget: async name => {
      secrets.delete(name)
    },
  }
}
