import { badAnchor } from './anchors.ts'
import { type Facts, pssHash, pssSalt, type Stack, titleOf } from './facts.ts'

/** By the OID of the hash in hex. */
const HASH_BYTES: Readonly<Record<string, number>> = {
  '608648016503040201': 32,
  '608648016503040202': 48,
  '608648016503040203': 64,
  '608648016503040204': 28,
}

/**
 * Where nobody says what devices are built on: what at least two of the stacks that are run against (docs/devices.md;
 * GnuTLS 3.7 among them) refuse although RFC 5280 allows it.
 */
export const unknownStack: Stack = ({ chain, path, roots, at }) => {
  for (const [index, facts] of path.entries()) {
    const { key } = facts
    const issuer = path[index + 1]
    if (!isCommonKey(facts))
      return `${titleOf(facts)} has an ${key.type} key${key.form === 'named' ? '' : ` (${key.form})`}`
    if (issuer === undefined) continue
    if (facts.signature === 'rsassaPss' && HASH_BYTES[pssHash(facts) ?? ''] === 28)
      return `${titleOf(facts)} is signed with RSASSA-PSS and SHA-224`
    // RFC 8446 section 4.2.3 has a salt as long as the hash, and GnuTLS takes no other.
    if (facts.signature === 'rsassaPss' && pssSalt(facts) !== HASH_BYTES[pssHash(facts) ?? ''])
      return `${titleOf(facts)} is signed with RSASSA-PSS and a salt that is not as long as its hash`
    // `gnutls_x509_crt_check_issuer` and wolfSSL compare bytes.
    if (!facts.issuer.equals(issuer.subject))
      return `${titleOf(facts)} writes the name of its issuer otherwise than ${titleOf(issuer)} does`
    if (facts.subject.equals(facts.issuer))
      return `${titleOf(facts)} bears the name of its own issuer below the root`
  }
  const bad = badAnchor(
    path,
    roots.filter(({ notAfter }) => at <= notAfter),
    at,
  )
  if (bad) return `${titleOf(bad)} is held, too, could have issued it, and would not do`
  const early = roots.find(
    root => at < root.notBefore && chain.some(one => one.certificate.checkIssued(root.certificate)),
  )
  return early ? `${titleOf(early)} is held, too, and not yet valid` : null
}

const isCommonKey = ({ key }: Facts): boolean =>
  key.family === 'rsa' ||
  (key.family === 'ec' ? key.form === 'named' && /^ec-(256|384|521)$/.test(key.type) : /^ed/.test(key.type))

/** Domain parameters in place of the name of a curve: no stack takes them (RFC 5480 section 2.1.1). */
export const explicitCurve = (path: readonly Facts[]): Facts | null =>
  path.find(({ key }) => key.form === 'explicit') ?? null
