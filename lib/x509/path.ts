import { X509Certificate } from 'node:crypto'
import { rootCertificates } from 'node:tls'
import { iso } from '../base/time.ts'
import {
  CHAIN_CERTIFICATES,
  EXTENSION,
  extensionElements,
  extensionsOf,
  isVersion1,
  leafOf,
  parseCertificates,
  signatureOf,
  tlvs,
} from './certificate.ts'
import { isSelfIssued, keyUsageOf, SHA224, SHA256_AND_UP, signatureAlgorithmOf } from './details.ts'
import { comparisonsOf, nameConstraintsBroken } from './name-constraints.ts'
import { isSignedBy, openBudget, type SignatureBudget } from './signed-by.ts'

/** Why a device would not accept a chain. */
export type PathCode =
  | 'empty'
  | 'malformed'
  /** It would take more work than anybody puts into a chain. */
  | 'too-large'
  | 'duplicate'
  /** A certificate does not issue the one before it. */
  | 'order'
  /** No root issues the last certificate. */
  | 'incomplete'
  | 'signature'
  | 'weak-signature'
  | 'not-yet-valid'
  | 'expired'
  | 'not-a-ca'
  | 'path-length'
  | 'key-usage'
  | 'extended-key-usage'
  | 'name-constraints'
  | 'critical-extension'

export type PathResult =
  | { readonly ok: true /** Leaf to root. */; readonly path: readonly X509Certificate[] }
  | PathFailure

export interface PathInput {
  readonly chain: readonly X509Certificate[]
  readonly roots: readonly X509Certificate[]
  readonly at: number
}

export interface PathFailure {
  readonly ok: false
  readonly code: PathCode
  /** Names the certificate by its subject, and says what to do. */
  readonly message: string
}

const SERVER_AUTH = '1.3.6.1.5.5.7.3.1'

/**
 * Extensions that are acted upon here or ask nothing of a TLS client; any other that is critical is refused. Policies
 * are looked at by nobody who was not told to, as by OpenSSL without X509_V_FLAG_POLICY_CHECK.
 */
const UNDERSTOOD: ReadonlySet<string> = new Set([
  EXTENSION.basicConstraints,
  EXTENSION.nameConstraints,
  EXTENSION.subjectAltName,
  EXTENSION.keyUsage,
  EXTENSION.extendedKeyUsage,
  EXTENSION.crlDistributionPoints,
  EXTENSION.certificatePolicies,
  EXTENSION.policyMappings,
  EXTENSION.policyConstraints,
  EXTENSION.inhibitAnyPolicy,
])

/** Signature algorithms that clients still accept; SHA-1 and MD5 are none of them. */
const STRONG_SIGNATURES = new Set([...SHA224, ...SHA256_AND_UP, 'ED25519', 'ED448'])
const STRONG_HASHES = new Set([
  '608648016503040201',
  '608648016503040202',
  '608648016503040203',
  '608648016503040204',
])

const subjectOf = (certificate: X509Certificate): string => {
  const { subject, names, fingerprint } = leafOf(certificate)
  return `"${subject || names[0] || fingerprint}"`
}

const fail = (code: PathCode, message: string): PathFailure => ({ ok: false, code, message })

type Check = PathFailure | null

/** The first failure of several checks, none of which runs after one has failed. */
const firstOf = <T>(items: readonly T[], check: (item: T, index: number) => Check): Check => {
  for (const [index, item] of items.entries()) {
    const failure = check(item, index)
    if (failure) return failure
  }
  return null
}

// --- one certificate -------------------------------------------------------------------------------------------

const isStrong = (certificate: X509Certificate): boolean => {
  const algorithm = signatureAlgorithmOf(certificate)
  if (algorithm !== 'rsassaPss') return STRONG_SIGNATURES.has(algorithm)
  const { parameters } = signatureOf(certificate)
  // RFC 4055 section 3.1: [0] is the hash, SHA-1 when absent.
  const hash = parameters && tlvs(parameters.content).find(part => part.tag === 0xa0)
  const hashOid = hash && tlvs(tlvs(hash.content)[0]?.content ?? Buffer.alloc(0))[0]
  return STRONG_HASHES.has(hashOid?.content.toString('hex') ?? '')
}

const KEY_CERT_SIGN = 0x04
/** digitalSignature, keyEncipherment, keyAgreement: what a TLS server's key may be used for. */
const TLS_SERVER_USES = 0x80 | 0x20 | 0x08

const pathLengthOf = (certificate: X509Certificate): number => {
  const limit = extensionElements(certificate, EXTENSION.basicConstraints)?.find(part => part.tag === 0x02)
  return limit === undefined ? Number.POSITIVE_INFINITY : Number(`0x${limit.content.toString('hex')}`)
}

