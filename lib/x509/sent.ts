import type { X509Certificate } from 'node:crypto'
import { isSelfIssued } from './details.ts'
import { type PathFailure, type PathInput, type PathResult, verifyPath } from './path.ts'
import { isSignedBy, openBudget } from './signed-by.ts'

/** A path, and what is untidy about the certificates that came with it; null: nothing. */
export type SentResult =
  | (Extract<PathResult, { ok: true }> & { readonly untidy: string | null })
  | Extract<PathResult, { ok: false }>

/** `anyOrder`: for a stack that builds its path of what was sent in any order, as OpenSSL does. */
export type SentInput = PathInput & { readonly anyOrder?: boolean }

/** What a server may be forgiven, since it says nothing of the path: strangers, and what comes twice. */
const UNTIDY: readonly string[] = ['order', 'duplicate']

/**
 * Like {@link verifyPath}, for what a port sends, which may be more than was uploaded. Strangers and duplicates are
 * passed over as far as Mbed TLS does, the strictest stack that does at all: it looks for an issuer in what follows a
 * certificate, and takes the first of that name (`x509_crt_find_parent`, tried with 2.28.3). OpenSSL looks at all of
 * them, in any order. RFC 8446 section 4.4.2 asks clients to.
 */
export function verifySent(input: SentInput): SentResult {
  const strict = verifyPath(input)
  if (strict.ok) return { ...strict, untidy: null }
  if (input.anyOrder) return anyWay(input, strict)
  if (!UNTIDY.includes(strict.code)) return strict
  const path = verifyPath({ ...input, chain: tidied(input.chain) })
  if (path.ok) return { ...path, untidy: strict.message }
  // Other than that it is untidy: what is wrong with the path itself says more.
  return path.code === 'incomplete' ? strict : path
}

/** As many ways as are tried, each of certificates that issue one another. */
const WAYS_AT_MOST = 200

/** The first way from the leaf to a root, the longest first since the shorter ones are tried with it. */
function anyWay(input: PathInput, strict: PathFailure): SentResult {
  if (strict.code === 'too-large') return strict
  let failure: PathFailure | null = null
  for (const way of waysUp(input.chain)) {
    const path = verifyPath({ ...input, chain: way })
    if (path.ok) return { ...path, untidy: strict.message }
    if (path.code !== 'incomplete') failure ??= path
  }
  return failure ?? strict
}

function waysUp(chain: readonly X509Certificate[]): readonly (readonly X509Certificate[])[] {
  const budget = openBudget()
  const ways: (readonly X509Certificate[])[] = []
  const climb = (way: readonly X509Certificate[]): void => {
    if (ways.length >= WAYS_AT_MOST) return
    ways.push(way)
    const last = way.at(-1) as X509Certificate
    for (const one of chain.slice(1)) {
      const isNew = !way.some(known => known.fingerprint256 === one.fingerprint256)
      if (isNew && last.checkIssued(one) && isSignedBy(last, one, budget)) climb([...way, one])
    }
  }
  climb(chain.slice(0, 1))
  return ways
}

/** The leaf and, time and again, the first that bears the name of the issuer among those that come later. */
function tidied(chain: readonly X509Certificate[]): readonly X509Certificate[] {
  const way = chain.slice(0, 1)
  for (const one of chain.slice(1)) {
    const last = way.at(-1)
    const isOpen = last !== undefined && !(way.length > 1 && isSelfIssued(last))
    const isNew = !way.some(known => known.fingerprint256 === one.fingerprint256)
    if (isOpen && isNew && last.issuer === one.subject) way.push(one)
  }
  return way
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
export function extraneousIn(
  chain: readonly X509Certificate[],
  roots: readonly X509Certificate[],
): X509Certificate | null {
  const isHeld = (one: X509Certificate): boolean => roots.some(r => r.fingerprint256 === one.fingerprint256)
  const known = [...roots]
  const budget = openBudget()
  for (const one of chain.slice(1).toReversed()) {
    if (!isHeld(one) && !known.some(ca => one.checkIssued(ca) && isSignedBy(one, ca, budget))) return one
    known.push(one)
  }
  return null
}
