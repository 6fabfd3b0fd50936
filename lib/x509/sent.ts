import type { X509Certificate } from 'node:crypto'
import { type PathInput, type PathResult, verifyPath } from './path.ts'

/** A path, and what is untidy about the certificates that came with it; null: nothing. */
export type SentResult =
  | (Extract<PathResult, { ok: true }> & { readonly untidy: string | null })
  | Extract<PathResult, { ok: false }>

/** What a server may be forgiven, since it says nothing of the path: strangers, and what comes twice. */
const UNTIDY: readonly string[] = ['order', 'duplicate']
/** Of a chain that nobody in his right mind sends. */
const TRIES = 64

/**
 * Like {@link verifyPath}, for what a port sends, which may be more than was uploaded. Strangers and duplicates are
 * passed over, as every stack does that looks for issuers: OpenSSL among all that is sent, Mbed TLS only in what
 * follows a certificate (`x509_crt_find_parent`). RFC 8446 section 4.4.2 asks all of them to.
 */
export function verifySent(input: PathInput): SentResult {
  const strict = verifyPath(input)
  if (strict.ok) return { ...strict, untidy: null }
  if (!UNTIDY.includes(strict.code)) return strict
  let failure = strict
  for (const chain of tidied(input.chain)) {
    const path = verifyPath({ ...input, chain })
    if (path.ok) return { ...path, untidy: strict.message }
    // Other than that it is untidy: what is wrong with the path itself says more.
    if (failure === strict && path.code !== 'incomplete') failure = path
  }
  return failure
}

/** Every way to go on from the leaf to an issuer that comes later, the longest ones first. */
function tidied(chain: readonly X509Certificate[]): readonly (readonly X509Certificate[])[] {
  const found: (readonly X509Certificate[])[] = []
  const extend = (from: number, way: readonly X509Certificate[]): void => {
    const last = way.at(-1)
    for (let i = from; i < chain.length && found.length < TRIES; i += 1) {
      const next = chain[i] as X509Certificate
      const isNew = !way.some(one => one.fingerprint256 === next.fingerprint256)
      if (isNew && last?.checkIssued(next)) extend(i + 1, [...way, next])
    }
    found.push(way)
  }
  extend(1, chain.slice(0, 1))
  return found
}

/** The leaf, and of what follows it in any order the certificates that issue one another. */
export function inOrder(chain: readonly X509Certificate[]): readonly X509Certificate[] {
  const ordered = chain.slice(0, 1)
  for (;;) {
    const last = ordered.at(-1)
    const next = chain.find(
      one => last?.checkIssued(one) && !ordered.some(o => o.fingerprint256 === one.fingerprint256),
    )
    if (next === undefined) return ordered
    ordered.push(next)
  }
}

/** Of what follows the leaf, the last certificate that leads to no root, itself or by what follows it; null: none. */
export function strayAmong(
  chain: readonly X509Certificate[],
  roots: readonly X509Certificate[],
): X509Certificate | null {
  const isHeld = (one: X509Certificate): boolean => roots.some(r => r.fingerprint256 === one.fingerprint256)
  const known = [...roots]
  for (const one of chain.slice(1).toReversed()) {
    if (!isHeld(one) && !known.some(ca => one.checkIssued(ca) && one.verify(ca.publicKey))) return one
    known.push(one)
  }
  return null
}