const checkExtensions = (certificate: X509Certificate): Check => {
  const extensions = extensionsOf(certificate)
  const name = subjectOf(certificate)
  if (new Set(extensions.map(({ oidHex }) => oidHex)).size < extensions.length)
    return fail('malformed', `${name} has an extension twice; have it issued again`)
  const unknown = extensions.find(({ oidHex, critical }) => critical && !UNDERSTOOD.has(oidHex))
  return unknown === undefined
    ? null
    : fail(
        'critical-extension',
        `${name} has a critical extension (OID bytes ${unknown.oidHex}) that clients may not know; have it issued without`,
      )
}

const checkTime = (certificate: X509Certificate, at: number): Check => {
  const { notBefore, notAfter } = leafOf(certificate)
  const name = subjectOf(certificate)
  if (at < notBefore)
    return fail('not-yet-valid', `${name} is not valid before ${iso(notBefore)}; wait, or check the clock`)
  if (at > notAfter)
    return fail('expired', `${name} has expired at ${iso(notAfter)}; obtain a chain without it`)
  return null
}

const checkLeaf = (leaf: X509Certificate): Check => {
  const name = subjectOf(leaf)
  const usage = keyUsageOf(leaf)
  if (usage !== null && (usage & TLS_SERVER_USES) === 0)
    return fail(
      'key-usage',
      leaf.ca
        ? `${name} comes first and is a CA, not a TLS server; put the server's certificate first`
        : `${name} is not for a TLS server (key usage); have it issued with digitalSignature`,
    )
  // None at all: for any use (RFC 5280 section 4.2.1.12).
  if (leaf.keyUsage !== undefined && !leaf.keyUsage.includes(SERVER_AUTH))
    return fail(
      'extended-key-usage',
      `${name} lacks the extended key usage serverAuth; have it issued with it`,
    )
  return null
}

/** `below`: the certificates from the leaf to just under this CA. */
const checkCa = (ca: X509Certificate, below: readonly X509Certificate[]): Check => {
  const name = subjectOf(ca)
  const usage = keyUsageOf(ca)
  if (usage !== null && (usage & KEY_CERT_SIGN) === 0)
    return fail('key-usage', `${name} may not sign certificates (key usage); obtain a chain without it`)
  if (!ca.ca)
    return fail('not-a-ca', `${name} is no CA (basic constraints) but issues a certificate; mend the chain`)
  if (below.slice(1).filter(certificate => !isSelfIssued(certificate)).length > pathLengthOf(ca))
    return fail('path-length', `${name} allows fewer intermediates than follow it; mend the chain`)
  if (ca.keyUsage !== undefined && !ca.keyUsage.includes(SERVER_AUTH))
    return fail('extended-key-usage', `${name} may not issue for TLS servers (extended key usage)`)
  return null
}

/** As many comparisons of a name with a constraint as Go makes for a chain (MaxConstraintComparisons). */
const COMPARISONS_AT_MOST = 250_000

/** A CA, and the certificates below it that its name constraints bind. */
type Constrained = { readonly ca: X509Certificate; readonly bound: readonly X509Certificate[] }

const constrained = (ca: X509Certificate, below: readonly X509Certificate[]): Constrained => ({
  ca,
  bound: below.filter((certificate, index) => index === 0 || !isSelfIssued(certificate)),
})

/**
 * The name constraints of what was sent and of the root above it. Checked last, since a stranger may not have us
 * compare every name with every constraint; and counted before.
 */
const checkNames = (chain: readonly X509Certificate[], anchor: Constrained | null): Check => {
  const all = chain.map((ca, index) => constrained(ca, chain.slice(0, index))).concat(anchor ?? [])
  const pairs = all.flatMap(({ ca, bound }) => bound.map(certificate => ({ ca, certificate })))
  const comparisons = pairs.reduce((sum, { ca, certificate }) => sum + comparisonsOf(ca, certificate), 0)
  if (comparisons > COMPARISONS_AT_MOST)
    return fail(
      'too-large',
      `the names below ${subjectOf(chain.at(-1) as X509Certificate)} would have to be compared with name constraints ${comparisons} times, which clients refuse; have it issued with fewer`,
    )
  return firstOf(pairs, ({ ca, certificate }) => {
    const broken = nameConstraintsBroken(ca, certificate)
    return broken === null
      ? null
      : fail('name-constraints', `${subjectOf(ca)} does not allow ${broken} in ${subjectOf(certificate)}`)
  })
}

// --- the path --------------------------------------------------------------------------------------------------

const checkIssues = (
  issuer: X509Certificate,
  certificate: X509Certificate,
  budget: SignatureBudget,
): Check => {
  const name = subjectOf(certificate)
  if (!isSignedBy(certificate, issuer, budget))
    return fail(
      'signature',
      `the signature of ${name} is not by ${subjectOf(issuer)}; obtain the chain again`,
    )
  if (!isStrong(certificate))
    return fail(
      'weak-signature',
      `${name} is signed with an algorithm that clients refuse (SHA-1 or the like)`,
    )
  return null
}

