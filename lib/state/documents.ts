import * as v from 'valibot'
import { AlertRecord, emptyAlertRecord } from './alert-record.ts'
import { KindShape } from './rollout-documents.ts'

/**
 * The documents kept between runs: only what the world cannot be asked again. Absent means "adopt what is
 * bound"; unreadable means "fail and change nothing". Instants are milliseconds since the epoch.
 */

/** Levels of objects and lists within each other that a document may have. */
export const DEPTH_AT_MOST = 64

const instant = v.number()
const schema = v.literal(1)

const Binding = v.object({
  serverCertificateId: v.string(),
  fingerprint: v.nullable(v.string()),
})

/** Our bind switched OCSP stapling off; a way back switches it on. */
const staplingOff = v.optional(v.boolean())

/** What a bind replaced, written before the bind so that it can be undone after any crash. */
const Replaced = v.object({
  serverCertificateId: v.string(),
  serverCertificateConfig: v.nullable(v.record(v.string(), v.unknown())),
  fingerprint: v.nullable(v.string()),
  staplingOff,
  /** What the port showed before the bind: the predecessor, at some address; anything at all. */
  served: v.boolean(),
  reachable: v.boolean(),
  /** Addresses that did not answer. */
  silent: v.optional(v.array(v.string())),
  /** Which devices could connect where, canaries apart. */
  working: v.optional(v.array(v.string())),
  /** Which were refused, or refused what they were shown. In neither list: they could not be heard. */
  refusing: v.optional(v.array(v.string())),
})

const PendingBinding = v.object({
  fingerprint: v.string(),
  specHash: v.string(),
  /** Null until the add is confirmed. */
  serverCertificateId: v.nullable(v.string()),
  /** Null until a bind is about to happen; `first` when there was nothing to replace. */
  replaces: v.nullable(v.union([Replaced, v.literal('first')])),
  /** What verify will see of what preflight refused and somebody overruled. */
  overruled: v.optional(
    v.array(v.object({ profile: v.nullable(v.string()), fault: v.picklist(['chain', 'handshake']) })),
  ),
  /** A way back: OCSP stapling is switched on with it. */
  staplingBack: v.optional(v.boolean()),
  /** Of what kind it is to devices, where there are rings. */
  kind: v.optional(KindShape),
  boundAt: v.nullable(instant),
  /** Verify found the new leaf unusable: what is left to do is putting the old one back. */
  failedWhy: v.nullable(v.string()),
})

export const TargetDocument = v.object({
  schema,
  name: v.string(),
  current: v.nullable(v.object({ ...Binding.entries, specHash: v.string() })),
  previous: v.nullable(v.object({ ...Binding.entries, staplingOff })),
  pending: v.nullable(PendingBinding),
  /** Ids we added and have not deleted. */
  added: v.array(v.string()),
  /** Fingerprints never bound again unattended, newest last. */
  rolledBack: v.array(v.string()),
  /** Roll-backs since the last good rotation. */
  rollBacks: v.number(),
  /** When somebody else's certificate was first seen in a slot, by id. */
  seen: v.record(v.string(), instant),
  /** A pending certificate that this target does not want, because a person bound another one meanwhile. */
  declined: v.nullable(v.string()),
  /** Serial of what the source held when a person bound another certificate in its place. */
  passedOver: v.optional(v.nullable(v.string()), null),
  held: v.nullable(v.object({ since: instant, why: v.string(), specHash: v.string() })),
  failures: v.number(),
  retryAfter: v.nullable(instant),
  lastBoundAt: v.nullable(instant),
  /** When the emergency last overrode `held`. */
  emergencyAt: v.nullable(instant),
  lastResult: v.nullable(
    v.object({ runId: v.string(), at: instant, outcome: v.string(), error: v.nullable(v.string()) }),
  ),
  /** What people were told, and what they are still to be told. */
  alerts: v.optional(AlertRecord, emptyAlertRecord),
  /** Of what was last seen to be served, or bound: for the days left where nothing can be seen. */
  life: v.optional(v.nullable(v.object({ notBefore: instant, notAfter: instant })), null),
  /** While devices are counted after a bind: since and until when, counts below the tolerance in a row, the way back. */
  watch: v.optional(
    v.object({
      since: instant,
      until: instant,
      fewer: v.number(),
      /** The old certificate was put back, and is watched. */
      isUndone: v.boolean(),
      binding: PendingBinding,
      before: v.object({
        current: v.nullable(v.object({ ...Binding.entries, specHash: v.string() })),
        previous: v.nullable(v.object({ ...Binding.entries, staplingOff })),
      }),
    }),
  ),
  /** Where there are rings: of what kind the bound leaf is, since when it serves such, and whether the roll-out knows. */
  rollout: v.optional(
    v.object({ fingerprint: v.string(), kind: KindShape, since: instant, isTold: v.boolean() }),
  ),
  /** A kind that is to be frozen, and could not be yet. */
  unfrozen: v.optional(v.object({ kind: KindShape, why: v.string() })),
})
export type TargetDocument = v.InferOutput<typeof TargetDocument>
export type PendingBinding = v.InferOutput<typeof PendingBinding>
export type Overruled = NonNullable<PendingBinding['overruled']>
export type Replaced = v.InferOutput<typeof Replaced>

