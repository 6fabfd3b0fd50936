/**
 * The nouns and the one vocabulary table. Types and constants only; imports nothing else.
 * Instants are milliseconds since the epoch, in the program and in its documents; answers say them in ISO 8601 UTC.
 */
import type { CheckLine, DeviceProfile } from './fleet.ts'

// --- what the operator names -----------------------------------------------------------------------------

export const KEY_TYPES = ['rsa-2048', 'rsa-3072', 'rsa-4096', 'ec-256', 'ec-384'] as const
export type KeyType = (typeof KEY_TYPES)[number]

/** How `private_key` is written: `pkcs1` is SEC 1 for an EC key; `encrypted-pkcs8` goes with a password. */
export const KEY_ENCODINGS = ['pkcs1', 'pkcs8', 'encrypted-pkcs8'] as const
export type KeyEncoding = (typeof KEY_ENCODINGS)[number]

/** A threshold against `expiry_date`: a duration, or a share of the lifetime. */
export type RenewBefore = { readonly durationMs: number } | { readonly share: number }

/** A named specification of a certificate; several targets may share one. */
export interface CertificateSpec {
  readonly name: string
  /** Lower-case A-labels; a wildcard stands for exactly one label. */
  readonly names: readonly string[]
  readonly keyType: KeyType
  /** CAs and other sources, in the order in which they are tried. */
  readonly sources: readonly string[]
  /** Null: renewal info decides, with 1/3 of the lifetime (1/2 below 10 days) as the fallback. */
  readonly renewBefore: RenewBefore | null
  /** Ask the CA for renewal info (RFC 9773). */
  readonly ari: boolean
  /** ACME profile, or null for the CA's default. */
  readonly profile: string | null
  /** When the CA does not offer the profile: false fails, true takes the CA's default, a name that one. */
  readonly profileFallback: boolean | string
  /** The next certificate has the same key: for devices that pin it. */
  readonly reuseKey: boolean
}

/** One custom domain of one IoTDA instance. */
export interface Target {
  readonly name: string
  readonly domain: string
  readonly certificate: string
  readonly instance: {
    readonly region: string
    readonly projectId: string
    /** Sent as `Instance-Id`; null leaves the header out. */
    readonly instanceId: string | null
    readonly endpoint: string
    readonly signing: 'auto' | 'standard' | 'derived'
  }
  readonly keyEncoding: KeyEncoding
  readonly domainConfiguration: 'require' | 'create'
  readonly probe: ProbeSettings
  /** PEM of the roots that the devices trust; null: Node's. */
  readonly trustedRoots: string | null
  /** What is in the field; empty: devices that trust `trustedRoots` and take the kind of key they are served today. */
  readonly profiles: readonly DeviceProfile[]
  /** `bind`: in the emergency a certificate is bound in spite of preflight. */
  readonly preflight: { readonly emergency: 'refuse' | 'bind' }
  readonly ocsp: 'require-url' | 'follow-certificate'
  readonly slots: { readonly delete: 'superseded' | 'managed' | 'never' }
  /** Soak: a certificate is uploaded at once and bound only when it is that old. */
  readonly minAgeMs: number
  /** Change windows: when a bind may happen; empty: always. */
  readonly bindWindow: readonly BindWindow[]
}

/** A range of the week in which a bind may happen, e.g. `mon-fri 02:00-05:00 Asia/Shanghai`. */
export interface BindWindow {
  /** As written, for messages. */
  readonly text: string
  /** 0 is Sunday. A range over midnight belongs to its first day. */
  readonly days: readonly number[]
  /** Minutes after midnight, local. */
  readonly from: number
  readonly to: number
  /** IANA name. */
  readonly timeZone: string
}

export interface ProbeSettings {
  /** `off`: never looked at; `best-effort`: unreachable before and after is a warning; `require`: it is a failure. */
  readonly mode: 'off' | 'best-effort' | 'require'
  readonly host: string
  readonly port: number
  /** Addresses to ask instead of those `host` resolves to. */
  readonly addresses: readonly string[]
  /** Consecutive matches wanted at every address. */
  readonly steady: number
  /** How long verify waits for the new leaf. */
  readonly withinMs: number
}