/** What is asked of the certificates sent, whatever the roots are. */
const checkChain = (chain: readonly X509Certificate[], at: number, budget: SignatureBudget): Check => {
  const [leaf] = chain
  if (leaf === undefined) return fail('empty', 'there is no certificate; obtain the chain again')
  if (chain.length > CHAIN_CERTIFICATES)
    return fail(
      'too-large',
      `there are ${chain.length} certificates, more than ${CHAIN_CERTIFICATES}; send fewer`,
    )
  const seen = new Set<string>()
  return (
    firstOf(chain, certificate => {
      if (seen.has(certificate.fingerprint256))
        return fail('duplicate', `${subjectOf(certificate)} comes twice; remove one`)
      seen.add(certificate.fingerprint256)
      return null
    }) ??
    firstOf(chain, checkExtensions) ??
    checkLeaf(leaf) ??
    firstOf(chain.slice(1), (issuer, index) => {
      const certificate = chain[index] as X509Certificate
      // Judged first: OpenSSL's checkIssued would blame the order for a missing keyCertSign.
      const usage = checkCa(issuer, chain.slice(0, index + 1))
      const follows = usage ? certificate.issuer === issuer.subject : certificate.checkIssued(issuer)
      if (!follows)
        return fail(
          'order',
          `${subjectOf(certificate)} is not issued by ${subjectOf(issuer)}, which follows it; send the leaf first, then each issuer`,
        )
      return usage ?? checkIssues(issuer, certificate, budget)
    }) ??
    firstOf(chain, certificate => checkTime(certificate, at))
  )
}

/** The ways to end a path at its last certificate: that is a root itself, or a root issues it. */
const anchorsOf = (
  last: X509Certificate,
  roots: readonly X509Certificate[],
  budget: SignatureBudget,
): readonly (X509Certificate | null)[] =>
  roots.some(root => root.fingerprint256 === last.fingerprint256)
    ? [null]
    : roots.filter(root => last.checkIssued(root) && isSignedBy(last, root, budget))

/** A root of version 1 has no extensions: being held by the device makes it a CA. */
const checkAnchor = (
  root: X509Certificate,
  below: readonly X509Certificate[],
  { at, budget }: { readonly at: number; readonly budget: SignatureBudget },
): Check =>
  (isVersion1(root) ? null : checkCa(root, below)) ??
  checkIssues(root, below.at(-1) as X509Certificate, budget) ??
  checkExtensions(root) ??
  checkTime(root, at)

/**
 * Validates a path (RFC 5280 section 6) as a device would that knows only `roots`, from exactly the
 * certificates sent, at the instant `at`. All of `chain` must be in order, leaf first, and good; the path ends
 * at the last certificate a root issues, so what is sent beyond a root that devices hold does no harm. A root
 * is checked like any other CA, except for its own signature.
 */
export function verifyPath({ chain, roots, at }: PathInput): PathResult {
  const budget = openBudget()
  try {
    const bad = checkChain(chain, at, budget)
    if (bad) return bad
    let failure: PathFailure | null = null
    for (let length = chain.length; length > 0; length -= 1) {
      const sent = chain.slice(0, length)
      for (const root of anchorsOf(sent.at(-1) as X509Certificate, roots, budget)) {
        const refused =
          (root && checkAnchor(root, sent, { at, budget })) ??
          checkNames(chain, root && constrained(root, sent))
        if (!refused) return { ok: true, path: root ? [...sent, root] : sent }
        failure ??= refused
      }
    }
    return failure ?? (budget.left < 0 ? OVERWORKED : incomplete(chain.at(-1) as X509Certificate))
  } catch (thrown) {
    return fail(
      'malformed',
      `a certificate cannot be read (${(thrown as Error).message}); obtain the chain again`,
    )
  }
}

const OVERWORKED = fail(
  'too-large',
  'too many of the roots could have issued it, and none of the first ones did; obtain another chain',
)

const incomplete = (last: X509Certificate): PathFailure =>
  fail(
    'incomplete',
    isSelfIssued(last)
      ? `the chain ends at ${subjectOf(last)}, which is none of the roots; trust it on the devices, or use another CA`
      : `no root issues ${subjectOf(last)}; add the certificate of "${leafOf(last).issuer}" to the chain, or trust it`,
  )

/** Node's, read when they are first asked for. */
let ofNode: readonly X509Certificate[] | null = null

/** Roots from PEM text, or the ones Node.js comes with when null. @throws RotationError `certificate-invalid` */
export function parseRoots(pem: string | null): readonly X509Certificate[] {
  if (pem !== null) return parseCertificates(pem)
  ofNode ??= rootCertificates.map(root => new X509Certificate(root))
  return ofNode
}
