import type { X509Certificate } from 'node:crypto'
import { formatDuration, iso, SECOND_MS } from '../base/time.ts'
import type { DeviceProfile, StackName } from '../model/device-profile.ts'
import { EXTENSION, extensionElements, leafOf } from '../x509/certificate.ts'
import { isSelfIssued, pinOf, rareCriticalExtension, SHA224, signatureAlgorithmOf } from '../x509/details.ts'
import { extraneousIn, verifySent } from '../x509/sent.ts'
import { openBudget } from '../x509/signed-by.ts'
import { type Check, type Circumstances, caution, type Objection, refuse } from './check.ts'
import { familyOf, type PresentedChain, pathOf } from './presented-chain.ts'
import { misencoded } from './stacks/encoding.ts'
import { factsOf, type StackInput } from './stacks/facts.ts'
import { STACKS } from './stacks/index.ts'
import { explicitCurve, unknownStack } from './stacks/unknown.ts'

/** Checks of the whole chain: does it lead to a root that the devices hold, for how long, and can they read it? */

const titleOf = (certificate: X509Certificate): string => {
  const { subject, names } = leafOf(certificate)
  return subject || names[0] || 'no subject'
}

/** The last instant at which there is a path, and what ends it; null without a path. */
function trustEnd({
  chain,
  roots,
  info,
  path,
  at,
  anyOrder,
}: PresentedChain): { readonly at: number; readonly by: string } | null {
  if (!path.ok) return null
  const others = [...chain.slice(1), ...roots.certificates].map(certificate => ({
    by: titleOf(certificate),
    at: leafOf(certificate).notAfter,
  }))
  const ends = others.filter(end => end.at >= at && end.at < info.notAfter).toSorted((a, b) => a.at - b.at)
  const first = ends.find(
    end => !verifySent({ chain, roots: roots.certificates, at: end.at + SECOND_MS, anyOrder }).ok,
  )
  return first ?? { at: info.notAfter, by: titleOf(chain[0] as X509Certificate) }
}

/** Signed by another than the root, whose own signature nobody looks at. */
const signedOnPath = (seen: PresentedChain): readonly X509Certificate[] =>
  seen.path.ok ? seen.path.path.slice(0, -1) : seen.chain.filter(certificate => !isSelfIssued(certificate))

const algorithmsOf = (seen: PresentedChain): readonly string[] => [
  ...new Set(signedOnPath(seen).map(signatureAlgorithmOf)),
]

const extraneousOf = ({ chain, roots }: PresentedChain): X509Certificate | null =>
  extraneousIn(chain, roots.certificates)

/** Where there is no path for anybody, there is nothing to add. */
function stackObjection(
  { chain, roots, at, path }: PresentedChain,
  { profile, domain, served }: Circumstances,
): Objection | null {
  if (!path.ok) return null
  const stack = profile?.stack ?? null
  const input: StackInput = {
    chain: chain.map(factsOf),
    roots: roots.certificates.map(factsOf),
    path: path.path.map(factsOf),
    at,
    domain,
    // What devices live with today is no news.
    needsWholeChain: profile?.needsWholeChain === true && (served === null || extraneousOf(served) === null),
    budget: openBudget(),
  }
  const wrong = [...input.chain, ...input.path].find(one => misencoded(one) !== null)
  if (wrong)
    return refuse(
      `"${titleOf(wrong.certificate)}" ${misencoded(wrong)}, which RFC 5280 forbids and not every stack reads`,
      'have it issued as RFC 5280 says',
    )
  const explicit = explicitCurve(input.path)
  if (explicit)
    return refuse(
      `"${titleOf(explicit.certificate)}" spells out the parameters of its curve, which no stack takes`,
      'have it issued with a named curve',
    )
  const why = (stack === null ? unknownStack : STACKS[stack])(input)
  if (why === null) return null
  return stack === null
    ? caution(
        `${why}: some stacks (wolfSSL, GnuTLS) refuse that`,
        'say what these devices are built on: a preset',
      )
    : refuse(
        `${stack} refuses it by rules of its own: ${why}`,
        'have the source give another chain, or, if these devices were built otherwise, describe them without the preset',
      )
}

const bytesOf = ({ chain }: PresentedChain): number => chain.reduce((sum, { raw }) => sum + raw.length, 0)

