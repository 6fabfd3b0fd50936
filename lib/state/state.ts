import { createHash, randomUUID } from 'node:crypto'
import * as v from 'valibot'
import type { Secret } from '../base/secret.ts'
import type { Journal, SourceMemory, StateStore } from '../contracts.ts'
import type { CertificateSpec } from '../model/certificate.ts'
import type { Target } from '../model/target.ts'
import { emptyAlertRecord } from './alert-record.ts'
import { openAuthenticity, unsigned } from './authenticity.ts'
import { DeviceCounts, noCounts } from './device-counts.ts'
import { type Document, openDocument, parseDocument } from './document.ts'
import {
  CertificateDocument,
  DeliveriesDocument,
  HistoryDocument,
  newCertificate,
  newRun,
  newTarget,
  RunDocument,
  SourceDocument,
  TargetDocument,
  WatchDocument,
} from './documents.ts'
import { openJournal } from './journal.ts'
import { noRollouts, RolloutDocument, RolloutsDocument } from './rollout-documents.ts'
import { openRollouts, type Rollouts } from './rollouts.ts'
import { openSealedKeys } from './sealed-keys.ts'

/** Everything this program writes down. */
export interface Records {
  target(target: Target): Document<TargetDocument>
  history(target: Target): Document<HistoryDocument>
  /** How many of its devices are usually online. */
  deviceCounts(target: Target): Document<DeviceCounts>
  certificate(name: string): Document<CertificateDocument>
  /** The last run, and what was told of runs as a whole. */
  run(): Document<RunDocument>
  /** The last run, for a reader without the seal key: believed for nothing but its time. */
  lastRun(): Promise<RunDocument['last']>
  /** What the watchdog told. It has no seal key either, so that no words are taken from there. */
  watch(): Document<WatchDocument>
  /** How far each kind of certificate has come through the rings. */
  readonly rollouts: Rollouts
  source(name: string): SourceMemory
  /** The journal of a certificate's pending entry, whose key is its own or kept under another id. */
  journal(name: string, pendingId: string, keyId?: string): Promise<Journal>
  /** A sealed key by its id; null when it was never made, or is wiped. */
  privateKey(name: string, keyId: string): Promise<Secret | null>
  /** A sealed key (PKCS#8 PEM) under an id: made the first time, then the same. */
  ensureKey(name: string, keyId: string, make: () => Promise<string>): Promise<Secret>
  wipeKey(name: string, keyId: string): Promise<void>
  /** Whether no run took this event before; it is taken then. */
  isFirstDelivery(id: string, now: number): Promise<boolean>
  /** Gives every document its MAC, where it has none or one of the seal key before. */
  renew(): Promise<void>
  /** How many documents of version 0.1.0, which carry no MAC, this run took over. */
  takenOver(): number
}

const DELIVERIES_AT_MOST = 50

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

/** A new id for a pending certificate. */
export const newPendingId = (): string => randomUUID()

/** Every document but leases that a rotator with these settings may have. */
export const documentKeys = (settings: {
  readonly targets: readonly Target[]
  readonly certificates: Readonly<Record<string, unknown>>
  readonly sources: Readonly<Record<string, unknown>>
}): readonly string[] => [
  ...settings.targets.map(targetKey).flatMap(key => [`targets/${key}`, `targets/${key}/history`]),
  ...Object.keys(settings.certificates).map(name => `certificates/${segment(name)}`),
  ...Object.keys(settings.sources).map(name => `sources/${segment(name)}`),
  RUN_KEY,
  DELIVERIES_KEY,
  ROLLOUTS_KEY,
]

const RUN_KEY = 'runs/last'
const NOTHING_TOLD: WatchDocument = { schema: 1, alerts: emptyAlertRecord }
const WATCH_KEY = 'watch/told'
const DELIVERIES_KEY = 'deliveries'
const ROLLOUTS_KEY = 'rollouts/index'

/**
 * Opens the state. `sealKey` seals private keys and vouches for documents; it is asked for when there is one. What
 * `previousSealKey` sealed is opened with it, and sealed anew. `documents`: those that version 0.1.0 may have left; null: not known.
 */
export function openRecords(
  store: StateStore,
  sealKey: () => Promise<Secret>,
  previousSealKey: Secret | null = null,
  documents: (() => readonly string[]) | null = () => [],
): Records {
  const open = new Map<string, Document<unknown>>()
  const authenticity = openAuthenticity(store, { sealKey, previousSealKey, documents })
  const document = <T>(key: string, schema: v.GenericSchema<unknown, T>, empty: T): Document<T> => {
    const known = open.get(key) ?? openDocument({ store, authenticity }, key, schema, empty)
    open.set(key, known as Document<unknown>)
    return known as Document<T>
  }
  const keys = openSealedKeys(store, sealKey, previousSealKey)
  const rollouts = document(ROLLOUTS_KEY, RolloutsDocument, noRollouts)
  const kindKeyOf = (id: string) => `rollouts/kinds/${segment(id)}`
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
    deviceCounts: target => document(`devices/${targetKey(target)}`, DeviceCounts, noCounts),
    certificate,
    run: () => document(RUN_KEY, RunDocument, newRun),
    lastRun: async () => {
      const stored = await store.read(RUN_KEY)
      return stored && parseDocument(RunDocument, RUN_KEY, stored.body).last
    },
    watch: () => openDocument({ store, authenticity: unsigned }, WATCH_KEY, WatchDocument, NOTHING_TOLD),
    rollouts: openRollouts({
      index: rollouts,
      of: id => document(kindKeyOf(id), v.nullable(RolloutDocument), null),
    }),
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
        secret: (label, make) => keys.ensure(`sources/${segment(name)}/${segment(label)}`, make),
        forget: label => keys.wipe(`sources/${segment(name)}/${segment(label)}`),
      }
    },
    journal: (name, pendingId, keyId = pendingId) =>
      openJournal(certificate(name), pendingId, keys, keyOf(name, keyId)),
    privateKey: (name, keyId) => keys.read(keyOf(name, keyId)),
    ensureKey: (name, keyId, make) => keys.ensure(keyOf(name, keyId), make),
    wipeKey: (name, keyId) => keys.wipe(keyOf(name, keyId)),
    isFirstDelivery: async (id, at) => {
      const deliveries = document(DELIVERIES_KEY, DeliveriesDocument, { schema: 1, delivered: [] })
      let isFirst = false
      await deliveries.update(before => {
        isFirst = !before.delivered.some(it => it.id === id)
        if (!isFirst) return before
        return { schema: 1, delivered: [...before.delivered, { id, at }].slice(-DELIVERIES_AT_MOST) }
      })
      return isFirst
    },
    renew: async () => authenticity.renew(async () => (await rollouts.get()).kinds.map(kindKeyOf)),
    takenOver: authenticity.takenOver,
  }
}
