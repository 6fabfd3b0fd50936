import type { Faults } from '../kit/faults.ts'
import { NO_LIMITS, type RateLimits } from './limits.ts'

/** Keys the CA makes for its chain and for `issue()`. */
export type CaKeyType = 'rsa-2048' | 'rsa-3072' | 'rsa-4096' | 'ec-256' | 'ec-384'

/** A chain that a CA of two generations offers. */
export type ChainName = 'cross-signed' | 'short'

/** Types of challenge: a record that stays (draft-ietf-acme-dns-persist), and one for each order (RFC 8555 section 8.4). */
export type ChallengeType = 'dns-persist-01' | 'dns-01'

/** Behaviour that may be changed while the CA runs. */
export interface AcmeCaSwitches {
  /** The resolver asked for TXT records, `host:port`. */
  dnsServer: string
  /** Real milliseconds for one DNS exchange. Default 2000. */
  dnsTimeoutMs: number
  /** External account keys: key id to base64url HMAC key. Each can be bound to one account. */
  eabKeys: Record<string, string>
  eabRequired: boolean
  /** Of the `classic` profile: notAfter = notBefore + this - 1 s. Default 90 days. */
  validitySeconds: number
  /** How far notBefore lies before the time of issuance. Default 3600. */
  backdateSeconds: number
  /** Finalize answers `processing`; otherwise the order is `valid` at once. Default true. */
  asyncFinalize: boolean
  /** How long an order stays `processing`, by the CA's clock; 0 = until the next poll. */
  asyncFinalizeMs: number
  /** Order reads that still say `pending` after the last authorization became valid. Default 0. */
  readyAfterPolls: number
  /** Valid authorizations are used for later orders of the same profile. Default true. */
  authorizationReuse: boolean
  /** Share of the good nonces that is refused all the same, spread evenly (0.25 = each fourth). Default 0. */
  badNonceShare: number
  /** Form of Retry-After on unfinished orders, authorizations and challenges. Default null: none. */
  retryAfter: 'seconds' | 'date' | 'alternate' | null
  /** Default 3. */
  retryAfterSeconds: number
  /** `classic` certificates carry a common name. Default true. */
  commonName: boolean
  /** Real milliseconds between the answer to a challenge and its DNS lookup; may be cut short. Default 0. */
  validationDelayMs: number
  /** An order that is processed ends `invalid` with this error (type without prefix). Default null. */
  issuanceProblem: { readonly type: string; readonly detail: string } | null
  /**
   * With `generations: 2`: the chains offered for a leaf, the default first, the rest as alternates. `cross-signed`
   * ends in the new root as the old one signed it, `short` below the new root.
   */
  chains: readonly ChainName[]
  /** Profiles that are offered. Default all: classic, shortlived, tlsserver. Null: it knows nothing of profiles. */
  profiles: readonly string[] | null
  /** How the CA calls itself in CAA records. Default `sandbox-ca.test`. */
  caaIdentities: readonly string[]
  /** The types of challenge that are offered, in this order. Default dns-persist-01 and dns-01. */
  challenges: readonly ChallengeType[]
  /** Names (and everything below them) that policy forbids: `rejectedIdentifier`. Default none. */
  rejectedNames: readonly string[]
  /** Rate limits. Default none; `LETS_ENCRYPT` are the real ones. */
  limits: RateLimits
}

/** What createAcmeCa takes: the switches, and what is fixed for its life. */
export interface AcmeCaOptions extends Partial<Omit<AcmeCaSwitches, 'dnsServer'>> {
  readonly dnsServer: string
  readonly faults: Faults
  /** All dates come from it (milliseconds since the epoch). Default Date.now. */
  readonly now?: () => number
  readonly port?: number
  /** HTTPS with a certificate of its own small CA (`caPem`). Default true. */
  readonly tls?: boolean
  /** Keys of root and intermediates. Default rsa-2048. */
  readonly keyAlgorithm?: CaKeyType
  /** Number of intermediates. Default 1. */
  readonly chainLength?: number
  /** 2: the intermediates are below a new root, which the old one has cross-signed. Default 1. */
  readonly generations?: 1 | 2
}