export const TRUST_CHECKS: readonly Check[] = [
  {
    // RFC 5280 section 6, from exactly the certificates sent.
    check: 'path',
    value: ({ path }) => (path.ok ? path.path.map(titleOf).join(' < ') : `none (${path.code})`),
    object: ({ path, roots }, { profile }) =>
      path.ok
        ? doubtful(path, profile?.stack ?? null)
        : refuse(
            `${path.message} (checked against ${roots.whose})`,
            path.code === 'incomplete'
              ? 'have the source give a chain to a root these devices hold'
              : 'have it issued again, or mend the chain',
          ),
  },
  {
    check: 'whole-chain',
    applies: (_, { profile }) => profile?.needsWholeChain === true,
    value: seen => (extraneousOf(seen) === null ? 'whole' : 'with strays'),
    object: (seen, { served }) => {
      const extraneous = extraneousOf(seen)
      if (extraneous === null) return null
      const said = `"${titleOf(extraneous)}" is sent and leads to none of ${seen.roots.whose}`
      const remedy =
        'have the source give a chain that ends at their root, or, if they were built to look at the leaf alone (wolfSSL: WOLFSSL_ALT_CERT_CHAINS), set needsWholeChain to false'
      // What devices live with today must not end renewals.
      return served !== null && extraneousOf(served) !== null ? caution(said, remedy) : refuse(said, remedy)
    },
  },
  {
    // Of the stack's own sources; see lib/devices/stacks.
    check: 'stack',
    value: (_, { profile }) => profile?.stack ?? 'not known',
    object: stackObjection,
  },
  {
    check: 'trusted-until',
    value: seen => {
      const end = trustEnd(seen)
      return end === null ? 'never' : iso(end.at)
    },
    object: seen => {
      const end = trustEnd(seen)
      return end === null || end.at >= seen.info.notAfter
        ? null
        : caution(
            `"${end.by}" ends at ${iso(end.at)}, before the certificate does (${iso(seen.info.notAfter)}): from then on it is not trusted`,
            'renew before that day, with a chain to a root that lasts',
          )
    },
  },
  {
    // RFC 5280 section 4.1.2.5, by a clock that is behind.
    check: 'clock',
    value: ({ info, at }) =>
      info.notBefore > at
        ? `valid in ${formatDuration(info.notBefore - at)}`
        : `valid for ${formatDuration(at - info.notBefore)}`,
    object: ({ info, at }, { profile, minAgeMs }) => {
      const lagMs = profile?.clockLagMs ?? 0
      const passesAt = info.notBefore + lagMs
      const lifetimeMs = info.notAfter - info.notBefore
      if (Math.max(lagMs, minAgeMs) >= lifetimeMs)
        return refuse(
          `it is valid for ${formatDuration(lifetimeMs)}, which is over before ${
            lagMs >= minAgeMs
              ? `a device whose clock lags ${formatDuration(lagMs)} takes it for valid`
              : `it is ${formatDuration(minAgeMs)} old (minAge)`
          }`,
          'have certificates issued that last longer, or set a shorter clockLag or minAge',
        )
      if (at >= passesAt || (lagMs > 0 && minAgeMs >= lagMs)) return null
      const lag = formatDuration(lagMs)
      return {
        ...(lagMs === 0
          ? refuse(`it is not valid before ${iso(info.notBefore)}`, 'wait, or check the clock')
          : refuse(
              `not yet valid for a device whose clock lags ${lag}, before ${iso(passesAt)}`,
              `set targets[].minAge to ${lag}, so that it is bound only when that old`,
            )),
        passesAt,
      }
    },
  },
  {
    check: 'signatures',
    value: seen => algorithmsOf(seen).join(', '),
    object: (seen, { profile }) => {
      const allowed = profile?.signatureAlgorithms
      if (!allowed) return foreignFamily(seen, profile?.keyTypes ?? null)
      const bad = signedOnPath(seen).find(certificate => !allowed.includes(signatureAlgorithmOf(certificate)))
      return bad === undefined
        ? null
        : refuse(
            `"${titleOf(bad)}" is signed with ${signatureAlgorithmOf(bad)}, which is none of ${allowed.join(', ')}`,
            'have the source give a chain that is signed otherwise',
          )
    },
  },
  {
    check: 'issuer-keys',
    value: seen => issuersOf(seen).map(keyTypeOf).join(', ') || 'none',
    object: (seen, { profile }) => issuerKeyObjection(seen, profile),
  },
  {
    check: 'bytes',
    value: seen => `${bytesOf(seen)}`,
    object: (seen, { profile }) => {
      const most = profile?.maxChainBytes ?? null
      const bytes = bytesOf(seen)
      if (most !== null && bytes > most)
        return refuse(`${bytes} bytes are sent, more than ${most}`, 'have the source give a shorter chain')
      const last = seen.chain.at(-1)
      return seen.chain.length > 1 && last && isSelfIssued(last)
        ? caution(
            `the root "${titleOf(last)}" is sent, too: ${last.raw.length} bytes that no device needs`,
            'leave the root out of the chain',
          )
        : null
    },
  },
  {
    check: 'depth',
    value: ({ chain }) => `${chain.length}`,
    object: ({ chain }, { profile }) => {
      const most = profile?.maxChainDepth ?? null
      return most === null || chain.length <= most
        ? null
        : refuse(
            `${chain.length} certificates are sent, more than ${most}`,
            'have the source give a shorter chain',
          )
    },
  },
  {
    // RFC 7469 section 2.4 for the form of a pin.
    check: 'pins',
    applies: (_, { profile }) => (profile?.pins.length ?? 0) > 0,
    value: (seen, { profile }) => {
      const pinned = pathOf(seen).find(certificate => profile?.pins.includes(pinOf(certificate)))
      return pinned === undefined ? 'none' : titleOf(pinned)
    },
    object: (seen, { profile }) =>
      pathOf(seen).some(certificate => profile?.pins.includes(pinOf(certificate)))
        ? null
        : refuse(
            'none of the pinned keys is on the path',
            'keep the pinned CA (or key), or give its devices the new pin first',
          ),
  },
]

