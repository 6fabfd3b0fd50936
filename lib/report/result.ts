import type { RotationError } from '../base/rotation-error.ts'
import { iso } from '../base/time.ts'
import type { Leaf, Served, Slot } from '../model/certificate.ts'
import type { DeviceOutlook } from '../model/device-profile.ts'
import type { ReportedError } from '../model/errors.ts'
import type { Outcome, StepRecord, Warning } from '../model/outcomes.ts'
import type { ReportedProbe } from '../rotation/steps/probed.ts'
import type { Job, World } from '../rotation/world.ts'
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
  /** How long what is bound, and what is served, will last. */
  readonly outlook: Outlook
  /** In the answers of `probe`: what the device port shows, and what devices would say. */
  readonly probe?: ReportedProbe
  /** Where a certificate was asked for: what its CAs were lately asked. */
  readonly orders?: readonly ReportedOrders[]
  /** In the answers of `status`: what is written down. */
  readonly kept?: ReportedKept
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

/** Whether the result is for people to look at. */
export const isShown = ({ event, isPublished }: World): boolean => event.action === 'status' || isPublished

/** Puts one target's result together. */
export function report(world: World, job: Job, outcome: Outcome, error: RotationError | null): TargetResult {
  const { bound } = job.inspection
  const before = bound?.slot?.leaf ? reportedLeaf(bound.slot.leaf, bound.serverCertificateId) : null
  const { due, reason, detail, nextCheckAt } = job.verdict
  return {
    target: world.target.name,
    outcome,
    decision: { due, reason, detail, nextCheckAt: nextCheckAt === null ? null : iso(nextCheckAt) },
    steps: job.steps.map(step =>
      step.step === 'preflight' && job.table ? { ...step, table: job.table } : step,
    ),
    before,
    after: afterwards(job, outcome, before),
    deleted: job.deleted,
    warnings: job.warnings,
    error: error && reportedError(error),
    outlook: outlookOf(job, outcome),
    ...(world.event.action === 'plan' || isShown(world) ? { seen: seen(job) } : {}),
    ...(job.devices ? { devices: job.devices } : {}),
  }
}

export const reportedError = ({ code, message, hint, retryAt }: RotationError): ReportedError => ({
  code,
  message,
  hint,
  retryAt: retryAt === null ? null : iso(retryAt),
})

function outlookOf({ inspection, proof, material, deleted, uploadedId }: Job, outcome: Outcome): Outlook {
  const isNew = (outcome === 'rotated' && proof?.kind !== 'bad' && material) || null
  const seen = inspection.served.flatMap(({ leaf }) => (leaf ? [leaf] : []))
  const first = seen.toSorted((a, b) => a.notAfter - b.notAfter)[0] ?? null
  const isAdded =
    uploadedId !== null && !inspection.slots.some(s => s.serverCertificateId === uploadedId) ? 1 : 0
  return {
    bound: lifeOf(isNew?.leaf ?? inspection.bound?.slot?.leaf ?? null),
    served: lifeOf(isNew && proof?.kind === 'served' ? isNew.leaf : first),
    slotsUsed: inspection.at === 0 ? null : inspection.slots.length - deleted.length + isAdded,
  }
}

const lifeOf = (leaf: Leaf | null): ReportedLife | null =>
  leaf && {
    fingerprint: leaf.fingerprint,
    notBefore: iso(leaf.notBefore),
    notAfter: iso(leaf.notAfter),
  }

function afterwards(
  { proof, material, uploadedId }: Job,
  outcome: Outcome,
  before: ReportedLeaf | null,
): ReportedLeaf | null {
  if (outcome !== 'rotated' || !proof || !material) return before
  return reportedLeaf(material.leaf, uploadedId)
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

function seen({ inspection }: Job): NonNullable<TargetResult['seen']> {
  const { slots, served, bound } = inspection
  return {
    slots: slots.map((slot: Slot) => ({
      serverCertificateId: slot.serverCertificateId,
      bound: slot.serverCertificateId === bound?.serverCertificateId,
      leaf: slot.leaf && reportedLeaf(slot.leaf, slot.serverCertificateId),
      expiryDate: iso(slot.expiryDate),
    })),
    served: served.map(({ address, leaf, error }: Served) => ({
      address,
      leaf: leaf && reportedLeaf(leaf, null),
      error,
    })),
  }
}
