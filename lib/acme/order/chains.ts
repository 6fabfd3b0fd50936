import type { Secret } from '../../base/secret.ts'
import { covers, leafOf, parseChain } from '../../x509/certificate.ts'
import { keyFits } from '../../x509/key.ts'
import { problemOf } from '../protocol/problem.ts'
import type { Order } from '../protocol/resources.ts'
import type { OrderWork } from './order-work.ts'

/** Of the leaf; null for a text that is no chain. */
const fingerprintOf = (pem: string): string | null => {
  try {
    return parseChain(pem)[0]?.fingerprint256 ?? null
  } catch {
    return null
  }
}

/** Chains are few; a CA that lists more is not followed for ever. */
const ALTERNATES_AT_MOST = 10

/**
 * The first chain that devices accept, else the CA's default; null when the order names none. Another one is asked for
 * only when those before it are not accepted, or all are to be shown; each is for the same leaf (RFC 8555 section 7.4.2).
 */
export const acceptedChain = async ({ client, request }: OrderWork, order: Order): Promise<string | null> => {
  if (order.certificate === null) return null
  const { log } = client.connection.run
  const { chainPem, alternates } = await client.certificate(order.certificate)
  let accepted = request.accepts(chainPem) ? chainPem : null
  const leafFingerprint = fingerprintOf(chainPem)
  for (const url of alternates.slice(0, ALTERNATES_AT_MOST)) {
    if (accepted !== null && !request.showsOthers) break
    const chosen = accepted
    const other = await client.certificate(url).catch((thrown: unknown) => {
      // One that is gone is no chain; anything else may pass, and the order can be asked again.
      if (chosen === null && problemOf(thrown)?.status !== 404) throw thrown
      return null
    })
    if (other === null || fingerprintOf(other.chainPem) !== leafFingerprint) continue
    if (!request.accepts(other.chainPem)) continue
    if (chosen !== null) continue
    log.info({ order: order.url, chain: url }, 'devices accept another chain than the default of the CA')
    accepted = other.chainPem
  }
  return accepted ?? chainPem
}

/** What is wrong with a chain that was issued to us; null when nothing is. @throws RotationError `certificate-invalid` */
export function flawOf(chainPem: string, key: Secret, names: readonly string[]): string | null {
  const [leaf] = parseChain(chainPem)
  if (!leaf || !keyFits(key, leaf)) return 'it was issued for another private key'
  const issued = leafOf(leaf).names
  const missing = names.filter(name => !covers(issued, name))
  if (missing.length === 0) return null
  return `it was issued for ${issued.join(', ') || 'no name'}, and not for ${missing.join(', ')}`
}
