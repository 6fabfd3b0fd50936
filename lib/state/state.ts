import { createHash, randomUUID } from 'node:crypto'
import type * as v from 'valibot'
import { emptyLedger } from '../alerts/ledger.ts'
import { RotationError } from '../base/rotation-error.ts'
import { isSealedWith, seal, unseal } from '../base/seal.ts'
import type { Secret } from '../base/secret.ts'
import { secret } from '../base/secret.ts'
import type { Journal, SourceMemory, StateStore } from '../contracts.ts'
import type { CertificateSpec } from '../model/certificate.ts'
import type { Target } from '../model/target.ts'
import {
  CertificateDocument,
  DeliveriesDocument,
  HistoryDocument,
  newCertificate,
  newRun,
  newTarget,
  parseDocument,
  RunDocument,
  SourceDocument,
  TargetDocument,
  WatchDocument,
} from './documents.ts'

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

/** Everything this program writes down. */
export interface Records {
  target(target: Target): Document<TargetDocument>
  history(target: Target): Document<HistoryDocument>
  certificate(name: string): Document<CertificateDocument>
  /** The last run, and what was told of runs as a whole. */
  run(): Document<RunDocument>
  /** What the watchdog told. */
  watch(): Document<WatchDocument>
  source(name: string): SourceMemory
  /** The journal of a certificate's pending entry, whose key is its own or kept under another id. */
  journal(name: string, pendingId: string, keyId?: string): Promise<Journal>
  /** A sealed key by its id; null when it was never made, or is wiped. */
  privateKey(name: string, keyId: string): Promise<Secret | null>
  wipeKey(name: string, keyId: string): Promise<void>
  /** Whether no run took this event before; it is taken then. */
  isFirstDelivery(id: string, now: number): Promise<boolean>
}

const DELIVERIES_AT_MOST = 50

const CONFLICTS_AT_MOST = 8

const SEGMENT_AT_MOST = 64

/** A key segment for any name: lower case and short enough for a file name, with a hash where that lost something. */
export function segment(name: string): string {
  const slug = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9-]/g, '-')
    .slice(0, SEGMENT_AT_MOST)
  return slug === name ? slug : `${slug}-${createHash('sha256').update(name).digest('hex').slice(0, 8)}`
}

/** The identity of a target: project, instance and domain; its name is only a label. */
export function targetKey(target: Target): string {
  const { projectId, instanceId, endpoint } = target.instance
  return `${segment(target.domain)}-${digest([projectId, instanceId ?? endpoint, target.domain])}`
}

/** The identity of an instance, for its lease. */
export function instanceKey(target: Target): string {
  const { projectId, instanceId, endpoint } = target.instance
  return digest([projectId, instanceId ?? endpoint])
}

const digest = (parts: readonly string[]): string =>
  createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16)

/** What makes a certificate another certificate: compared with the settings, never with the leaf. */
export function specHashOf(spec: CertificateSpec): string {
  return digest([...spec.names].sort().concat(spec.keyType, ...spec.sources, spec.profile ?? ''))
}

/** Whoever was first did the same. */
const ignoreConflict = (error: unknown): void => {
  if (!(error instanceof RotationError && error.code === 'store-conflict')) throw error
}

/** A new id for a pending certificate. */
export const newPendingId = (): string => randomUUID()