// --- what the program sees -------------------------------------------------------------------------------

/** What makes one leaf differ from another: the settings as they were when it was asked for. */
export type SpecHash = string

/** A leaf certificate as shown to people and compared by the program. */
export interface Leaf {
  /** SHA-256 of the DER, lower-case hex. */
  readonly fingerprint: string
  /** Lower-case hex, without the sign byte. */
  readonly serial: string
  readonly subject: string
  readonly issuer: string
  /** DNS names of the subjectAltName. */
  readonly names: readonly string[]
  readonly notBefore: number
  readonly notAfter: number
  readonly keyType: string
  /** The http(s) responder of the authority information access extension. */
  readonly ocspUrl: string | null
}

/** One of IoTDA's two places for a server certificate. */
export interface Slot {
  readonly serverCertificateId: string
  readonly effectiveDate: number
  readonly expiryDate: number
  /** Null when Show did not know it (yet, or any more). */
  readonly certificatePem: string | null
  /** Null when there is no PEM, or it cannot be read. */
  readonly leaf: Leaf | null
}

/** The window in which the CA suggests to renew (RFC 9773 section 4.2), as kept between runs. */
export interface RenewalInfo {
  /** Fingerprint of the leaf it speaks of. */
  readonly fingerprint: string
  /** Null: the CA gave no usable answer; ask again at `nextFetchAt`. */
  readonly window: { readonly start: number; readonly end: number } | null
  readonly explanationUrl: string | null
  readonly nextFetchAt: number
}

/** What was read on the device port, by address. */
export interface Served {
  readonly address: string
  /** Null: no handshake; `error` says why. */
  readonly leaf: Leaf | null
  readonly error: string | null
  /** All that was sent with it, the leaf first. */
  readonly chainPem?: string | null
}

// --- the vocabulary ----------------------------------------------------------------------------------------

/** Why a certificate is revoked (RFC 5280 section 5.3.1), as far as a subscriber may say. */
export const REVOCATION_REASONS = { unspecified: 0, keyCompromise: 1, superseded: 4, cessationOfOperation: 5 }
export type RevocationReason = keyof typeof REVOCATION_REASONS

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

/** Every outcome: `ok` in the answer, the CLI's exit code, and whether the door throws; what only waits does not. */
export const OUTCOMES = {
  idle: { ok: true, exit: 0, throws: false, text: 'nothing to do' },
  planned: { ok: true, exit: 0, throws: false, text: 'nothing was changed: this is what a run would do' },
  probed: { ok: true, exit: 0, throws: false, text: 'devices are served, at every address' },
  rotated: { ok: true, exit: 0, throws: false, text: 'the new certificate is bound and served' },
  revoked: { ok: true, exit: 0, throws: false, text: 'the CA has revoked the certificate' },
  repaired: { ok: true, exit: 0, throws: false, text: 'the bound certificate was bound again and is served' },
  suspended: { ok: true, exit: 3, throws: false, text: 'waiting; a later run goes on' },
  busy: { ok: true, exit: 3, throws: false, text: 'another run is at work on this instance' },
  held: { ok: false, exit: 1, throws: false, text: 'no unattended change until a person says so' },
  'rolled-back': { ok: false, exit: 1, throws: true, text: 'the old certificate is bound again' },
  refused: { ok: false, exit: 1, throws: true, text: 'nothing was deployed' },
  failed: { ok: false, exit: 1, throws: true, text: 'the run failed' },
} as const satisfies Record<string, { ok: boolean; exit: 0 | 1 | 3; throws: boolean; text: string }>
export type Outcome = keyof typeof OUTCOMES

export const DUE_REASONS = {
  resume: 'an earlier run left something to finish',
  'no-certificate': 'no certificate is bound',
  expired: 'the bound certificate has expired',
  expiring: 'the bound certificate is within renewBefore of its end',
  'renewal-window': 'the CA suggests to renew now',
  emergency: 'the bound certificate is about to expire',
  'settings-changed': 'the settings ask for another certificate than was obtained',
  'source-renewed': 'the source holds a newer certificate',
  forced: 'a person asked for it',
} as const
export type DueReason = keyof typeof DUE_REASONS

