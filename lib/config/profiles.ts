import { getCiphers } from 'node:tls'
import * as v from 'valibot'
import { durationField, flagField, nameField, oneOf, pemField } from '../base/fields.ts'
import type { RotationError } from '../base/rotation-error.ts'
import { PRESETS, type Preset } from '../devices/presets.ts'
import { KEY_TYPES } from '../model/certificate.ts'
import { type DeviceProfile, TLS_VERSIONS, type TlsVersion } from '../model/device-profile.ts'
import { parseCertificates } from '../x509/certificate.ts'
import { SIGNATURE_ALGORITHMS } from '../x509/details.ts'
import type { Mistake } from './mistakes.ts'
import { canaryField } from './sections/canary.ts'

/** `targets[].profiles`: what is in the field, each one by itself or as the name of a preset. */

const TLS_RANGES = ['1.1', '1.2', '1.3', '1.1-1.2', '1.1-1.3', '1.2-1.3'] as const

const ciphers = () =>
  v.pipe(
    v.string('must be names of cipher suites joined by ":"'),
    v.minLength(1, 'must not be empty'),
    v.rawCheck(({ dataset, addIssue }) => {
      if (!dataset.typed) return
      const known = getCiphers()
      const unknown = dataset.value.split(':').findIndex(name => !known.includes(name.toLowerCase()))
      if (unknown >= 0) {
        addIssue({
          message: `name ${unknown + 1} is no cipher suite of OpenSSL (\`openssl ciphers\` lists them), e.g. "ECDHE-RSA-AES128-GCM-SHA256"`,
        })
      }
    }),
  )

