import {
  covers,
  DNS_NAME,
  EXTENSION,
  extensionElements,
  leafOf,
  type Tlv,
  tlvs,
} from '../../x509/certificate.ts'
import { DIGITAL_SIGNATURE } from '../../x509/details.ts'
import { isSignedBy } from '../../x509/signed-by.ts'
import { badAnchor } from './anchors.ts'
import { misencoded } from './encoding.ts'
import {
  authorityKeyId,
  extensionIn,
  type Facts,
  isEmptyAuthority,
  isUsableLeafKey,
  KEY_CERT_SIGN,
  pssHash,
  relativeNames,
  type Stack,
  type StackInput,
  subjectKeyId,
  titleOf,
  usageOf,
} from './facts.ts'

/**
 * wolfSSL, rule by rule: `ParseCertRelative` and what it calls in `wolfcrypt/src/asn.c`, `ProcessPeerCerts` in
 * `src/internal.c`, of 5.9.4 as its makers configure it. What is sent is checked from its end to the leaf, all of
 * it: a CA that was checked may issue what stands before it.
 */

const NETSCAPE_TYPE = '6086480186f8420101'
/** `DecodeExtensionType`: what is understood where it is critical; without WOLFSSL_SEP policies are not. */
const UNDERSTOOD: readonly string[] = [
  EXTENSION.basicConstraints,
  EXTENSION.keyUsage,
  EXTENSION.extendedKeyUsage,
  EXTENSION.subjectAltName,
  EXTENSION.nameConstraints,
  EXTENSION.subjectKeyIdentifier,
  EXTENSION.authorityKeyIdentifier,
  EXTENSION.crlDistributionPoints,
  NETSCAPE_TYPE,
]

/** `RSA_MAX_SIZE` and `ecc_sets` of a default build. */
const isKnownKey = ({ key }: Facts): boolean =>
  key.family === 'rsa'
    ? key.bits <= 4096
    : key.family === 'ec' && key.form === 'named' && /^ec-(secp224r1|256|384|521)$/.test(key.type)

const isKnownSignature = ({ signature }: Facts): boolean =>
  /^sha\d+WithRSAEncryption$|^ecdsa-with-SHA\d+$|^rsassaPss$/.test(signature)

const NUMERIC_STRING = 0x12
/** MAX_NAME_ENTRIES of `asn.h`, in builds for OpenSSL's interface. */
const NAME_PARTS_AT_MOST = 13

const isSelfIssued = ({ subject, issuer }: Facts): boolean => subject.equals(issuer)

/** What `DecodeCert` fails on. */
function unreadable(facts: Facts): string | null {
  const { serial, extensions } = facts
  const names = [...relativeNames(facts.issuer), ...relativeNames(facts.subject)]
  if (names.some(attributes => attributes.length > 1)) return 'a name with several attributes in one part'
  if ([facts.issuer, facts.subject].some(name => relativeNames(name).length > NAME_PARTS_AT_MOST))
    return `a name of more than ${NAME_PARTS_AT_MOST} parts`
  // `GetRDN` and `GetASN_AltName`: NumericString is no string of theirs.
  if (names.flat().some(({ value }) => value.tag === NUMERIC_STRING)) return 'a name with a numeric string'
  if (isEmptyAuthority(facts)) return 'an empty authority key identifier'
  // `wc_GetSerialNumber` and `CheckCertSerial`: RFC 5280 section 4.1.2.2; a root may have it.
  if (serial.every(byte => byte === 0) && !isSelfIssued(facts)) return 'the serial number 0'
  // EXTERNAL_SERIAL_SIZE of `asn.h`.
  if (serial.length > 32) return 'a serial number of more than 32 bytes'
  // WOLFSSL_MAX_PATH_LEN.
  if ((facts.pathLength ?? 0) > 127) return 'a path length above 127'
  // `ParseCertRelative` (RFC 5280 section 4.2.1.9), and name constraints in what is no CA.
  if (!facts.isCa && ((usageOf(facts) ?? 0) & KEY_CERT_SIGN) !== 0)
    return 'the right to sign certificates, and is no CA'
  if (!facts.isCa && extensionIn(facts, EXTENSION.nameConstraints) !== null)
    return 'name constraints, and is no CA'
  // WOLFSSL_MAX_ALT_NAMES and WOLFSSL_MAX_NAME_CONSTRAINTS.
  if ((extensionElements(facts.certificate, EXTENSION.subjectAltName)?.length ?? 0) > 1024)
    return 'more than 1024 alternative names'
  if (treesOf(facts).length > 128) return 'more than 128 name constraints'
  if (!isKnownKey(facts)) return `a key (${facts.key.type}, ${facts.key.form}) that it does not know`
  if (!isKnownSignature(facts)) return `a signature (${facts.signature}) that it does not know`
  if (facts.signature === 'rsassaPss' && pssHash(facts) === null)
    return 'a signature of RSASSA-PSS with SHA-1'
  const ids = extensions.map(({ oidHex }) => oidHex)
  if (new Set(ids).size < ids.length) return 'an extension twice'
  const strange = extensions.find(({ oidHex, critical }) => critical && !UNDERSTOOD.includes(oidHex))
  return strange === undefined ? null : `a critical extension (${nameOf(strange.oidHex)})`
}

const nameOf = (oidHex: string): string =>
  Object.entries(EXTENSION).find(([, known]) => known === oidHex)?.[0] ?? `OID ${oidHex}`

const isValidAt = ({ notBefore, notAfter }: Facts, at: number): boolean => at >= notBefore && at <= notAfter

