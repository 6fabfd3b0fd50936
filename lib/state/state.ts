import { createHash, randomUUID } from 'node:crypto'
import * as v from 'valibot'
import type { Secret } from '../base/secret.ts'
import type { Journal, SourceMemory, StateStore } from '../contracts.ts'
import type { CertificateSpec } from '../model/certificate.ts'
import type { Target } from '../model/target.ts'
import { emptyAlertRecord } from './alert-record.ts'
import { type Document, openDocument } from './document.ts'
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
  certificate(name: string): Document<CertificateDocument>
  /** The last run, and what was told of runs as a whole. */
  run(): Document<RunDocument>
  /** What the watchdog told. */
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
  const keys = openSealedKeys(store, sealKey, previousSealKey)
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
    watch: () => document('watch/told', WatchDocument, { schema: 1, alerts: emptyAlertRecord }),
    rollouts: openRollouts({
      index: document('rollouts/index', RolloutsDocument, noRollouts),
      of: id => document(`rollouts/kinds/${segment(id)}`, v.nullable(RolloutDocument), null),
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
