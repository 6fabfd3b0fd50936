import type { RotationError } from '../base/rotation-error.ts'
import { iso } from '../base/time.ts'
import type { Leaf, Served, Slot } from '../model/certificate.ts'
import type { CheckLine, DeviceOutlook } from '../model/device-profile.ts'
import type { ReportedError } from '../model/errors.ts'
import type { Outcome, StepRecord, Warning } from '../model/outcomes.ts'
import type { ReportedProbe } from './reported-probe.ts'
import type { ReportedKept, ReportedOrders } from './status.ts'

/** A leaf as it stands in an answer. */
export interface ReportedLeaf {
  readonly serverCertificateId: string | null
  readonly fingerprint: string
  readonly serial: string
  readonly subject: string
  readonly issuer: string
  readonly names: readonly string[]
  readonly notBefore: string
  readonly notAfter: string
  readonly keyType: string
}

/** The life of a leaf, as it stands in an answer. */
export interface ReportedLife {
  readonly fingerprint: string
  readonly notBefore: string
  readonly notAfter: string
}

/** How things stand after the run. */
export interface Outlook {
  readonly bound: ReportedLife | null
  /** Of several that are served, the one that ends first; null: nothing could be seen. */
  readonly served: ReportedLife | null
  /** Null: they could not be seen. */
  readonly slotsUsed: number | null
}

/** Nothing was looked at. */
export const nothingSeen: Outlook = { bound: null, served: null, slotsUsed: null }

/** A key that is announced. */
export interface ReportedNextKey {
  /** SHA-256 of its SubjectPublicKeyInfo in base64, as clients pin it (RFC 7469 section 2.4). */
  readonly spki: string
  readonly keyType: string
  readonly since: string
}

/** One target's part of the answer; plain JSON, instants in ISO 8601. */
export interface TargetResult {
  readonly target: string
  readonly outcome: Outcome
  readonly decision: {
    readonly due: boolean
    readonly reason: string
    readonly detail: string
    readonly nextCheckAt: string | null
  }
  readonly steps: readonly StepRecord[]
  readonly before: ReportedLeaf | null
  readonly after: ReportedLeaf | null
  readonly deleted: readonly { readonly serverCertificateId: string; readonly why: string }[]
  readonly warnings: readonly Warning[]
  readonly error: ReportedError | null
  /** Where the fleet is divided: the shard that looks after it, e.g. `2/3`. */
  readonly shard?: string
  /** How long what is bound, and what is served, will last. */
  readonly outlook: Outlook
  /** In the answers of `probe`: what the device port shows, and what devices would say. */
  readonly probe?: ReportedProbe
  /** Where a certificate was asked for: what its CAs were lately asked. */
  readonly orders?: readonly ReportedOrders[]
  /** In the answers of `plan` and `status`: what is written down. */
  readonly kept?: ReportedKept
  /** Where devices pin keys: the key that a certificate of later has, for them to learn. */
  readonly nextKey?: ReportedNextKey
  /** Where devices were counted: how many are online, how many are usual, and after a bind what that says. */
  readonly online?: ReportedCount
  /** In the answers of `status`. */
  readonly devices?: DeviceOutlook
  /** In the answers of `plan` and `status`: what is in the slots, and what each address serves. */
  readonly seen?: {
    readonly slots: readonly {
      readonly serverCertificateId: string
      readonly bound: boolean
      readonly leaf: ReportedLeaf | null
      readonly expiryDate: string
    }[]
    readonly served: readonly {
      readonly address: string
      readonly leaf: ReportedLeaf | null
      readonly error: string | null
    }[]
  }
}

/** A target, with its shard where there are several. */
export const nameIn = ({ target, shard }: Pick<TargetResult, 'target' | 'shard'>): string =>
  shard === undefined ? target : `${target} (shard ${shard})`

/** Devices online; `verdict` null: no bind is watched. */
export interface ReportedCount {
  readonly at: string
  readonly count: number
  readonly usual: number | null
  readonly verdict: 'back' | 'fewer' | 'unknown' | null
}

/** What happened to a target in a run, as far as its result tells; the last of several counts. */
export interface Happened {
  readonly steps: readonly StepRecord[]
  readonly warnings: readonly Warning[]
  readonly deletions: TargetResult['deleted']
  /** Ids under which something was uploaded, or found to be. */
  readonly uploads: readonly string[]
  readonly inspections: readonly Seen[]
  /** What the device port showed: at each look at everything, and where a certificate was proven to be served. */
  readonly looks: readonly (readonly Served[])[]
  /** What preflight found. */
  readonly tables: readonly (readonly CheckLine[])[]
  /** Devices online, instants in milliseconds. */
  readonly counts: readonly (Omit<ReportedCount, 'at'> & { readonly at: number })[]
}