/** `since`: when it was written; earlier versions did not say. */
const Wait = v.object({ at: instant, why: v.string(), since: v.optional(instant) })

const Revoked = v.object({ fingerprint: v.string(), at: instant, reason: v.string() })
export type Revoked = v.InferOutput<typeof Revoked>

export const CertificateDocument = v.object({
  schema,
  name: v.string(),
  /** A certificate being obtained, or obtained and not yet deployed to every target. */
  pending: v.nullable(
    v.object({
      id: v.string(),
      specHash: v.string(),
      /** The target that began it. */
      by: v.optional(v.string()),
      source: v.string(),
      /** The key it shares with its predecessors; absent: one of its own. */
      keyId: v.optional(v.string()),
      since: instant,
      notes: v.record(v.string(), v.unknown()),
      chainPem: v.nullable(v.string()),
      fingerprint: v.nullable(v.string()),
      /** No device would have refused its chain when it was obtained. */
      suitable: v.optional(v.boolean()),
    }),
  ),
  current: v.nullable(
    v.object({
      fingerprint: v.string(),
      specHash: v.string(),
      notAfter: instant,
      /** Absent: the first of the settings. */
      source: v.optional(v.string()),
    }),
  ),
  /** What is wrong with chains that the CA offered and that were not taken, at the last certificate. */
  otherChains: v.optional(v.array(v.string()), []),
  /** What documents of earlier versions keep for the first source. */
  notBefore: v.nullable(Wait),
  /** What became of each source since the last certificate that was obtained. */
  sources: v.optional(
    v.record(
      v.string(),
      v.object({
        failures: v.number(),
        /** It failed for a reason that trying again does not mend. */
        failedForGood: v.boolean(),
        /** The source's own word: no new order before this instant. */
        notBefore: v.nullable(Wait),
      }),
    ),
    {},
  ),
  renewalInfo: v.nullable(
    v.object({
      fingerprint: v.string(),
      window: v.nullable(v.object({ start: instant, end: instant })),
      explanationUrl: v.nullable(v.string()),
      nextFetchAt: instant,
      isUnknown: v.optional(v.boolean()),
    }),
  ),
  /** The certificate that was last replaced because the CA called it back (renewal.ts), and when. */
  recalled: v.optional(v.nullable(v.object({ fingerprint: v.string(), at: instant })), null),
  /** What a person had revoked here, newest last: a CA without renewal info never says so again. */
  revoked: v.optional(v.array(Revoked), []),
  /** What will keep the next certificate from being obtained, as it was last looked for. */
  ahead: v.optional(v.object({ at: instant, said: v.array(v.string()) })),
  /** Keys that are kept for the next certificate. */
  keptKeys: v.optional(v.array(v.string()), []),
  /** Compromised keys, by the hash of their public key: never used again, whatever brings them. */
  bannedKeys: v.optional(v.array(v.string()), []),
  /** The key after those, which is announced: its id, and what it must be. Absent: none. */
  nextKey: v.optional(v.object({ id: v.string(), keyType: v.string(), spki: v.string(), since: instant })),
  /** Notes of journals that are done with, whose TXT values could not be removed yet. */
  leftovers: v.optional(v.array(v.record(v.string(), v.unknown())), []),
})
export type CertificateDocument = v.InferOutput<typeof CertificateDocument>
export type PendingCertificate = NonNullable<CertificateDocument['pending']>

