import type { X509Certificate } from 'node:crypto'
import { asRotationError, RotationError } from '../base/rotation-error.ts'
import type { Secret } from '../base/secret.ts'
import type { Leaf } from '../model/certificate.ts'
import { leafOf, normalizePem, parseChain } from './certificate.ts'
import { keyFits, openKey } from './key.ts'
import { isSignedBy, openBudget, type SignatureBudget } from './signed-by.ts'

/** A chain with its key as they come from elsewhere. */
export interface GivenBundle {
  /** PEM, in any order. */
  readonly chainPem: string
  readonly privateKey: Secret
  /** Of an encrypted key. */
  readonly password: Secret | null
  /** Begins every message. */
  readonly driver: string
}

export interface Bundle {
  /**
   * PEM, leaf first, then its intermediates, without a root that signed itself; after the whole chain the ones that end
   * sooner, for devices that trust a root which another one has signed across and that take no long chain.
   */
  readonly chains: readonly [string, ...string[]]
  readonly leaf: Leaf
  /** PKCS#8 PEM. */
  readonly privateKey: Secret
}

const invalid = (why: string, hint: string): RotationError =>
  new RotationError('certificate-invalid', why, { retry: 'never', hint })

const isSelfSigned = (certificate: X509Certificate): boolean => certificate.checkIssued(certificate)

const issued = (issuer: X509Certificate, subject: X509Certificate, budget: SignatureBudget): boolean =>
  subject.checkIssued(issuer) && isSignedBy(subject, issuer, budget)

/** The leaf is the one that the key fits; then whoever issued the one before, as far as it is there. */
function chainOfKey(
  given: readonly X509Certificate[],
  privateKey: Secret,
): readonly [X509Certificate, ...X509Certificate[]] {
  const each = [...new Map(given.map(it => [it.fingerprint256, it])).values()]
  const leaf = each.find(it => keyFits(privateKey, it))
  if (!leaf) {
    const of = each.length === 1 ? 'the certificate' : `any of the ${each.length} certificates`
    throw invalid(
      `the private key does not belong to ${of}`,
      'Give the key that the certificate was requested with.',
    )
  }
  const chain: [X509Certificate, ...X509Certificate[]] = [leaf]
  let left = each.filter(it => it !== leaf && !isSelfSigned(it))
  const budget = openBudget()
  for (;;) {
    const last = chain.at(-1) ?? leaf
    const next = left.find(it => issued(it, last, budget))
    if (!next) break
    chain.push(next)
    left = left.filter(it => it !== next)
  }
  const [extra] = left
  if (!extra) return chain
  throw invalid(
    `the certificate of ${(extra.subject || extra.serialNumber).replaceAll('\n', ', ')} is no part of the chain`,
    'Give the leaf and the intermediates that lead from it to its root, and nothing else.',
  )
}

/**
 * Puts a chain into order and makes sure that the key is its leaf's.
 * @throws RotationError `certificate-invalid` that says what is wrong, and nothing of the key
 */
export function readBundle({ chainPem, privateKey, password, driver }: GivenBundle): Bundle {
  try {
    const certificates = parseChain(chainPem)
    const plain = openKey(privateKey, password)
    const [leaf, ...issuers] = chainOfKey(certificates, plain)
    const shorter = issuers.map((_, i) => normalizePem([leaf, ...issuers.slice(0, issuers.length - 1 - i)]))
    return { chains: [normalizePem([leaf, ...issuers]), ...shorter], leaf: leafOf(leaf), privateKey: plain }
  } catch (thrown) {
    const { code, message, hint } = asRotationError(thrown)
    throw new RotationError(code, `${driver}: ${message}`, { retry: 'never', ...(hint && { hint }) })
  }
}
