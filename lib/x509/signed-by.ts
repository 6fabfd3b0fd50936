import type { X509Certificate } from 'node:crypto'

/** What is left of the signature checks that one judgement may cost; negative: it took more. */
export interface SignatureBudget {
  left: number
}

/** As many as Go makes for a chain (maxChainSignatureChecks). */
const SIGNATURES_AT_MOST = 100
/** Larger keys are nobody's, and cost much to check (Go: CVE-2023-29409). */
const KEY_BITS_AT_MOST = 8192

/** The budget of one judgement. */
export const openBudget = (): SignatureBudget => ({ left: SIGNATURES_AT_MOST })

/** By both fingerprints: profile by profile the same chain is judged. */
const known = new Map<string, boolean>()
const KNOWN_AT_MOST = 500

/** Whether the issuer's key signed a certificate; false, too, where the budget is spent or the key is too large. */
export function isSignedBy(
  certificate: X509Certificate,
  issuer: X509Certificate,
  budget: SignatureBudget,
): boolean {
  budget.left -= 1
  if (budget.left < 0) return false
  const pair = `${certificate.fingerprint256} ${issuer.fingerprint256}`
  const before = known.get(pair)
  if (before !== undefined) return before
  const isSigned = verifies(certificate, issuer)
  if (known.size >= KNOWN_AT_MOST) known.clear()
  known.set(pair, isSigned)
  return isSigned
}

/** A key that node:crypto cannot read has signed nothing that anybody here could check. */
function verifies(certificate: X509Certificate, issuer: X509Certificate): boolean {
  try {
    const { publicKey } = issuer
    const { modulusLength = 0 } = publicKey.asymmetricKeyDetails ?? {}
    return modulusLength <= KEY_BITS_AT_MOST && certificate.verify(publicKey)
  } catch {
    return false
  }
}