/** `AddCA`: version 1, no CA, no keyCertSign, not valid now: it is not taken for a root. */
const isHeld = (root: Facts, at: number): boolean =>
  !root.isVersion1 &&
  root.isCa &&
  mayIssue(root) &&
  isValidAt(root, at) &&
  (unreadable(root) ?? misencoded(root)) === null

const mayIssue = (facts: Facts): boolean => {
  const usage = usageOf(facts)
  return usage === null || (usage & KEY_CERT_SIGN) !== 0
}

/** `GetCA` by the authority key identifier, `GetCAByName` without; the name then as it is written (issuerHash). */
function signerOf(facts: Facts, signers: readonly Facts[], input: StackInput): Facts | null {
  const wanted = authorityKeyId(facts)
  const fitting = signers.filter(signer => {
    if (!signer.subject.equals(facts.issuer)) return false
    return wanted === null || subjectKeyId(signer)?.equals(wanted) === true
  })
  // The first in its table is taken, which may be any of them.
  const isSigner = (one: Facts): boolean => isSignedBy(facts.certificate, one.certificate, input.budget)
  return fitting.every(isSigner) ? (fitting[0] ?? null) : null
}

/** `ParseCertRelative`, with path lengths as it counts them: self-issued CAs and a leaf that is a CA count, too. */
function refusalOf(facts: Facts, index: number, signers: readonly Facts[], input: StackInput): string | null {
  const why = unreadable(facts)
  if (why !== null) return `${titleOf(facts)} has ${why}`
  if (!isValidAt(facts, input.at)) return `${titleOf(facts)} is not valid now`
  const signer = signerOf(facts, signers, input)
  if (signer === null)
    return `nothing that it knows issues ${titleOf(facts)} (it compares names byte for byte, and wants the issuer's subject key identifier)`
  if (index === 0 || !facts.isCa) return null
  return mayIssue(facts) ? null : `${titleOf(facts)} may not sign certificates`
}

function lengthRefusal({ path }: StackInput): string | null {
  for (const [index, ca] of path.entries()) {
    const below = path.slice(0, index).filter(({ isCa }) => isCa).length
    if (index > 0 && ca.pathLength !== null && below > ca.pathLength)
      return `${titleOf(ca)} allows ${ca.pathLength} CAs below it, and self-issued ones count`
  }
  return null
}

const PERMITTED = 0xa0
const DIRECTORY_NAME = 0xa4
const treesOf = ({ certificate }: Facts): readonly { readonly kind: number; readonly base: Tlv }[] =>
  (extensionElements(certificate, EXTENSION.nameConstraints) ?? []).flatMap(({ tag, content }) =>
    tlvs(content).flatMap(tree => {
      const [base] = tlvs(tree.content)
      return base ? [{ kind: tag, base }] : []
    }),
  )

/** `MatchBaseName`: the empty name of a permitted subtree holds no name, though RFC 5280 has it hold all. */
function constraintRefusal({ path }: StackInput): string | null {
  const isEmpty = ({ tag, content }: Tlv): boolean =>
    (tag === DNS_NAME ? content : tag === DIRECTORY_NAME ? tlvs(content)[0]?.content : null)?.length === 0
  const ca = path.find(one => treesOf(one).some(({ kind, base }) => kind === PERMITTED && isEmpty(base)))
  return ca ? `${titleOf(ca)} permits the empty name, which it takes for none` : null
}

/** `AddCA` of `ssl.c`: whose subject key identifier is known is not added, whatever its name. */
const isAdded = (ca: Facts, signers: readonly Facts[]): boolean => {
  const own = subjectKeyId(ca)
  return own !== null && signers.some(one => subjectKeyId(one)?.equals(own) === true)
}

/** `MatchDomainName`: a wildcard stands for no label of an IDN. */
const nameRefusal = (leaf: Facts, { domain }: StackInput): string | null => {
  const { names } = leafOf(leaf.certificate)
  if (extensionIn(leaf, EXTENSION.subjectAltName) === null || !domain.includes('xn--')) return null
  const plain = names.filter(name => !name.startsWith('*'))
  return covers(plain, domain) ? null : 'a wildcard of it stands for no name with xn--'
}

/** `ProcessPeerCertCheckKey` and the key usages after it. */
const leafRefusal = (leaf: Facts): string | null => {
  const usage = usageOf(leaf)
  if (usage !== null && (usage & DIGITAL_SIGNATURE) === 0) return 'its key usage lacks digitalSignature'
  return isUsableLeafKey(leaf) ? null : `it has an ${leaf.key.type} key (${leaf.key.form})`
}

/** See above. */
export const wolfssl: Stack = input => {
  const { chain, roots, at, needsWholeChain } = input
  const [leaf] = chain
  if (leaf === undefined) return null
  const early =
    leafRefusal(leaf) ?? nameRefusal(leaf, input) ?? lengthRefusal(input) ?? constraintRefusal(input)
  if (early !== null) return early
  const held = roots.filter(
    root =>
      chain.some(({ issuer }) => issuer.equals(root.subject)) &&
      isHeld(root, at) &&
      !isAdded(
        root,
        roots.filter(({ subject }) => !subject.equals(root.subject)),
      ),
  )
  const signers = [...held]
  for (const [back, facts] of chain.toReversed().entries()) {
    const index = chain.length - 1 - back
    const why = refusalOf(facts, index, signers, input)
    // The check of the whole chain speaks of strays; with WOLFSSL_ALT_CERT_CHAINS they are passed over.
    if (why !== null && (index === 0 || !facts.isCa || needsWholeChain || unreadable(facts) !== null))
      return why
    if (why === null && facts.isCa && !isAdded(facts, signers)) signers.push(facts)
  }
  const bad = badAnchor(input.path, held, at)
  return bad ? `${titleOf(bad)} is held, too, and it may take that one` : null
}
