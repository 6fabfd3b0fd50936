import { leafOf, tlvs } from '../../x509/certificate.ts'
import { pinOf } from '../../x509/details.ts'
import { verifyPath } from '../../x509/path.ts'
import {
  authorityKeyId,
  extensionIn,
  type Facts,
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

/** `ossl_x509_likely_issued`: names and key identifiers; that the issuer may sign is asked later. */
const isLikelyIssued = (one: Facts, by: Facts): boolean => {
  if (one.certificate.checkIssued(by.certificate)) return true
  if (one.certificate.issuer !== by.certificate.subject || by.certificate.ca) return false
  const [wanted, own] = [authorityKeyId(one), subjectKeyId(by)]
  return wanted === null || own === null || wanted.equals(own)
}

/** `find_issuer`: those that are valid now before those that are not, of which the one that ended last. */
function likeliest(fitting: readonly Facts[], at: number): readonly Facts[] {
  const valid = fitting.filter(({ notBefore, notAfter }) => at >= notBefore && at <= notAfter)
  return valid.length > 0 ? valid : fitting.toSorted((a, b) => b.notAfter - a.notAfter).slice(0, 1)
}

const WAY_AT_MOST = 20

/**
 * `build_chain`: who is held comes before who was sent (X509_V_FLAG_TRUSTED_FIRST), and there is no way back from the
 * one that is taken. Of several that are held any may be: how they are stored decides. Each way up from the leaf.
 */
function waysUp({ chain, roots, at }: StackInput): readonly (readonly Facts[])[] {
  const climb = (way: readonly Facts[], isHeld: boolean): readonly (readonly Facts[])[] => {
    const last = way.at(-1) as Facts
    if ((isHeld && isRoot(last)) || way.length > WAY_AT_MOST) return [way]
    const issuersIn = (list: readonly Facts[]): readonly Facts[] =>
      likeliest(
        list.filter(one => !way.includes(one) && isLikelyIssued(last, one)),
        at,
      )
    const held = issuersIn(roots)
    if (held.length > 0) return held.flatMap(one => climb([...way, one], true))
    const sent = isHeld ? [] : issuersIn(chain.slice(1)).slice(0, 1)
    return sent.length > 0 ? sent.flatMap(one => climb([...way, one], false)) : [way]
  }
  return climb(chain.slice(0, 1), false)
}

/** Why a way is none, without X509_V_FLAG_PARTIAL_CHAIN, https://docs.openssl.org/3.0/man1/openssl-verification-options/ */
function wayRefusal(way: readonly Facts[], { roots, at }: StackInput): string | null {
  const anchor = way.at(-1) as Facts
  if (!roots.includes(anchor)) return `it goes by ${titleOf(anchor)}, which leads to nothing that is held`
  if (!isRoot(anchor))
    return `${titleOf(anchor)} is held, which is no root (no certificate that signed itself and says so), and leads to none`
  const chain = way.slice(0, -1).map(({ certificate }) => certificate)
  if (chain.length === 0) return null
  const verdict = verifyPath({ chain, roots: [anchor.certificate], at })
  return verdict.ok ? null : `it goes by ${titleOf(anchor)} and does not come back: ${verdict.message}`
}

const isSameKey = (one: Facts, other: Facts | undefined): boolean =>
  other !== undefined && pinOf(one.certificate) === pinOf(other.certificate)

/** `wildcard_match` of `v3_utl.c`: a star stands for letters, digits and hyphens. */
const nameRefusal = (leaf: Facts, { domain }: StackInput): string | null => {
  const { names } = leafOf(leaf.certificate)
  const isPlain = /^[a-z0-9-]+\./i.test(domain)
  return isPlain || names.includes(domain.toLowerCase())
    ? null
    : 'a wildcard of it stands for letters, digits and hyphens'
}

const NETSCAPE_TYPE = '6086480186f8420101'
const NETSCAPE_SERVER = 0x40

/** `check_purpose_ssl_server` of `v3_purp.c`: Netscape's type of certificate, where there is one, must have the server. */
const isForServers = (leaf: Facts): boolean => {
  const type = extensionIn(leaf, NETSCAPE_TYPE)
  return type === null || ((tlvs(type.value)[0]?.content[1] ?? 0) & NETSCAPE_SERVER) !== 0
}

function leafRefusal(leaf: Facts, input: StackInput): string | null {
  if (!isForServers(leaf)) return "Netscape's type of certificate lacks the server"
  return isUsableLeafKey(leaf)
    ? nameRefusal(leaf, input)
    : `it has an ${leaf.key.type} key (${leaf.key.form})`
}

/** See above. */
export const openssl: Stack = input => {
  const ways = waysUp(input)
  for (const way of ways) {
    const why = wayRefusal(way, input)
    if (why !== null) return why
    const weak = way.find(one => !isStrongKey(one))
    if (weak) return `${titleOf(weak)} has an ${weak.key.type} key (${weak.key.form})`
    // 4.0.1 takes it for one that signed itself, and looks no further; a root that was sent is passed over.
    const between = way
      .slice(0, -1)
      .find((one, index) => isSelfIssued(one) && (index === 0 || !isSameKey(one, way[index + 1])))
    if (between) return `${titleOf(between)} bears the name of its own issuer below the root`
  }
  const [leaf] = input.chain
  return leaf === undefined ? null : leafRefusal(leaf, input)
}
