import type { Pace } from '../base/pace.ts'
import type { Turns } from '../base/parallel.ts'
import { RotationError } from '../base/rotation-error.ts'
import type { CertificateSource, DriverContext, Run, StateStore } from '../contracts.ts'
import type { Canary } from '../devices/canary.ts'
import type { IotdaClient } from '../iotda/client.ts'
import type { Endpoint } from '../iotda/endpoint.ts'
import type { CertificateSpec } from '../model/certificate.ts'
import type { RunEvent, StepName, StepRecord } from '../model/outcomes.ts'
import type { Rings } from '../model/rollout.ts'
import type { Target } from '../model/target.ts'
import type { Document } from '../state/document.ts'
import type { CertificateDocument, TargetDocument } from '../state/documents.ts'
import type { Records } from '../state/state.ts'
import { createTrace, type Trace } from './trace.ts'

/** All that the rotation of one target may touch, set up by the app; the steps never reach around it. */
export interface RotationSetup {
  readonly target: Target
  readonly spec: CertificateSpec
  readonly specHash: string
  readonly event: RunEvent
  readonly run: Run
  /** How often a schedule looks; renewal info and next checks are planned with it. */
  readonly intervalMs: number
  readonly iotda: IotdaClient
  readonly endpoint: Endpoint
  /** For revocation lists. */
  readonly http: DriverContext['http']
  /** Every source of the settings, by name. */
  readonly sources: Readonly<Record<string, CertificateSource>>
  readonly store: StateStore
  readonly records: Records
  /** Counts of devices, no faster than the account may ask for them. */
  readonly countPace: Pace
  /** In which order targets are given what is new to devices; null: all at once. */
  readonly rings: Rings | null
  /** Every target that shares the certificate, this one included. */
  readonly sharing: readonly Target[]
  /** The device that may connect on behalf of a profile (null: where there is none), or null. */
  readonly canaryOf: (profile: string | null) => Canary | null
  /** Told of a target that wants another certificate, which this run then leaves alone; null: this run rotates it. */
  readonly postpone: ((due: { readonly target: Target; readonly emergency: boolean }) => void) | null
  /** Runs one piece of work at a time for each key, within this process. */
  readonly inTurn: Turns
  /** The result is to be published for people: it says what `status` would say, too. */
  readonly isPublished: boolean
  /** Told of each step when it starts and when it ends. */
  readonly progress: (target: string, step: StepName, ended: StepRecord | null) => void
}

/** One run of the rotation on one target: what it may touch, and what has happened so far. */
export interface Context extends RotationSetup {
  readonly trace: Trace
}

export const openContext = (setup: RotationSetup): Context => ({
  ...setup,
  trace: createTrace(setup.run.clock.now()),
})

/** What is written down of the target. */
export const targetDocument = ({ records, target }: RotationSetup): Document<TargetDocument> =>
  records.target(target)

/** What is written down of its certificate. */
export const certificateDocument = ({
  records,
  spec,
}: Pick<RotationSetup, 'records' | 'spec'>): Document<CertificateDocument> => records.certificate(spec.name)

/** A source by its name; the certificate's first when the settings no longer have it, or none is named. */
export function sourceNamed(
  { sources, spec }: Pick<RotationSetup, 'sources' | 'spec'>,
  name?: string,
): CertificateSource {
  const source = (name === undefined ? undefined : sources[name]) ?? sources[spec.sources[0] ?? '']
  if (source) return source
  throw new RotationError('internal', `source "${spec.sources[0]}" is not there`)
}

/** Whether the event only asks, and nothing may be written down. */
export const isOnlyAsked = ({ event }: Pick<RotationSetup, 'event'>): boolean =>
  event.action === 'plan' || event.action === 'status'

/** Whether the result is for people to look at. */
export const isShown = ({ event, isPublished }: Pick<RotationSetup, 'event' | 'isPublished'>): boolean =>
  event.action === 'status' || isPublished

/** Thrown when the binding is not what this run decided on: the run looks again and decides anew. */
export const changed = (what: string): RotationError =>
  new RotationError('changed', `${what}: somebody else is at work; deciding anew`, { retry: 'now' })
