import type { CheckVerdict, DeviceProfile } from '../model/device-profile.ts'
import type { PresentedChain } from './presented-chain.ts'

/** What a chain is judged by, besides itself. */
export interface Circumstances {
  readonly profile: DeviceProfile | null
  readonly domain: string
  /** What devices are given now; null when it is not known. */
  readonly served: PresentedChain | null
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
  readonly applies?: (seen: PresentedChain, around: Circumstances) => boolean
  readonly value: (seen: PresentedChain, around: Circumstances) => string
  readonly object: (seen: PresentedChain, around: Circumstances) => Objection | null
}

export const refuse = (reason: string, remedy: string): Objection => ({ verdict: 'refuse', reason, remedy })
export const caution = (reason: string, remedy: string): Objection => ({ verdict: 'warn', reason, remedy })