/** What a profile decides (draft-ietf-acme-profiles; the values are Let's Encrypt's). */
export interface Profile {
  readonly description: string
  readonly validitySeconds: number
  /** Life of a valid authorization. */
  readonly authorizationSeconds: number
  /** Life of a pending authorization. */
  readonly pendingSeconds: number
  readonly orderSeconds: number
  readonly maxNames: number
  readonly commonName: boolean
  readonly subjectKeyIdentifier: boolean
  readonly keyEncipherment: boolean
}

const HOUR = 3600
const DAY = 24 * HOUR

const SHORT_TERM = {
  authorizationSeconds: 7 * HOUR,
  pendingSeconds: HOUR,
  orderSeconds: 8 * HOUR,
  maxNames: 25,
  commonName: false,
  subjectKeyIdentifier: false,
  keyEncipherment: false,
} as const

const PROFILES: Readonly<Record<string, Profile>> = {
  classic: {
    description: 'The default',
    validitySeconds: 90 * DAY,
    authorizationSeconds: 30 * DAY,
    pendingSeconds: 7 * DAY,
    orderSeconds: 7 * DAY,
    maxNames: 100,
    commonName: true,
    subjectKeyIdentifier: true,
    keyEncipherment: true,
  },
  shortlived: { ...SHORT_TERM, description: 'About six days', validitySeconds: 160 * HOUR },
  tlsserver: { ...SHORT_TERM, description: 'For servers that follow the times', validitySeconds: 45 * DAY },
}

/** Names and descriptions for the directory's `meta.profiles` (draft-ietf-acme-profiles section 3). */
export const offeredProfiles = ({ profiles }: AcmeCaSwitches): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(PROFILES)
      .filter(([name]) => profiles?.includes(name))
      .map(([name, profile]) => [name, profile.description]),
  )

/** A profile with the switches applied, or null when there is none of this name. */
export function profileOf(name: string, switches: AcmeCaSwitches): Profile | null {
  const profile = Object.hasOwn(PROFILES, name) ? PROFILES[name] : undefined
  if (!profile) return null
  if (name !== 'classic') return profile
  return { ...profile, validitySeconds: switches.validitySeconds, commonName: switches.commonName }
}

/** The switches with their defaults. */
export function switchesOf(options: AcmeCaOptions): AcmeCaSwitches {
  return {
    dnsServer: options.dnsServer,
    dnsTimeoutMs: options.dnsTimeoutMs ?? 2000,
    eabKeys: { ...options.eabKeys },
    eabRequired: options.eabRequired ?? false,
    validitySeconds: options.validitySeconds ?? 90 * DAY,
    backdateSeconds: options.backdateSeconds ?? HOUR,
    asyncFinalize: options.asyncFinalize ?? true,
    asyncFinalizeMs: options.asyncFinalizeMs ?? 0,
    readyAfterPolls: options.readyAfterPolls ?? 0,
    authorizationReuse: options.authorizationReuse ?? true,
    badNonceShare: options.badNonceShare ?? 0,
    retryAfter: options.retryAfter ?? null,
    retryAfterSeconds: options.retryAfterSeconds ?? 3,
    commonName: options.commonName ?? true,
    validationDelayMs: options.validationDelayMs ?? 0,
    issuanceProblem: options.issuanceProblem ?? null,
    caaIdentities: options.caaIdentities ?? ['sandbox-ca.test'],
    challenges: options.challenges ?? ['dns-persist-01', 'dns-01'],
    rejectedNames: options.rejectedNames ?? [],
    profiles: options.profiles === undefined ? Object.keys(PROFILES) : options.profiles,
    limits: options.limits ?? NO_LIMITS,
    chains: options.chains ?? ['cross-signed', 'short'],
  }
}
