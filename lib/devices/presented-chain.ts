import type { X509Certificate } from 'node:crypto'
import type { Leaf } from '../model/certificate.ts'
import { leafOf, parseChain } from '../x509/certificate.ts'
import { verifyPath } from '../x509/path.ts'
import { type SentResult, verifySent } from '../x509/sent.ts'
import type { Roots } from './roots.ts'

/** A chain as devices of one profile would see it at one instant. */
export interface PresentedChain {
  readonly chain: readonly X509Certificate[]
  readonly leaf: X509Certificate
  readonly info: Leaf
  readonly path: SentResult
  readonly roots: Roots
  readonly at: number
  /** The devices build their path of certificates in any order. */
  readonly anyOrder: boolean
}

interface Presented {
  readonly roots: Roots
  readonly at: number
  readonly asSent: boolean
  readonly anyOrder?: boolean
}

/**
 * What is uploaded must be right; what is sent by a port (`asSent`) may be untidy.
 * @throws RotationError `certificate-invalid` when the PEM text is not only certificates
 */
export function presentedChain(
  chainPem: string,
  { roots, at, asSent, anyOrder = false }: Presented,
): PresentedChain {
  const chain = parseChain(chainPem)
  const leaf = chain[0] as X509Certificate
  const input = { chain, roots: roots.certificates, at, anyOrder }
  const strict = asSent ? null : verifyPath(input)
  return {
    chain,
    leaf,
    info: leafOf(leaf),
    path: strict === null ? verifySent(input) : strict.ok ? { ...strict, untidy: null } : strict,
    roots,
    at,
    anyOrder,
  }
}

/** The path where there is one, else what was sent. */
export const pathOf = ({ path, chain }: PresentedChain): readonly X509Certificate[] =>
  path.ok ? path.path : chain

/** `rsa` or `ec`. */
export const familyOf = (keyType: string): string => keyType.split('-')[0] ?? keyType