/** The id that a pending certificate's private key is stored under. */
export const keyIdOf = ({ id, keyId }: PendingCertificate): string => keyId ?? id

export const SourceDocument = v.object({ schema, notes: v.record(v.string(), v.unknown()) })
export type SourceDocument = v.InferOutput<typeof SourceDocument>

export const LeaseDocument = v.object({
  schema,
  /** Null when it was given back. */
  writer: v.nullable(v.string()),
  runId: v.string(),
  until: instant,
})
export type LeaseDocument = v.InferOutput<typeof LeaseDocument>

/** The last run as a whole. */
export const RunDocument = v.object({
  schema,
  /** The last run that finished, written down every few hours, and when it turns good or bad. */
  last: v.nullable(v.object({ runId: v.string(), at: instant, ok: v.boolean() })),
  /** When all targets were well for the last time, as far as it is written down; before they ever were: the first run. */
  okAt: v.nullable(instant),
  alerts: v.optional(AlertRecord, emptyAlertRecord),
})
export type RunDocument = v.InferOutput<typeof RunDocument>

/** What no run wrote down yet. */
export const newRun: RunDocument = { schema: 1, last: null, okAt: null, alerts: emptyAlertRecord }

/** What the watchdog told, where it has a store of its own. */
export const WatchDocument = v.object({
  schema,
  alerts: AlertRecord,
  /** The rotator had finished a run by then. */
  sawRun: v.optional(v.boolean()),
})
export type WatchDocument = v.InferOutput<typeof WatchDocument>

/** Ids of the events that must not be done twice, newest last. */
export const DeliveriesDocument = v.object({
  schema,
  delivered: v.array(v.object({ id: v.string(), at: instant })),
})
export type DeliveriesDocument = v.InferOutput<typeof DeliveriesDocument>

export const HistoryDocument = v.object({
  schema,
  rotations: v.array(
    v.object({
      runId: v.string(),
      at: instant,
      outcome: v.string(),
      reason: v.string(),
      before: v.nullable(v.string()),
      after: v.nullable(v.string()),
      error: v.nullable(v.string()),
      /** When the certificate of `after` ends. */
      until: v.optional(v.nullable(instant)),
    }),
  ),
  /** Of the newest entry. */
  lastSteps: v.optional(
    v.array(
      v.object({
        step: v.string(),
        status: v.picklist(['done', 'skipped', 'suspended', 'refused', 'failed']),
        durationMs: v.number(),
      }),
    ),
    [],
  ),
})
export type HistoryDocument = v.InferOutput<typeof HistoryDocument>

/** What a target without a document starts from. */
export const newTarget = (name: string): TargetDocument => ({
  schema: 1,
  name,
  current: null,
  previous: null,
  pending: null,
  added: [],
  rolledBack: [],
  rollBacks: 0,
  seen: {},
  declined: null,
  passedOver: null,
  held: null,
  failures: 0,
  retryAfter: null,
  lastBoundAt: null,
  emergencyAt: null,
  lastResult: null,
  alerts: emptyAlertRecord,
  life: null,
})

/** What a certificate without a document starts from. */
export const newCertificate = (name: string): CertificateDocument => ({
  schema: 1,
  name,
  pending: null,
  current: null,
  otherChains: [],
  notBefore: null,
  sources: {},
  renewalInfo: null,
  recalled: null,
  revoked: [],
  keptKeys: [],
  bannedKeys: [],
  leftovers: [],
})