const keyTypeOf = (certificate: X509Certificate): string => leafOf(certificate).keyType

const issuersOf = (seen: PresentedChain): readonly X509Certificate[] => pathOf(seen).slice(1)

const bitsOf = (keyType: string): number => Number(keyType.split('-')[1])

/** RSA keys may be longer than the shortest one named; curves are known or not. */
const isAmong = (keyType: string, known: readonly string[]): boolean =>
  known.includes(keyType) ||
  (familyOf(keyType) === 'rsa' &&
    known.some(other => familyOf(other) === 'rsa' && bitsOf(other) <= bitsOf(keyType)))

/** What is said of the leaf's key alone makes another one further up only doubtful. */
function issuerKeyObjection(seen: PresentedChain, profile: DeviceProfile | null): Objection | null {
  const limit = profile?.issuerKeyTypes ?? null
  const known = limit ?? profile?.keyTypes ?? null
  if (known === null) return null
  const bad = issuersOf(seen).find(certificate => {
    const keyType = keyTypeOf(certificate)
    // Of another family: that is what the line of the signatures says.
    const isForeign = limit === null && !known.some(other => familyOf(other) === familyOf(keyType))
    return !isForeign && !isAmong(keyType, known)
  })
  if (bad === undefined) return null
  const has = `"${titleOf(bad)}" has an ${keyTypeOf(bad)} key`
  return limit === null
    ? caution(
        `${has}, and these devices' key types are ${known.join(', ')}`,
        'say what they can check in issuerKeyTypes',
      )
    : refuse(
        `${has}, which is none of ${known.join(', ')}`,
        'have the source give a chain with other issuers',
      )
}

/** A stack that was built for one family of keys need not be able to check the other's signatures. */
function foreignFamily(seen: PresentedChain, keyTypes: readonly string[] | null) {
  const short = signedOnPath(seen).find(one => SHA224.includes(signatureAlgorithmOf(one)))
  if (short)
    return caution(
      `"${titleOf(short)}" is signed with ${signatureAlgorithmOf(short)}, which some stacks (Mbed TLS 3) refuse`,
      'say what these devices can check in signatureAlgorithms, or have the source give a chain that is signed otherwise',
    )
  const families = new Set((keyTypes ?? []).map(familyOf))
  if (families.size !== 1) return null
  const foreign = algorithmsOf(seen).find(name =>
    families.has('rsa') ? !/rsa/i.test(name) : !/^ecdsa/.test(name),
  )
  return foreign === undefined
    ? null
    : caution(
        `the path is signed with ${foreign}, and these devices' key types are ${keyTypes?.join(', ')}`,
        'say what they can check in signatureAlgorithms',
      )
}

/** A path that is right, and that some stacks refuse by their defaults all the same. */
function doubtful(
  { path, untidy }: Extract<PresentedChain['path'], { ok: true }>,
  stack: StackName | null,
): Objection | null {
  if (untidy !== null)
    return caution(
      `${untidy}: most clients pass over it, and some (wolfSSL) refuse it`,
      'see what the port adds to the chain that was uploaded',
    )
  // What it is built on is known, and says the rest.
  if (stack !== null && stack !== 'wolfssl') return null
  // https://github.com/Mbed-TLS/mbedtls/issues/4060
  for (const certificate of path) {
    const rare = rareCriticalExtension(certificate)
    if (rare !== null)
      return caution(
        `"${titleOf(certificate)}" has a critical extension ${rare}, which small stacks (Mbed TLS) do not know: they refuse it`,
        'have it issued by another CA, or try it on such a device',
      )
  }
  const anchor = path.at(-1) as X509Certificate
  // Debian's wolfSSL 5.5, built for OpenSSL's interface, wants names of their kind of CAs, too (bench/results/stacks.md).
  const binding = path.slice(2).find(ca => extensionElements(ca, EXTENSION.nameConstraints) !== null)
  if (binding)
    return caution(
      `"${titleOf(binding)}" has name constraints above another CA, which some builds of wolfSSL refuse`,
      'try it on such a device, or give the devices another root',
    )
  // Without X509_V_FLAG_PARTIAL_CHAIN. https://docs.openssl.org/3.0/man1/openssl-verification-options/
  return isSelfIssued(anchor)
    ? null
    : caution(
        `it is trusted by "${titleOf(anchor)}", which is no root: devices with OpenSSL refuse that unless told otherwise`,
        'give the devices the root itself, and say so in trustedRoots',
      )
}
