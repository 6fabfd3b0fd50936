import { EXTENSION, tlvs } from '../../x509/certificate.ts'
import { DIGITAL_SIGNATURE } from '../../x509/details.ts'
import { isSignedBy } from '../../x509/signed-by.ts'
import { misencoded } from './encoding.ts'
import {
  extensionIn,
  type Facts,
  isEmptyAuthority,
  isUsableLeafKey,
  KEY_CERT_SIGN,
  pssHash,
  relativeNames,
  type Stack,
  type StackInput,
  titleOf,
  usageOf,
} from './facts.ts'

/**
 * Mbed TLS, rule by rule: `library/x509_crt.c` of 2.28.10 and 3.6.6 unless another file is named. Everything that is
 * sent is read, whatever of it is needed; what cannot be read ends the handshake.
 */
interface Build {
  readonly version: 2 | 3
  /** The certificate bundle of ESP-IDF in place of a list of roots. */
  readonly bundle: boolean
}

// --- reading: x509_crt_parse_der_core ----------------------------------------------------------------------------

const ANY_POLICY = '551d2000'
const NETSCAPE_TYPE = '6086480186f8420101'
/** `x509_get_crt_ext`, `oid.c` oid_x509_ext: what is understood where it is critical. */
const READ_2 = [
  EXTENSION.basicConstraints,
  EXTENSION.keyUsage,
  EXTENSION.extendedKeyUsage,
  EXTENSION.subjectAltName,
  EXTENSION.certificatePolicies,
  NETSCAPE_TYPE,
] as const
const READ_3 = [...READ_2, EXTENSION.subjectKeyIdentifier, EXTENSION.authorityKeyIdentifier]

/** `x509_get_attr_type_value` of `x509.c`: BIT STRING, UTF8, Printable, T61, IA5, Universal and BMP strings. */
const STRINGS = [0x03, 0x0c, 0x13, 0x14, 0x16, 0x1c, 0x1e]

const NAMES: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(EXTENSION).map(([name, oidHex]) => [oidHex, name]),
)

function unreadableExtension({ extensions }: Facts, { version }: Build): string | null {
  const read: readonly string[] = version === 2 ? READ_2 : READ_3
  for (const { oidHex, critical, value } of extensions) {
    const name = NAMES[oidHex] ?? `of OID ${oidHex}`
    if (critical && !read.includes(oidHex)) return `a critical extension ${name}`
    if (read.includes(oidHex) && extensions.filter(it => it.oidHex === oidHex).length > 1)
      return `the extension ${name} twice`
    // `x509_get_certificate_policies`: any other policy than anyPolicy cannot be enforced.
    if (critical && oidHex === EXTENSION.certificatePolicies) {
      const policies = tlvs(tlvs(value)[0]?.content ?? Buffer.alloc(0))
      const isOther = (policy: Buffer): boolean => tlvs(policy)[0]?.content.toString('hex') !== ANY_POLICY
      if (policies.some(({ content }) => isOther(content))) return 'critical certificate policies of its own'
    }
  }
  return null
}

/** `oid_ecp_grp` of `oid.c`, all curves built in; what is not `secp` or `brainpool` has no name in node:crypto either. */
const isReadableKey = ({ key }: Facts, { version }: Build): boolean => {
  if (key.family === 'rsa') return key.bits <= 8192
  // `pk_get_ecparams` of `pkparse.c` without MBEDTLS_PK_PARSE_EC_EXTENDED; compressed points since 3.6.
  return key.family === 'ec' && (key.form === 'named' || (key.form === 'compressed' && version === 3))
}

/** Of these the algorithm that signed is known (`oid_sig_alg` of `oid.c`). */
const isKnownSignature = ({ signature }: Facts): boolean =>
  /^(md5|sha\d+)WithRSAEncryption$|^ecdsa-with-SHA\d+$|^rsassaPss$/.test(signature)

function unreadable(facts: Facts, build: Build): string | null {
  if (relativeNames(facts.issuer).length === 0) return 'no issuer'
  const strings = [...relativeNames(facts.issuer), ...relativeNames(facts.subject)].flat()
  if (strings.some(({ value }) => !STRINGS.includes(value.tag)))
    return 'a name of a string type that it does not read'
  if (!isReadableKey(facts, build))
    return `a key (${facts.key.type}, ${facts.key.form}) that it does not read`
  // `x509_get_authority_key_id`, read since 3.5.
  if (build.version === 3 && isEmptyAuthority(facts)) return 'an empty authority key identifier'
  return unreadableExtension(facts, build)
}

