import { authorityKeyId, type Facts, isUsableLeafKey, type Stack, subjectKeyId, titleOf } from './facts.ts'

/**
 * OpenSSL beyond RFC 5280: `crypto/x509/x509_vfy.c` and `v3_purp.c` of 3.0 and 4.0, at security level 2
 * (`ssl/ssl_cert.c` ssl_security_default_callback), which Debian and OpenSSL from 3.2 have by default.
 */

const isSelfIssued = ({ subject, issuer }: Facts): boolean => subject.equals(issuer)

/** `ossl_x509v3_cache_extensions`: who signed itself names itself in the authority key identifier, if it has one. */
function isRoot(facts: Facts): boolean {
  const [names, own] = [authorityKeyId(facts), subjectKeyId(facts)]
  return (
    facts.certificate.subject === facts.certificate.issuer &&
    (names === null || own === null || names.equals(own))
  )
}

/** `check_key_level`: 112 bits of security: RSA from 2048 on, curves from 224; explicit parameters nowhere. */
const isStrongKey = ({ key }: Facts): boolean =>
  key.family === 'rsa'
    ? key.bits >= 2048
    : key.family !== 'ec' || (key.form !== 'explicit' && !/^ec-\w*1[0-9]{2}/.test(key.type))

/** Up from a certificate that is held, through others that are, to one that signed itself (`build_chain`). */
function rootAbove(from: Facts, roots: readonly Facts[]): Facts | null {
  let last = from
  for (const _ of roots) {
    if (isRoot(last)) return last
    const next = roots.find(root => root !== last && last.certificate.checkIssued(root.certificate))
    if (next === undefined) return null
    last = next
  }
  return isRoot(last) ? last : null
}

/** See above. */
export const openssl: Stack = ({ chain, path, roots }) => {
  const anchor = path.at(-1)
  if (anchor === undefined) return null
  // Without X509_V_FLAG_PARTIAL_CHAIN, https://docs.openssl.org/3.0/man1/openssl-verification-options/
  if (rootAbove(anchor, roots) === null)
    return `it is trusted by ${titleOf(anchor)}, which is no root (no certificate that signed itself and says so)`
  const weak = path.find(one => !isStrongKey(one))
  if (weak) return `${titleOf(weak)} has an ${weak.key.type} key (${weak.key.form})`
  // 4.0 takes it for one that signed itself, and looks no further.
  const between = path.slice(0, -1).find(isSelfIssued)
  if (between && anchor !== between)
    return `${titleOf(between)} bears the name of its own issuer below the root`
  const [leaf] = chain
  return leaf === undefined || isUsableLeafKey(leaf)
    ? null
    : `it has an ${leaf.key.type} key (${leaf.key.form})`
}
