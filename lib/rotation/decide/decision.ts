import type { Leaf } from '../../model/certificate.ts'
import type { DueReason, IdleReason } from '../../model/outcomes.ts'
import type { PendingBinding, TargetDocument } from '../../state/documents.ts'
import type { Inspection } from '../observe/inspection.ts'

/** Nothing is to be done now. */
export interface Idle {
  readonly due: false
  readonly reason: IdleReason
  readonly detail: string
  readonly nextCheckAt: number | null
  readonly plan: 'none'
  readonly emergency: false
}

interface DueFor<P extends string> {
  readonly due: true
  readonly reason: DueReason
  readonly detail: string
  readonly nextCheckAt: number | null
  readonly plan: P
  readonly emergency: boolean
}

/** Another certificate is wanted. */
export type DueToDeploy = DueFor<'deploy'>
/** A bind has no verdict yet. */
export type DueToVerify = DueFor<'verify'> & { readonly binding: PendingBinding }
/** What is bound was found unusable, and its predecessor is not bound again yet. */
export type DueToRollBack = DueFor<'roll-back'> & { readonly binding: PendingBinding; readonly why: string }
/** The port serves something else than the leaf that is bound. */
export type DueToRepair = DueFor<'repair'> & { readonly leaf: Leaf }

/** Due, or idle; always with a reason. */
export type Decision = Idle | DueToDeploy | DueToVerify | DueToRollBack | DueToRepair

/** Devices have nothing that they should trust: neither age nor change windows are waited for. */
export const WITHOUT_WAIT: readonly Decision['reason'][] = ['expired', 'no-certificate', 'revoked']

/** What was seen, what is written down after it was reconciled with that, and what is to be done. */
export interface Decided<D extends Decision = Decision> {
  readonly inspection: Inspection
  readonly document: TargetDocument
  readonly decision: D
}