// --- names: x509_name_cmp ----------------------------------------------------------------------------------------

const UTF8 = 0x0c
const PRINTABLE = 0x13

/** `x509_string_cmp`: byte for byte, or without regard to case where both are UTF-8 or printable strings. */
function isSameString(a: { tag: number; content: Buffer }, b: { tag: number; content: Buffer }): boolean {
  if (a.tag === b.tag && a.content.equals(b.content)) return true
  const isText = [a.tag, b.tag].every(tag => tag === UTF8 || tag === PRINTABLE)
  const folded = (text: Buffer): string => text.toString('latin1').replace(/[A-Z]/g, it => it.toLowerCase())
  return isText && folded(a.content) === folded(b.content)
}

/** Names that are the same are as long: only letters and types of strings may differ. */
const mayBeNamed = (root: Facts, sent: readonly Facts[]): boolean =>
  sent.some(({ issuer }) => issuer.length === root.subject.length)

function isSameName(a: Buffer, b: Buffer): boolean {
  if (a.length !== b.length) return false
  if (a.equals(b)) return true
  const [left, right] = [relativeNames(a), relativeNames(b)]
  return (
    left.length === right.length &&
    left.every((attributes, i) => {
      const others = right[i] ?? []
      return (
        attributes.length === others.length &&
        attributes.every(({ type, value }, j) => {
          const other = others[j]
          return other !== undefined && type === other.type && isSameString(value, other.value)
        })
      )
    })
  )
}

// --- the profile: mbedtls_x509_crt_profile_default ---------------------------------------------------------------

const SHA224 = '608648016503040204'
const isStrongHash = (facts: Facts, { version }: Build): boolean => {
  if (facts.signature === 'rsassaPss') {
    const hash = pssHash(facts)
    return hash !== null && (version === 2 || hash !== SHA224)
  }
  return (
    !/md5|sha1\b|sha1W|SHA1$/.test(facts.signature) && (version === 2 || !/sha224/i.test(facts.signature))
  )
}

const CURVES_3 = /^ec-(256|384|521|brainpoolP(256|384|512)r1)$/
const isStrongKey = ({ key }: Facts, { version }: Build): boolean =>
  key.family === 'rsa' ? key.bits >= 2048 : version === 2 || CURVES_3.test(key.type)

// --- the way to a root: x509_crt_verify_chain --------------------------------------------------------------------

/** MBEDTLS_X509_MAX_INTERMEDIATE_CA. */
const INTERMEDIATES_AT_MOST = 8

interface Step {
  readonly child: Facts
  readonly depth: number
  readonly selfIssued: number
}

/** `x509_crt_check_parent` and the path length in `x509_crt_find_parent_in`. */
function isParent(parent: Facts, { child, depth, selfIssued }: Step, isRoot: boolean): boolean {
  if (!isSameName(child.issuer, parent.subject)) return false
  if (isRoot && parent.isVersion1) return true
  const usage = usageOf(parent)
  if (!parent.isCa || (usage !== null && (usage & KEY_CERT_SIGN) === 0) || isForOneWay(parent)) return false
  return parent.pathLength === null || parent.pathLength >= depth - 1 - selfIssued
}

const isValidAt = ({ notBefore, notAfter }: Facts, at: number): boolean => at >= notBefore && at <= notAfter

/** `x509_crt_find_parent_in`: the first that fits and is valid, else the first that fits. */
function parentAmong(
  candidates: readonly Facts[],
  step: Step,
  input: StackInput,
  isRoot: boolean,
): Facts | null {
  const fitting = candidates.filter(
    one =>
      isParent(one, step, isRoot) &&
      (!isRoot || isSignedBy(step.child.certificate, one.certificate, input.budget)),
  )
  return fitting.find(one => isValidAt(one, input.at)) ?? fitting[0] ?? null
}

/**
 * `esp_crt_verify_callback` and `esp_crt_find_cert` of ESP-IDF 5.x (`esp_crt_bundle.c`): of the last certificate
 * that Mbed TLS finds, the issuer's name is looked for byte for byte, and one root of that name is tried.
 */
