import { crypto } from 'acme-client'
import type { Secret } from '../../base/secret.ts'

/**
 * A certificate signing request (RFC 2986) as PEM for a PKCS#8 key: all names in the subjectAltName; the first
 * is the common name if it is shorter than 64 characters.
 */
export async function createCsr(names: readonly string[], key: Secret): Promise<string> {
  const [first = ''] = names
  const commonName = first.length < 64 ? { commonName: first } : {}
  const [, csr] = await crypto.createCsr({ altNames: [...names], ...commonName }, key.reveal())
  return csr.toString()
}
