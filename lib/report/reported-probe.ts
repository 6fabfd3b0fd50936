import type { CheckLine } from '../model/device-profile.ts'

/** A certificate of a chain, in an answer. */
export interface ReportedCertificate {
  readonly subject: string
  readonly issuer: string
  readonly names: readonly string[]
  readonly notBefore: string
  readonly notAfter: string
  readonly keyType: string
  readonly fingerprint: string
}

/** What one kind of device would say at one address. */
export interface ReportedVerdict {
  /** Null: any device of the target. */
  readonly profile: string | null
  readonly ok: boolean
  readonly protocol: string | null
  readonly cipher: string | null
  /** Why such a device would not connect, or should not; null: it would. */
  readonly problem: string | null
  readonly canary: 'accepted' | 'refused' | 'not-sent' | null
  readonly durationMs: number
  /** What is wrong or doubtful with the chain; empty: nothing. */
  readonly lines: readonly CheckLine[]
}

/** What one address shows. */
export interface ReportedAddress {
  readonly address: string
  /** Why nothing was seen; null: something was. */
  readonly error: string | null
  /** An IPv6 address that this machine has no way to: it says nothing. */
  readonly skipped: boolean
  readonly chain: readonly ReportedCertificate[]
  readonly daysLeft: number | null
  readonly protocol: string | null
  readonly cipher: string | null
  readonly verdicts: readonly ReportedVerdict[]
}

/** A device port, as devices see it. */
export interface ReportedProbe {
  readonly serverName: string
  readonly port: number
  readonly ok: boolean
  /** Fingerprint of the leaf that is bound; null: not known. */
  readonly expected: string | null
  readonly addresses: readonly ReportedAddress[]
}
