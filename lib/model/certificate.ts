/** Certificates: as they are asked for, and as the program sees them. Instants are milliseconds since the epoch; answers say them in ISO 8601 UTC. */

export const KEY_TYPES = ['rsa-2048', 'rsa-3072', 'rsa-4096', 'ec-256', 'ec-384'] as const
export type KeyType = (typeof KEY_TYPES)[number]

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
  /**
   * For devices that pin the key: the next certificate has the same one; with `nextMs` one that was announced for at
   * least so long, and until then the same.
   */
  readonly reuseKey: boolean | { readonly nextMs: number }
}

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
  /** The CA that was asked does not know the leaf: another one issued it. */
  readonly isUnknown?: boolean | undefined
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

/** Why a certificate is revoked (RFC 5280 section 5.3.1), as far as a subscriber may say. */
export const REVOCATION_REASONS = { unspecified: 0, keyCompromise: 1, superseded: 4, cessationOfOperation: 5 }
export type RevocationReason = keyof typeof REVOCATION_REASONS