function bundleRefusal(last: Facts, { roots, budget }: StackInput): string | null {
  const named = roots.filter(root => root.subject.equals(last.issuer))
  const strange = named.find(root => !isReadableKey(root, { version: 3, bundle: true }))
  if (strange)
    return `${titleOf(strange)} has a key (${strange.key.type}, ${strange.key.form}) that it does not read`
  if (named.length === 0)
    return `the last certificate, ${titleOf(last)}, names an issuer that is not in the bundle, byte for byte (a cross-sign beyond the root?)`
  return named.every(root => isSignedBy(last.certificate, root.certificate, budget))
    ? null
    : `the bundle has a root named as the issuer of ${titleOf(last)} whose key did not sign it`
}

function wayRefusal(sent: readonly Facts[], input: StackInput, build: Build): string | null {
  const { roots, at, budget } = input
  // Of many roots few are asked for: whether they can be read is seen then.
  const isHeld = (root: Facts): boolean =>
    (unreadable(root, build) ?? misencoded(root)) === null && isKnownSignature(root)
  const held = build.bundle ? [] : roots.filter(root => mayBeNamed(root, sent)).filter(isHeld)
  let child = sent[0]
  let selfIssued = 0
  for (let depth = 1; child !== undefined; depth += 1) {
    if (!isValidAt(child, at)) return `${titleOf(child)} is not valid now`
    if (!isStrongHash(child, build)) return `${titleOf(child)} is signed with ${child.signature}`
    const isSelf = isSameName(child.issuer, child.subject)
    const { fingerprint256 } = child.certificate
    if (depth === 1 && isSelf && held.some(root => root.certificate.fingerprint256 === fingerprint256))
      return null
    const step: Step = { child, depth, selfIssued }
    const root = parentAmong(held, step, input, true)
    const parent: Facts | null = root ?? parentAmong(sent.slice(sent.indexOf(child) + 1), step, input, false)
    if (parent === null)
      return build.bundle
        ? bundleRefusal(child, input)
        : `no root and none of the certificates sent after it issues ${titleOf(child)} (names, path lengths)`
    if (!root && depth > INTERMEDIATES_AT_MOST)
      return `more than ${INTERMEDIATES_AT_MOST} intermediates are on the path`
    if (!isSignedBy(child.certificate, parent.certificate, budget))
      return `the first certificate named as the issuer of ${titleOf(child)} did not sign it`
    if (!isStrongKey(parent, build)) return `${titleOf(parent)} has an ${parent.key.type} key`
    if (root) return isValidAt(root, at) ? null : `the root ${titleOf(root)} is not valid now`
    if (depth > 1 && isSelf) selfIssued += 1
    child = parent
  }
  return null
}

const ENCIPHER_ONLY = 0x01
/** `mbedtls_x509_crt_check_key_usage`: encipherOnly and decipherOnly (the second byte) rule out any other use. */
function isForOneWay(facts: Facts): boolean {
  const extension = extensionIn(facts, EXTENSION.keyUsage)
  const [, first = 0, second = 0] = extension ? (tlvs(extension.value)[0]?.content ?? []) : []
  return (first & ENCIPHER_ONLY) !== 0 || (second & 0x80) !== 0
}

/** `mbedtls_ssl_check_cert_usage` of `ssl_tls.c`: signatures are what (EC)DHE and TLS 1.3 need. */
const leafRefusal = (leaf: Facts, build: Build): string | null => {
  const usage = usageOf(leaf)
  if (usage !== null && (usage & DIGITAL_SIGNATURE) === 0) return 'its key usage lacks digitalSignature'
  if (isForOneWay(leaf)) return 'its key usage has encipherOnly or decipherOnly'
  return isStrongKey(leaf, build) && isUsableLeafKey(leaf)
    ? null
    : `it has an ${leaf.key.type} key (${leaf.key.form})`
}

const mbedtls =
  (build: Build): Stack =>
  input => {
    const sent: Facts[] = []
    for (const one of input.chain) {
      if (!isKnownSignature(one)) {
        // `ssl_parse_certificate_chain` passes over it, the client of TLS 1.3 does not (`ssl_tls13_generic.c`).
        if (build.version === 3 || one === input.chain[0])
          return `${titleOf(one)} is signed with ${one.signature}, which it does not know`
        continue
      }
      const why = unreadable(one, build)
      if (why !== null) return `${titleOf(one)} has ${why}: it reads every certificate that is sent`
      sent.push(one)
    }
    const [leaf] = sent
    return leaf === undefined ? null : (leafRefusal(leaf, build) ?? wayRefusal(sent, input, build))
  }

export const mbedtls2: Stack = mbedtls({ version: 2, bundle: false })
export const mbedtls3: Stack = mbedtls({ version: 3, bundle: false })
export const espBundle: Stack = mbedtls({ version: 3, bundle: true })