const pin = () =>
  v.pipe(
    v.string('must be a pin'),
    v.regex(
      /^sha256\/[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/,
      'must be "sha256/" and 32 bytes in base64: the SHA-256 of a SubjectPublicKeyInfo',
    ),
  )

const limit = (what: string, atLeast: number) =>
  v.pipe(v.number(what), v.integer(what), v.minValue(atLeast, `must be at least ${atLeast}`))

const list = <S extends v.GenericSchema>(item: S, what: string) =>
  v.optional(v.pipe(v.array(item, `must be a list of ${what}`), v.minLength(1, 'must not be empty')))

const MOST_LAG_MS = 30 * 86_400_000

const profileObject = v.pipe(
  v.strictObject({
    /** How verdicts and alerts call these devices. @example "meter-v1" */
    name: nameField(),
    /** What common stacks take by default; whatever is said here counts more. */
    preset: v.optional(oneOf(Object.keys(PRESETS))),
    /** PEM of the roots burnt into these devices, in place or as file:PATH. Default: the target's, else Node's. */
    trustedRoots: list(pemField(), 'roots'),
    /** Versions that these devices speak, from-to. */
    tls: v.optional(oneOf(TLS_RANGES)),
    /** OpenSSL names joined by `:`. @example "ECDHE-RSA-AES128-GCM-SHA256:AES128-SHA256" */
    ciphers: v.optional(ciphers()),
    /** Default: the family of the key that is served today. */
    keyTypes: list(oneOf([...KEY_TYPES, 'ec-521']), 'key types'),
    /** Of the issuers on the path, the root included: RSA from the shortest named on, and the curves named. */
    issuerKeyTypes: list(oneOf([...KEY_TYPES, 'ec-521']), 'key types'),
    /** Along the path, the root's own left out. */
    signatureAlgorithms: list(oneOf(SIGNATURE_ALGORITHMS), 'signature algorithms'),
    /** Bytes of all certificates sent, in DER. @example 8192 */
    maxChainBytes: v.optional(limit('must be a number of bytes', 256)),
    /** Certificates sent, the leaf included. @example 3 */
    maxChainDepth: v.optional(limit('must be a number of certificates', 1)),
    /** Every certificate sent must lead to a root of these devices, not only the leaf: true for some stacks. */
    needsWholeChain: v.optional(flagField()),
    /** The leaf must have a common name. */
    needsCommonName: v.optional(flagField()),
    /** The leaf must have this key usage. */
    needsKeyEncipherment: v.optional(flagField()),
    /** How far these devices' clocks may be behind. */
    clockLag: v.optional(durationField(MOST_LAG_MS)),
    /**
     * One of these keys must be on the path: `sha256/` and the base64 of the SHA-256 of its
     * SubjectPublicKeyInfo. @example ["sha256/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]
     */
    pins: list(pin(), 'pins'),
    /** Instead of the target's `probe.canary`. */
    canary: canaryField(),
  }),
  v.check(
    ({ canary: _, ...profile }) =>
      Object.entries(profile).some(([key, value]) => key !== 'name' && value !== undefined),
    'is empty: say what these devices trust or understand, or name a preset',
  ),
)

const presetNames = Object.keys(PRESETS)

/** The list as it stands in the settings. */
export const profilesField = () =>
  v.optional(
    v.array(
      v.union(
        [v.picklist(presetNames), profileObject],
        `must be a profile, or the name of a preset: ${presetNames.join(', ')}`,
      ),
      'must be a list of profiles',
    ),
    [],
  )

/** A list that was validated, its references resolved. */
export type ProfilesShape = v.InferOutput<ReturnType<typeof profilesField>>
type ProfileShape = Exclude<ProfilesShape[number], string>

const asProfile = (profile: ProfilesShape[number]): ProfileShape =>
  typeof profile === 'string' ? { name: profile, preset: profile, canary: null } : profile

/** Names that come twice, and roots that cannot be read. `path` is that of the list. */
export function checkProfiles(profiles: ProfilesShape, path: string, mistakes: Mistake[]): void {
  const seen = new Set<string>()
  for (const [i, given] of profiles.entries()) {
    const { name, trustedRoots = [] } = asProfile(given)
    const own = `${path}[${i}]`
    if (seen.has(name)) {
      const at = typeof given === 'string' ? own : `${own}.name`
      mistakes.push({ path: at, message: `"${name}" is taken by another profile of this target` })
    }
    seen.add(name)
    const clash = contradiction(asProfile(given))
    if (clash !== null) mistakes.push({ path: `${own}.ciphers`, message: clash })
    for (const [at, pem] of trustedRoots.entries()) {
      const why = unreadable(pem)
      if (why !== null) mistakes.push({ path: `${own}.trustedRoots[${at}]`, message: why })
    }
  }
}

/** Suites of TLS 1.3 have names of their own, and serve no other version (RFC 8446 appendix B.4). */
function contradiction({ tls, ciphers: suites }: ProfileShape): string | null {
  if (tls === undefined || suites === undefined) return null
  const { min, max } = tlsRange(tls)
  const names = suites.split(':')
  const has13 = names.some(name => name.startsWith('TLS_'))
  const has12 = names.some(name => !name.startsWith('TLS_'))
  if (min === 'TLSv1.3' && !has13) return `has no suite of TLS 1.3, the only version in "tls"`
  if (max !== 'TLSv1.3' && !has12) return `has only suites of TLS 1.3, which is not in "tls"`
  return null
}

/** Why roots cannot be read; null for what could not be fetched, too: that has been noted. */
export const unreadable = (pem: string): string | null => {
  if (pem === '') return null
  try {
    parseCertificates(pem)
    return null
  } catch (thrown) {
    return `${(thrown as RotationError).message}; give the roots as PEM text`
  }
}

/** A profile as the program uses it, with its preset filled in. */
export function toProfile(given: ProfilesShape[number]): DeviceProfile {
  const { name, preset, trustedRoots, tls, ciphers: suites, clockLag, pins, ...own } = asProfile(given)
  const stack: Partial<Preset> = preset === undefined ? {} : (PRESETS[preset] ?? {})
  return {
    name,
    stack: stack.stack ?? null,
    trustedRoots: trustedRoots?.join('\n') ?? null,
    tls: tls === undefined ? null : tlsRange(tls),
    ciphers: suites ?? null,
    keyTypes: own.keyTypes ?? stack.keyTypes ?? null,
    issuerKeyTypes: own.issuerKeyTypes ?? stack.issuerKeyTypes ?? null,
    signatureAlgorithms: own.signatureAlgorithms ?? stack.signatureAlgorithms ?? null,
    maxChainBytes: own.maxChainBytes ?? stack.maxChainBytes ?? null,
    maxChainDepth: own.maxChainDepth ?? stack.maxChainDepth ?? null,
    needsWholeChain: own.needsWholeChain ?? stack.needsWholeChain ?? false,
    needsCommonName: own.needsCommonName ?? false,
    needsKeyEncipherment: own.needsKeyEncipherment ?? false,
    clockLagMs: clockLag ?? 0,
    pins: (pins ?? []).map(text => text.replace('sha256/', '')),
  }
}

function tlsRange(text: (typeof TLS_RANGES)[number]): { min: TlsVersion; max: TlsVersion } {
  const [from, to = from] = text.split('-')
  const version = (number: string | undefined): TlsVersion =>
    TLS_VERSIONS.find(known => known === `TLSv${number}`) ?? 'TLSv1.2'
  return { min: version(from), max: version(to) }
}
