import { covers } from '../x509/certificate.ts'
import { commonNameOf, DIGITAL_SIGNATURE, KEY_ENCIPHERMENT, keyUsageOf, mustStaple } from '../x509/details.ts'
import { type Check, type Circumstances, caution, type Objection, refuse } from './check.ts'
import { familyOf, type PresentedChain } from './presented-chain.ts'

/** Checks of the leaf: is it the right name, and a key that the devices can use? */

/** What a cipher suite needs of the server's key (RFC 5246 section 7.4.2). */
const keyOf = (suite: string): 'any' | 'ec' | 'rsa' | 'static-rsa' | 'none' => {
  const name = suite.toLowerCase()
  if (name.startsWith('tls_')) return 'any'
  if (name.includes('ecdsa')) return 'ec'
  if (/^(ecdhe|dhe)-rsa/.test(name)) return 'rsa'
  if (/^rsa-psk/.test(name)) return 'static-rsa'
  if (/psk|srp|dss|adh|anon|^aecdh/.test(name)) return 'none'
  return 'static-rsa'
}

/** The suites that devices may use, by what they need; null when they are not limited. */
function keysOfCiphers({ profile }: Circumstances): ReadonlySet<string> | null {
  if (!profile?.ciphers) return null
  const all = profile.ciphers.split(':').map(keyOf)
  const max = profile.tls?.max ?? null
  // TLS 1.3 has suites of its own, often set apart from the others.
  if (max === 'TLSv1.3' && !all.includes('any')) return null
  return new Set(max === null || max === 'TLSv1.3' ? all : all.filter(key => key !== 'any'))
}

const bitsText = (bits: number | null): string => {
  if (bits === null) return 'any'
  const names = [
    bits & DIGITAL_SIGNATURE ? 'digitalSignature' : '',
    bits & KEY_ENCIPHERMENT ? 'keyEncipherment' : '',
  ].filter(Boolean)
  return names.join(', ') || 'neither signature nor encipherment'
}

const usageText = ({ leaf }: PresentedChain): string =>
  [
    bitsText(keyUsageOf(leaf)),
    ...(leaf.keyUsage === undefined ? ['no extended key usage'] : []),
    ...(leaf.ca ? ['a CA'] : []),
  ].join(', ')

const lacks = ({ leaf }: PresentedChain, bit: number): boolean => {
  const bits = keyUsageOf(leaf)
  return bits !== null && (bits & bit) === 0
}

function usageObjection(seen: PresentedChain, around: Circumstances): Objection | null {
  const keys = keysOfCiphers(around)
  const onlyStatic = keys !== null && [...keys].every(key => key === 'static-rsa' || key === 'none')
  const needed = around.profile?.needsKeyEncipherment || onlyStatic
  if (needed && lacks(seen, KEY_ENCIPHERMENT))
    return refuse(
      'its key usage lacks keyEncipherment',
      'have it issued with an RSA key and keyEncipherment (for ACME see certificates.*.profile)',
    )
  if (!lacks(seen, DIGITAL_SIGNATURE)) return oddPurpose(seen)
  const said = 'its key usage lacks digitalSignature, which TLS 1.3 and ECDHE need'
  const remedy = 'have it issued with digitalSignature'
  return familyOf(seen.info.keyType) === 'ec' ? refuse(said, remedy) : caution(said, remedy)
}

/** What RFC 5280 allows a server's certificate, and some clients do not. */
function oddPurpose({ leaf }: PresentedChain): Objection | null {
  // CaUsedAsEndEntity. https://github.com/rustls/webpki/issues/205
  if (leaf.ca)
    return caution(
      'it is a CA (basic constraints), which some clients (rustls) refuse of a server',
      'have it issued with CA:FALSE',
    )
  // https://support.apple.com/en-us/103769
  return leaf.keyUsage === undefined
    ? caution(
        'it has no extended key usage: good for any use, but some clients (of Apple) insist on serverAuth',
        'have it issued with the extended key usage serverAuth',
      )
    : null
}

function keyObjection(
  { info }: PresentedChain,
  { profile, served, otherKeyAsked }: Circumstances,
): Objection | null {
  const remedy = 'set certificates.*.keyType to a type that these devices know'
  if (profile?.keyTypes)
    return profile.keyTypes.includes(info.keyType)
      ? null
      : refuse(`it has an ${info.keyType} key, which is none of ${profile.keyTypes.join(', ')}`, remedy)
  const now = served?.info.keyType
  if (now === undefined || otherKeyAsked || now === info.keyType) return null
  const said = `it has an ${info.keyType} key, devices are served ${now} today`
  // Of the same family: an adopted certificate may have another size than the settings, and renewal must not end there.
  return familyOf(now) === familyOf(info.keyType)
    ? caution(
        `${said}: one built for few sizes or curves would refuse it`,
        `set certificates.*.keyType to ${now}, or say what these devices know in keyTypes of a profile`,
      )
    : refuse(said, remedy)
}

export const IDENTITY_CHECKS: readonly Check[] = [
  {
    // RFC 9525 section 6.3.
    check: 'names',
    value: ({ info }) => info.names.join(', ') || 'none',
    object: ({ info }, { domain }) =>
      covers(info.names, domain)
        ? null
        : refuse(
            `its names (${info.names.join(', ') || 'none'}) do not cover ${domain}`,
            'add the domain to certificates.*.names',
          ),
  },
  {
    check: 'common-name',
    value: ({ leaf }) => commonNameOf(leaf) ?? 'none',
    object: ({ leaf }, { profile, domain, served }) => {
      const name = commonNameOf(leaf)
      if (name !== null && covers([name], domain)) return null
      const remedy = 'have it issued with the domain as its common name (for ACME see certificates.*.profile)'
      const what = name === null ? 'no common name' : `the common name ${name}, not ${domain}`
      if (profile?.needsCommonName) return refuse(`it has ${what}`, remedy)
      const today = served && commonNameOf(served.leaf)
      return today && covers([today], domain)
        ? caution(`it has ${what}, and clients that match on it are served ${today} today`, remedy)
        : null
    },
  },
  { check: 'key', value: ({ info }) => info.keyType, object: keyObjection },
  {
    check: 'ciphers',
    applies: (_, around) => keysOfCiphers(around) !== null,
    value: ({ info }) => `${familyOf(info.keyType)} key`,
    object: ({ info }, around) => {
      const keys = keysOfCiphers(around) ?? new Set()
      const family = familyOf(info.keyType)
      const usable = keys.has('any') || keys.has(family) || (family === 'rsa' && keys.has('static-rsa'))
      return usable
        ? null
        : refuse(
            `none of its cipher suites can be used with an ${info.keyType} key`,
            'set certificates.*.keyType to a type that these devices know',
          )
    },
  },
  // RFC 5280 sections 4.2.1.3, 4.2.1.9 and 4.2.1.12; RFC 8446 section 4.4.2.2.
  { check: 'key-usage', value: usageText, object: usageObjection },
  {
    // RFC 7633 section 4.2.1.
    check: 'must-staple',
    applies: ({ leaf }) => mustStaple(leaf),
    value: ({ leaf }) => (mustStaple(leaf) ? 'yes' : 'no'),
    object: (_, { stapling }) => {
      if (stapling) return null
      const remedy = 'have it issued without must-staple, or switch stapling on'
      return stapling === null
        ? caution('it must be served with a stapled OCSP answer, and whether it is was not looked at', remedy)
        : refuse('it must be served with a stapled OCSP answer, and OCSP stapling is off', remedy)
    },
  },
]
