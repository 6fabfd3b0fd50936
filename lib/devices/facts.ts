import type { X509Certificate } from 'node:crypto'
import type { Leaf } from '../model/certificate.ts'
import type { CheckVerdict, DeviceProfile } from '../model/device-profile.ts'
import { leafOf, parseChain } from '../x509/certificate.ts'
import { verifyPath } from '../x509/path.ts'
import { type SentResult, verifySent } from '../x509/sent.ts'
import type { Roots } from './roots.ts'

/** A chain as devices of one profile would see it at one instant. */
export interface Facts {
  readonly chain: readonly X509Certificate[]
  readonly leaf: X509Certificate
  readonly info: Leaf
  readonly path: SentResult
  readonly roots: Roots
  readonly at: number
}

/** What a chain is judged by, besides itself. */
export interface Circumstances {
  readonly profile: DeviceProfile | null
  readonly domain: string
  /** What devices are given now; null when it is not known. */
  readonly served: Facts | null
  /** A change of the settings asked for another kind of key. */
  readonly otherKeyAsked: boolean
  /** How old a certificate is at least when it is bound. */
  readonly minAgeMs: number
  /** Whether the platform staples OCSP answers; null when it is not known. */
  readonly stapling: boolean | null
}

/** What is wrong with a chain, and what helps. */
export interface Objection {
  readonly verdict: Exclude<CheckVerdict, 'ok'>
  readonly reason: string
  readonly remedy: string
  /** From then on there is nothing wrong. */
  readonly passesAt?: number
}

/** One property of a chain: how it is shown, and what is wrong with it. */
export interface Check {
  readonly check: string
  /** Where it is not asked for, it has no line. */
  readonly applies?: (facts: Facts, around: Circumstances) => boolean
  readonly value: (facts: Facts, around: Circumstances) => string
  readonly object: (facts: Facts, around: Circumstances) => Objection | null
}

export interface FactsOptions {
  readonly roots: Roots
  readonly at: number
  readonly asSent: boolean
}

/**
 * What is uploaded must be right; what is sent by a port may be untidy.
 * @throws RotationError `certificate-invalid` when the PEM text is not only certificates
 */
export function factsOf(chainPem: string, { roots, at, asSent }: FactsOptions): Facts {
  const chain = parseChain(chainPem)
  const leaf = chain[0] as X509Certificate
  const input = { chain, roots: roots.certificates, at }
  const strict = asSent ? null : verifyPath(input)
  return {
    chain,
    leaf,
    info: leafOf(leaf),
    path: strict === null ? verifySent(input) : strict.ok ? { ...strict, untidy: null } : strict,
    roots,
    at,
  }
}

/** The path where there is one, else what was sent. */
export const pathOf = ({ path, chain }: Facts): readonly X509Certificate[] => (path.ok ? path.path : chain)

export const refuse = (reason: string, remedy: string): Objection => ({ verdict: 'refuse', reason, remedy })
export const caution = (reason: string, remedy: string): Objection => ({ verdict: 'warn', reason, remedy })

/** `rsa` or `ec`. */
export const familyOf = (keyType: string): string => keyType.split('-')[0] ?? keyType
