import { randomBytes } from 'node:crypto'
import type { AcmeCaSwitches } from '../options.ts'

/** Anti-replay nonces (RFC 8555 section 6.5). */
export interface Nonces {
  fresh(): string
  /** Spends a nonce; false when it is unknown, spent, or one of the refused share. */
  spend(nonce: unknown): boolean
}

/** A nonce pool in which each value is good once (RFC 8555 section 6.5). */
export function createNonces(switches: AcmeCaSwitches): Nonces {
  const unspent = new Set<string>()
  // Counted, not drawn: a test with a share of 0.5 sees exactly every second one refused.
  let owedRefusals = 0
  return {
    fresh: () => {
      const nonce = randomBytes(18).toString('base64url')
      unspent.add(nonce)
      return nonce
    },
    spend: nonce => {
      if (typeof nonce !== 'string' || !unspent.delete(nonce)) return false
      owedRefusals += switches.badNonceShare
      if (owedRefusals < 1) return true
      owedRefusals -= 1
      return false
    },
  }
}
