/** The devices in the field, and what is said of a certificate for their sake. Types and constants only; imports nothing. */

export const TLS_VERSIONS = ['TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const
export type TlsVersion = (typeof TLS_VERSIONS)[number]

/** Stacks whose own rules are followed, each by what it does without further settings. */
export const STACK_NAMES = ['mbedtls-2', 'mbedtls-3', 'esp-bundle', 'wolfssl', 'openssl'] as const
export type StackName = (typeof STACK_NAMES)[number]

/** One kind of device in the field: what it trusts and what it understands. Null: not limited. */
export interface DeviceProfile {
  readonly name: string
  /** Whose rules it follows beyond RFC 5280; null: not known. */
  readonly stack: StackName | null
  /** PEM of the roots burnt in; null: the target's. */
  readonly trustedRoots: string | null
  readonly tls: { readonly min: TlsVersion; readonly max: TlsVersion } | null
  /** OpenSSL names joined by `:`. */
  readonly ciphers: string | null
  /** Of the leaf; null: the family that is served today. */
  readonly keyTypes: readonly string[] | null
  /** Of the issuers on the path, the root included: RSA from the shortest of them on, curves as they are named. */
  readonly issuerKeyTypes: readonly string[] | null
  /** Along the path, by OpenSSL's names, e.g. `sha256WithRSAEncryption`. */
  readonly signatureAlgorithms: readonly string[] | null
  /** Bytes of all certificates sent, in DER. */
  readonly maxChainBytes: number | null
  /** Certificates sent, the leaf included. */
  readonly maxChainDepth: number | null
  /** Every certificate sent must lead to a root, not only the leaf. */
  readonly needsWholeChain: boolean
  readonly needsCommonName: boolean
  readonly needsKeyEncipherment: boolean
  /** How far the devices' clocks may be behind. */
  readonly clockLagMs: number
  /** SHA-256 of SubjectPublicKeyInfos in base64, one of which must be on the path; empty: any. */
  readonly pins: readonly string[]
}

export type CheckVerdict = 'ok' | 'warn' | 'refuse'

/** One line of what preflight found: today's value beside the new one, and what to do about it. */
export interface CheckLine {
  readonly check: string
  /** The device profile; null: every device. */
  readonly profile: string | null
  readonly verdict: CheckVerdict
  /** What is served today; null when it is not known. */
  readonly served: string | null
  readonly new: string
  readonly reason: string | null
  readonly remedy: string | null
}

/** What one kind of device makes of a chain that it is given now. */
export interface Judgement {
  /** Where it is served; null: it is bound, and not seen to be served. */
  readonly address: string | null
  /** The device profile; null: any device of the target. */
  readonly profile: string | null
  readonly ok: boolean
  /** What is refused or doubtful; empty: nothing. */
  readonly lines: readonly CheckLine[]
}

/** What devices make of the certificate now, and on which days (ISO 8601) they lose something they trust by. */
export interface DeviceOutlook {
  readonly verdicts: readonly Judgement[]
  readonly ends: readonly { readonly at: string; readonly what: string }[]
}
