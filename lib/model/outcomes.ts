/** The one vocabulary: what may be asked for, what a run came to, and why. */
import type { RevocationReason } from './certificate.ts'
import type { CheckLine } from './device-profile.ts'

export const ACTIONS = ['rotate', 'plan', 'status', 'rollback', 'hold', 'resume', 'probe', 'revoke'] as const
export type Action = (typeof ACTIONS)[number]

export const STEPS = [
  'inspect',
  'decide',
  'obtain',
  'preflight',
  'free',
  'add',
  'bind',
  'verify',
  'roll-back',
  'record',
] as const
export type StepName = (typeof STEPS)[number]

export type StepStatus = 'done' | 'skipped' | 'suspended' | 'refused' | 'failed'

/**
 * Every outcome: whether what was asked for was done, whatever became of the target, and whether the door throws; what
 * only waits does not. How well the target is, and the exit code where it was not done, says `report/health.ts`.
 */
export const OUTCOMES = {
  idle: { isDone: true, throws: false, text: 'nothing to do' },
  planned: { isDone: true, throws: false, text: 'nothing was changed: this is what a run would do' },
  probed: { isDone: true, throws: false, text: 'devices are served, at every address' },
  rotated: { isDone: true, throws: false, text: 'the new certificate is bound and served' },
  revoked: { isDone: true, throws: false, text: 'the CA has revoked the certificate' },
  repaired: { isDone: true, throws: false, text: 'the bound certificate was bound again and is served' },
  suspended: { isDone: false, throws: false, text: 'waiting; a later run goes on' },
  busy: { isDone: false, throws: false, text: 'another run is at work on this instance' },
  held: { isDone: false, throws: false, text: 'no unattended change until a person says so' },
  'rolled-back': { isDone: false, throws: true, text: 'the old certificate is bound again' },
  refused: { isDone: false, throws: true, text: 'nothing was deployed' },
  failed: { isDone: false, throws: true, text: 'the run failed' },
} as const satisfies Record<string, { isDone: boolean; throws: boolean; text: string }>
export type Outcome = keyof typeof OUTCOMES

export const DUE_REASONS = {
  resume: 'an earlier run left something to finish',
  'no-certificate': 'no certificate is bound',
  expired: 'the bound certificate has expired',
  expiring: 'the bound certificate is within renewBefore of its end',
  'renewal-window': 'the CA suggests to renew now',
  emergency: 'the bound certificate is about to expire',
  revoked: 'the bound certificate was revoked',
  'settings-changed': 'the settings ask for another certificate than was obtained',
  'source-renewed': 'the source holds a newer certificate',
  forced: 'a person asked for it',
} as const
export type DueReason = keyof typeof DUE_REASONS

export const IDLE_REASONS = {
  fresh: 'the bound certificate is fresh',
  'backing-off': 'an earlier run failed; the next try comes later',
  held: 'held until a person or changed settings say so',
  busy: 'another run is at work',
  probed: 'only looked at',
  paused: 'no order before the instant that the CA or the budget names',
} as const
export type IdleReason = keyof typeof IDLE_REASONS

/** What a schedule, a person or the CLI asks for. It may narrow, pace or force a run, nothing else. */
export interface RunEvent {
  readonly action: Action
  /** Names of targets; null means all. */
  readonly targets: readonly string[] | null
  readonly force: boolean
  /** Stop after this step and hold. */
  readonly until: StepName | null
  /** Accept exactly this fingerprint in spite of preflight. */
  readonly accept: string | null
  /** Of `revoke`: which certificate, by fingerprint (null: the one that is not bound), and why. */
  readonly revoke?: { readonly certificate: string | null; readonly reason: RevocationReason }
  /** Of `probe`: only these profiles. */
  readonly profiles?: readonly string[]
  /** Who asked, as far as the door can tell; for the log. */
  readonly askedBy?: string
}

export interface StepRecord {
  readonly step: StepName
  readonly status: StepStatus
  readonly durationMs: number
  /** The outside call the step ended with, if any, e.g. `CreateServerCertificate`. */
  readonly call: string | null
  readonly detail: string
  /** What preflight found. */
  readonly table?: readonly CheckLine[]
}

export interface Warning {
  readonly code: string
  readonly message: string
}
