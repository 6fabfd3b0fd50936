import type { RotationError } from '../base/rotation-error.ts'
import type { CheckLine } from '../model/device-profile.ts'
import type { Check, Circumstances } from './check.ts'
import { FORM_CHECK } from './form.ts'
import { IDENTITY_CHECKS } from './identity.ts'
import { type PresentedChain, presentedChain } from './presented-chain.ts'
import type { Roots } from './roots.ts'
import { TRUST_CHECKS } from './trust.ts'

export interface JudgeInput extends Omit<Circumstances, 'served'> {
  /** Exactly what is to be uploaded, or what a port sends. */
  readonly chainPem: string
  /** By a port, which may send more than was uploaded: that is doubtful, not wrong. Default: false. */
  readonly asSent?: boolean
  readonly roots: Roots
  readonly at: number
  /** PEM of what devices are given now; null when it is not known. */
  readonly servedPem: string | null
}

/** A line of the table; `passesAt`: the instant from which a refusal no longer stands by itself. */
export interface JudgeLine extends CheckLine {
  readonly passesAt: number | null
}

/**
 * Would devices of one profile still trust and understand this chain (RFC 5280, RFC 8446 section 4.4.2)? One line
 * for each property, today's value beside the new one. Pure; nothing is fetched, no store of the system helps.
 */
export function judge(input: JudgeInput): readonly JudgeLine[] {
  const { chainPem, roots, at, servedPem, asSent = false, ...around } = input
  const served = readServed(servedPem, roots, at)
  const circumstances = { ...around, served }
  try {
    const anyOrder = around.profile?.stack === 'openssl'
    const seen = presentedChain(chainPem, { roots, at, asSent, anyOrder })
    return [...TRUST_CHECKS, ...IDENTITY_CHECKS, FORM_CHECK]
      .filter(({ applies }) => applies === undefined || applies(seen, circumstances))
      .map(check => lineOf(check, seen, circumstances))
  } catch (thrown) {
    return [unreadable(thrown as RotationError, input)]
  }
}

/** Whether no line refuses. */
export const isAcceptable = (lines: readonly CheckLine[]): boolean =>
  lines.every(({ verdict }) => verdict !== 'refuse')

const readServed = (pem: string | null, roots: Roots, at: number): PresentedChain | null => {
  try {
    return pem === null ? null : presentedChain(pem, { roots, at, asSent: true })
  } catch {
    return null
  }
}

function lineOf({ check, value, object }: Check, seen: PresentedChain, around: Circumstances): JudgeLine {
  const objection = object(seen, around)
  return {
    check,
    profile: around.profile?.name ?? null,
    verdict: objection?.verdict ?? 'ok',
    served: around.served && value(around.served, around),
    new: value(seen, around),
    reason: objection?.reason ?? null,
    remedy: objection?.remedy ?? null,
    passesAt: objection?.passesAt ?? null,
  }
}

const unreadable = ({ message, hint }: RotationError, { profile }: JudgeInput): JudgeLine => ({
  check: 'pem',
  profile: profile?.name ?? null,
  verdict: 'refuse',
  served: null,
  new: 'cannot be read',
  reason: message,
  remedy: hint ?? 'have the source give PEM text: the leaf first, then its issuers, no private key',
  passesAt: null,
})
