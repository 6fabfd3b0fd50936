import { pinOf } from '../../x509/details.ts'
import { verifyPath } from '../../x509/path.ts'
import {
  authorityKeyId,
  type Facts,
  factsOf,
  isUsableLeafKey,
  type Stack,
  type StackInput,
  subjectKeyId,
  titleOf,
} from './facts.ts'

/**
 * OpenSSL beyond RFC 5280: `crypto/x509/x509_vfy.c` and `v3_purp.c` of 3.0 and 4.0, at security level 2
 * (`ssl/ssl_cert.c` ssl_security_default_callback), which Debian and OpenSSL from 3.2 have by default.
 */

const isSelfIssued = ({ subject, issuer }: Facts): boolean => subject.equals(issuer)

/** `ossl_x509v3_cache_extensions`: who signed itself names itself in the authority key identifier, if it has one. */
function isRoot(facts: Facts): boolean {
  const known = rootness.get(facts)
  if (known !== undefined) return known
  const found = signedItself(facts)
  rootness.set(facts, found)
  return found
}

/** Devices hold many, and profile by profile the same. */
const rootness = new WeakMap<Facts, boolean>()

function signedItself(facts: Facts): boolean {
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

/** Past a certificate that is held and no root, `build_chain` goes on to one that is. */
function wholePath({ path, roots, at }: StackInput): readonly Facts[] | null {
  const anchor = path.at(-1)
  if (anchor === undefined || isRoot(anchor)) return path
  const chain = path.map(({ certificate }) => certificate)
  const verdict = verifyPath({ chain, roots: roots.filter(isRoot).map(root => root.certificate), at })
  return verdict.ok ? verdict.path.map(factsOf) : null
}

/** `get1_trusted_issuer` may take what is held and no root in place of a root of the same name, and then ends there. */
const deadEnd = ({ path, roots }: StackInput): Facts | null =>
  roots.find(
    held =>
      !isRoot(held) &&
      path.some(one => one !== held && one.certificate.checkIssued(held.certificate)) &&
      !roots.some(root => root !== held && held.certificate.checkIssued(root.certificate)),
  ) ?? null

const isSameKey = (one: Facts, other: Facts | undefined): boolean =>
  other !== undefined && pinOf(one.certificate) === pinOf(other.certificate)

/** See above. */
export const openssl: Stack = input => {
  const path = wholePath(input)
  // Without X509_V_FLAG_PARTIAL_CHAIN, https://docs.openssl.org/3.0/man1/openssl-verification-options/
  if (path === null) {
    const [anchor] = input.path.slice(-1) as [Facts]
    return `it is trusted by ${titleOf(anchor)}, which is no root (no certificate that signed itself and says so), and leads to none`
  }
  const dead = deadEnd(input)
  if (dead) return `${titleOf(dead)} is held, is no root, and leads to none that is held`
  const weak = path.find(one => !isStrongKey(one))
  if (weak) return `${titleOf(weak)} has an ${weak.key.type} key (${weak.key.form})`
  // 4.0.1 takes it for one that signed itself, and looks no further; a root that was sent is passed over.
  const between = path
    .slice(0, -1)
    .find((one, index) => isSelfIssued(one) && !isSameKey(one, path[index + 1]))
  if (between) return `${titleOf(between)} bears the name of its own issuer below the root`
  const [leaf] = input.chain
  return leaf === undefined || isUsableLeafKey(leaf)
    ? null
    : `it has an ${leaf.key.type} key (${leaf.key.form})`
}