interface Seen {
  readonly bound: { readonly serverCertificateId: string; readonly slot: Slot | null } | null
  readonly slots: readonly Slot[]
}

/** What a run came to for a target. */
export interface Ended {
  readonly target: string
  readonly outcome: Outcome
  readonly decision: {
    readonly due: boolean
    readonly reason: string
    readonly detail: string
    readonly nextCheckAt: number | null
  }
  readonly error: RotationError | null
  /** What was brought to devices; null: nothing. */
  readonly deployed: { readonly leaf: Leaf; readonly serverCertificateId: string } | null
  readonly devices: DeviceOutlook | null
  /** The key that is announced; null: none. */
  readonly nextKey: { readonly spki: string; readonly keyType: string; readonly since: number } | null
  /** The slots and the port are to be shown, too. */
  readonly isSeen: boolean
}

/** Puts one target's result together. */
export function resultOf(happened: Happened, ended: Ended): TargetResult {
  const { target, outcome, deployed, error, devices, nextKey } = ended
  const { due, reason, detail, nextCheckAt } = ended.decision
  const { bound, slots } = happened.inspections.at(-1) ?? { bound: null, slots: [] }
  const served = happened.looks.at(-1) ?? []
  const table = happened.tables.at(-1)
  const count = happened.counts.at(-1)
  const before = bound?.slot?.leaf ? reportedLeaf(bound.slot.leaf, bound.serverCertificateId) : null
  return {
    target,
    outcome,
    decision: { due, reason, detail, nextCheckAt: nextCheckAt === null ? null : iso(nextCheckAt) },
    steps: happened.steps.map(step => (step.step === 'preflight' && table ? { ...step, table } : step)),
    before,
    after: deployed ? reportedLeaf(deployed.leaf, deployed.serverCertificateId) : before,
    deleted: happened.deletions,
    warnings: happened.warnings,
    error: error && reportedError(error),
    outlook: {
      bound: lifeOf(deployed?.leaf ?? bound?.slot?.leaf ?? null),
      served: lifeOf(firstToEnd(served)),
      slotsUsed: happened.inspections.length === 0 ? null : slotsUsed(slots, happened),
    },
    ...(count ? { online: { ...count, at: iso(count.at) } } : {}),
    ...(ended.isSeen ? { seen: seenOf(bound, slots, served) } : {}),
    ...(nextKey
      ? { nextKey: { spki: nextKey.spki, keyType: nextKey.keyType, since: iso(nextKey.since) } }
      : {}),
    ...(devices ? { devices } : {}),
  }
}

const firstToEnd = (served: readonly Served[]): Leaf | null =>
  served.flatMap(({ leaf }) => (leaf ? [leaf] : [])).toSorted((a, b) => a.notAfter - b.notAfter)[0] ?? null

function slotsUsed(slots: readonly Slot[], { deletions, uploads }: Happened): number {
  const ids = new Set([...slots.map(s => s.serverCertificateId), ...uploads])
  return [...ids].filter(id => !deletions.some(d => d.serverCertificateId === id)).length
}

export const reportedError = ({ code, message, hint, retryAt }: RotationError): ReportedError => ({
  code,
  message,
  hint,
  retryAt: retryAt === null ? null : iso(retryAt),
})

const lifeOf = (leaf: Leaf | null): ReportedLife | null =>
  leaf && {
    fingerprint: leaf.fingerprint,
    notBefore: iso(leaf.notBefore),
    notAfter: iso(leaf.notAfter),
  }

export function reportedLeaf(leaf: Leaf, serverCertificateId: string | null): ReportedLeaf {
  const { fingerprint, serial, subject, issuer, names, keyType } = leaf
  return {
    serverCertificateId,
    fingerprint,
    serial,
    subject,
    issuer,
    names,
    notBefore: iso(leaf.notBefore),
    notAfter: iso(leaf.notAfter),
    keyType,
  }
}

const seenOf = (
  bound: Seen['bound'],
  slots: readonly Slot[],
  served: readonly Served[],
): NonNullable<TargetResult['seen']> => ({
  slots: slots.map(({ serverCertificateId, leaf, expiryDate }) => ({
    serverCertificateId,
    bound: serverCertificateId === bound?.serverCertificateId,
    leaf: leaf && reportedLeaf(leaf, serverCertificateId),
    expiryDate: iso(expiryDate),
  })),
  served: served.map(({ address, leaf, error }) => ({
    address,
    leaf: leaf && reportedLeaf(leaf, null),
    error,
  })),
})