function openDocument<T>(
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
        known = {
          value: next,
          revision: await store.write(key, `${JSON.stringify(next, null, 1)}\n`, revision),
        }
        return next
      } catch (error) {
        const conflict = error instanceof RotationError && error.code === 'store-conflict'
        if (!conflict || conflicts === CONFLICTS_AT_MOST) throw error
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

/**
 * Opens the state. `sealKey` seals private keys; it is asked for at the first key only. What `previousSealKey`
 * sealed is opened with it, and sealed anew.
 */
export function openRecords(
  store: StateStore,
  sealKey: () => Promise<Secret>,
  previousSealKey: Secret | null = null,
): Records {
  const open = new Map<string, Document<unknown>>()
  const document = <T>(key: string, schema: v.GenericSchema<unknown, T>, empty: T): Document<T> => {
    const known = open.get(key) ?? openDocument(store, key, schema, empty)
    open.set(key, known as Document<unknown>)
    return known as Document<T>
  }
  const readSecret = async (key: string): Promise<Secret | null> => {
    const stored = await store.read(key)
    if (!stored) return null
    const current = await sealKey()
    if (!previousSealKey || isSealedWith(current, stored.body) || !isSealedWith(previousSealKey, stored.body))
      return unseal(current, stored.body, key)
    const found = unseal(previousSealKey, stored.body, key)
    await store.write(key, seal(current, found.reveal(), key), stored.revision).catch(ignoreConflict)
    return found
  }
  /** Made at most once: of two writers, the first one's secret is everybody's. */
  const ensureSecret = async (key: string, make: () => Promise<string>): Promise<Secret> => {
    const known = await readSecret(key)
    if (known) return known
    const made = await make()
    try {
      await store.write(key, seal(await sealKey(), made, key), null)
      return secret(made)
    } catch (error) {
      const theirs =
        error instanceof RotationError && error.code === 'store-conflict' ? await readSecret(key) : null
      if (!theirs) throw error
      return theirs
    }
  }
  const replaceSecret = async (key: string, value: Secret): Promise<void> => {
    const stored = await store.read(key)
    await store.write(key, seal(await sealKey(), value.reveal(), key), stored?.revision ?? null)
  }
  const certificate = (name: string) =>
    document(`certificates/${segment(name)}`, CertificateDocument, newCertificate(name))
  const keyOf = (name: string, keyId: string) => `certificates/${segment(name)}/${segment(keyId)}`

  return {
    target: target => document(`targets/${targetKey(target)}`, TargetDocument, newTarget(target.name)),
    history: target =>
      document(`targets/${targetKey(target)}/history`, HistoryDocument, {
        schema: 1,
        rotations: [],
        lastSteps: [],
      }),
    certificate,
    run: () => document('runs/last', RunDocument, newRun),
    watch: () => document('watch/told', WatchDocument, { schema: 1, alerts: emptyLedger }),
    source: name => {
      const notes = document(`sources/${segment(name)}`, SourceDocument, { schema: 1, notes: {} })
      return {
        read: async () => (await notes.get()).notes,
        update: async change => {
          await notes.update(document => {
            const next = change(document.notes)
            return next === document.notes ? document : { schema: 1, notes: { ...next } }
          })
        },
        secret: (label, make) => ensureSecret(`sources/${segment(name)}/${segment(label)}`, make),
        forget: label => store.remove(`sources/${segment(name)}/${segment(label)}`),
      }
    },
    journal: (name, pendingId, keyId = pendingId) =>
      openJournal(certificate(name), pendingId, {
        privateKey: make => ensureSecret(keyOf(name, keyId), make),
        adoptKey: key => replaceSecret(keyOf(name, keyId), key),
      }),
    privateKey: (name, keyId) => readSecret(keyOf(name, keyId)),
    wipeKey: (name, keyId) => store.remove(keyOf(name, keyId)),
    isFirstDelivery: async (id, at) => {
      const deliveries = document('deliveries', DeliveriesDocument, { schema: 1, delivered: [] })
      let isFirst = false
      await deliveries.update(before => {
        isFirst = !before.delivered.some(it => it.id === id)
        if (!isFirst) return before
        return { schema: 1, delivered: [...before.delivered, { id, at }].slice(-DELIVERIES_AT_MOST) }
      })
      return isFirst
    },
  }
}

async function openJournal(
  certificate: Document<CertificateDocument>,
  pendingId: string,
  keys: Pick<Journal, 'privateKey' | 'adoptKey'>,
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
          throw new RotationError(
            'store-conflict',
            `pending certificate ${pendingId} was dropped by another run`,
          )
        }
        return { ...document, pending: { ...document.pending, notes: { ...next } } }
      })
      notes = next
    },
    ...keys,
  }
}
