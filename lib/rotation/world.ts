import type { Turns } from '../base/parallel.ts'
import { RotationError } from '../base/rotation-error.ts'
import type { Secret } from '../base/secret.ts'
import { MINUTE_MS } from '../base/time.ts'
import type { CertificateSource, Offer, Run, StateStore } from '../contracts.ts'
import type { Canary } from '../devices/canary.ts'
import type { DomainConfiguration, IotdaClient } from '../iotda/client.ts'
import type { Endpoint } from '../iotda/endpoint.ts'
import type { CertificateSpec, Leaf, RenewalInfo, Served, Slot } from '../model/certificate.ts'
import type { CheckLine, DeviceOutlook } from '../model/device-profile.ts'
import type { Decision, Outcome, RunEvent, StepName, StepRecord, Warning } from '../model/outcomes.ts'
import type { Target } from '../model/target.ts'
import type { Document } from '../state/document.ts'
import type { CertificateDocument, PendingCertificate, TargetDocument } from '../state/documents.ts'
import type { Lease } from '../state/lease.ts'
import type { Records } from '../state/state.ts'

/** All that the rotation of one target may touch. Built by the app; the steps never reach around it. */
export interface World {
  readonly target: Target
  readonly spec: CertificateSpec
  readonly specHash: string
  readonly event: RunEvent
  readonly run: Run
  /** How often a schedule looks; renewal info and next checks are planned with it. */
  readonly intervalMs: number
  readonly iotda: IotdaClient
  readonly endpoint: Endpoint
  /** Every source of the settings, by name. */
  readonly sources: Readonly<Record<string, CertificateSource>>
  readonly store: StateStore
  readonly records: Records
  /** Every target that shares the certificate, this one included. */
  readonly sharing: readonly Target[]
  /** The device that may connect on behalf of a profile (null: where there is none), or null. */
  readonly canaryOf: (profile: string | null) => Canary | null
  /** Runs one piece of work at a time for each key, within this process. */
  readonly inTurn: Turns
  /** The result is to be published for people: it says what `status` would say, too. */
  readonly isPublished: boolean
  /** Told of each step when it starts and when it ends. */
  readonly progress: (target: string, step: StepName, ended: StepRecord | null) => void
}

/** A source by its name; the certificate's first when the settings no longer have it, or none is named. */
export function sourceNamed(
  { sources, spec }: Pick<World, 'sources' | 'spec'>,
  name?: string,
): CertificateSource {
  const source = (name === undefined ? undefined : sources[name]) ?? sources[spec.sources[0] ?? '']
  if (source) return source
  throw new RotationError('internal', `source "${spec.sources[0]}" is not there`)
}

/** One look at the outside. */
export interface Inspection {
  readonly at: number
  /** The one domain configuration, or null. */
  readonly configuration: DomainConfiguration | null
  /** What the configuration is bound to. `slot` null: the binding names a certificate that is not there. */
  readonly bound: { readonly serverCertificateId: string; readonly slot: Slot | null } | null
  readonly slots: readonly Slot[]
  /** Empty when the probe is off. */
  readonly served: readonly Served[]
  readonly renewalInfo: RenewalInfo | null
  /** What the first source holds, or why that is not known; null when it makes certificates to order. */
  readonly offer:
    | { readonly held: Offer; readonly failure: null }
    | { readonly held: null; readonly failure: RotationError }
    | null
  readonly documents: { readonly target: TargetDocument; readonly certificate: CertificateDocument }
}

/** What a decision asks the run to do. */
export type Plan = 'none' | 'verify' | 'roll-back' | 'repair' | 'deploy'

export interface Verdict extends Decision {
  readonly plan: Plan
  readonly emergency: boolean
}

/** What verify concluded. */
export type Proof =
  | { readonly kind: 'served' }
  | { readonly kind: 'unverified'; readonly why: string }
  | { readonly kind: 'bad'; readonly why: string }

/** The work on one target in one run: what was seen, what was decided, and what has come of it so far. */
export interface Job {
  readonly startedAt: number
  inspection: Inspection
  verdict: Verdict
  lease: Lease | null
  readonly targetDocument: Document<TargetDocument>
  readonly certificateDocument: Document<CertificateDocument>
  pending: PendingCertificate | null
  material: { readonly chainPem: string; readonly leaf: Leaf; readonly key: Secret | null } | null
  /** The id under which the new certificate is uploaded. */
  uploadedId: string | null
  proof: Proof | null
  /** Something was deleted in this run: a refusal right after it may be the platform catching up. */
  deletedJustNow: boolean
  readonly deleted: { readonly serverCertificateId: string; readonly why: string }[]
  readonly warnings: Warning[]
  readonly steps: StepRecord[]
  /** What preflight found. */
  table?: readonly CheckLine[]
  /** What devices make of the certificate now, where somebody wants to look at it. */
  devices?: DeviceOutlook
}

/** What a step says. A step that cannot go on for good throws a RotationError. */
export type StepResult =
  | {
      readonly status: 'done' | 'skipped'
      readonly detail: string
      readonly call?: string
      readonly outcome?: Outcome
    }
  | { readonly status: 'suspended'; readonly until: number; readonly detail: string; readonly call?: string }

export type Step = (world: World, job: Job) => Promise<StepResult>

export const done = (detail: string, call?: string): StepResult => ({
  status: 'done',
  detail,
  ...(call ? { call } : {}),
})
export const skipped = (detail: string): StepResult => ({ status: 'skipped', detail })
export const suspend = (until: number, detail: string): StepResult => ({ status: 'suspended', until, detail })

/** Thrown when the binding is not what this run decided on: the run looks again and decides anew. */
export const changed = (what: string): RotationError =>
  new RotationError('changed', `${what}: somebody else is at work; deciding anew`, { retry: 'now' })

/** What a bind must leave of the run: verify's own time, and a rollback's. */
export const timeToBindMs = (target: Target): number => target.probe.withinMs + MINUTE_MS

/** The id this run decided on replacing; null when nothing is bound. */
export const boundId = (job: Job): string | null => job.inspection.bound?.serverCertificateId ?? null

export const warn = (job: Job, code: string, message: string): void => {
  if (!job.warnings.some(w => w.code === code && w.message === message)) job.warnings.push({ code, message })
}