/** Idle reasons; `waits` marks the ones that make a run answer `ok: false`. */
export const IDLE_REASONS = {
  fresh: { waits: false, text: 'the bound certificate is fresh' },
  'backing-off': { waits: true, text: 'an earlier run failed; the next try comes later' },
  held: { waits: true, text: 'held until a person or changed settings say so' },
  busy: { waits: false, text: 'another run is at work' },
  probed: { waits: false, text: 'only looked at' },
  paused: { waits: true, text: 'no order before the instant that the CA or the budget names' },
} as const
export type IdleReason = keyof typeof IDLE_REASONS

/** Every error code. `exit` 2: a person mends the settings or what they point at; 3: another run is at work. */
export const ERROR_CODES = {
  usage: { exit: 2, text: 'the command or event is not understood' },
  'settings-invalid': { exit: 2, text: 'the settings have mistakes' },
  unauthorized: { exit: 2, text: 'a service refused the credentials or the signature (401)' },
  forbidden: { exit: 2, text: 'a service says the credentials may not do this (403)' },
  unreachable: { exit: 2, text: 'no connection to a configured address' },
  'domain-configuration-missing': { exit: 2, text: 'the instance has no domain configuration' },
  'domain-mismatch': { exit: 2, text: 'the domain configuration is for another domain than is set' },
  'certificate-invalid': { exit: 2, text: 'what the source gave is no usable certificate' },
  'solver-zone-missing': { exit: 2, text: 'the DNS solver does not hold the zone of a name' },
  'delegation-mismatch': { exit: 2, text: 'a name does not lead to the DNS zone that the solver writes to' },
  'caa-forbids': { exit: 2, text: 'CAA records do not let this CA issue for a name' },
  'ca-rejected': { exit: 2, text: 'the CA rejects the request as it is configured' },
  unavailable: { exit: 1, text: 'a service failed or gave an unreadable answer' },
  throttled: { exit: 1, text: 'a service asks for fewer calls' },
  'service-refused': { exit: 1, text: 'a service refused a call' },
  'rate-limited': { exit: 1, text: 'the CA asks to wait' },
  'validation-failed': { exit: 1, text: 'the CA could not validate a name' },
  'order-failed': { exit: 1, text: 'the CA gave up on the order' },
  'not-renewed': { exit: 1, text: 'the source holds nothing newer than what is bound' },
  'propagation-timeout': { exit: 1, text: 'a TXT record is not at every authoritative server' },
  'preflight-refused': { exit: 1, text: 'devices would not accept the new certificate' },
  'slots-full': { exit: 1, text: 'both slots are used and neither may be deleted' },
  'add-uncertain': { exit: 1, text: 'it is unknown whether IoTDA took the certificate' },
  'not-served': { exit: 1, text: 'the device port does not serve the bound certificate' },
  'nothing-to-roll-back': { exit: 1, text: 'there is no previous certificate to go back to' },
  'store-unreadable': { exit: 1, text: 'the state cannot be read' },
  'store-conflict': { exit: 1, text: 'another writer changed the state' },
  'lease-lost': { exit: 3, text: 'another run took over' },
  busy: { exit: 3, text: 'another run is at work on this instance' },
  changed: { exit: 1, text: 'the binding keeps changing under the run' },
  'out-of-time': { exit: 3, text: 'the run has no time left' },
  internal: { exit: 1, text: 'a mistake in iotda-cert itself' },
} as const satisfies Record<string, { exit: 1 | 2 | 3; text: string }>
export type ErrorCode = keyof typeof ERROR_CODES

// --- the answer --------------------------------------------------------------------------------------------

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

export interface Decision {
  readonly due: boolean
  readonly reason: DueReason | IdleReason
  readonly detail: string
  readonly nextCheckAt: number | null
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

export interface ReportedError {
  readonly code: ErrorCode
  readonly message: string
  readonly hint: string | null
  readonly retryAt: string | null
}
