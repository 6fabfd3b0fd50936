/** Faults of the presets, each a chain that was judged wrong; the real stacks say the same (test/strangers/stacks.test.ts). */
import { describe, expect, test } from 'vitest'
import { toProfile } from '../../lib/config/profiles.ts'
import { isAcceptable, type JudgeLine, judge } from '../../lib/devices/judge.ts'
import { rootsOf } from '../../lib/devices/roots.ts'
import { DEVIATIONS } from '../strangers/stacks/deviations.ts'
import { make, usualPlan } from '../strangers/stacks/plan.ts'

const judged = (deviation: string | null, preset: string | null, asSent = true): readonly JudgeLine[] => {
  const plan = usualPlan()
  if (deviation !== null) {
    const found = DEVIATIONS.find(({ name }) => name === deviation)
    if (!found) throw new Error(`no deviation is named ${deviation}`)
    found.apply(plan)
  }
  const now = Date.parse('2026-06-15T12:00:00Z')
  const made = make(plan, now)
  const profile = preset === null ? null : toProfile(preset)
  return judge({
    chainPem: made.chainPem,
    asSent,
    profile,
    roots: rootsOf({ trustedRoots: made.rootsPem }, profile),
    domain: made.host,
    servedPem: null,
    otherKeyAsked: true,
    minAgeMs: 0,
    stapling: true,
    at: now,
  })
}

const reasons = (lines: readonly JudgeLine[]): string =>
  lines.flatMap(({ verdict, reason }) => (verdict === 'refuse' ? [reason] : [])).join('; ')

const MBED = ['mbedtls-2', 'mbedtls-3', 'esp-idf', 'esp-idf-pem']
const EVERY = [...MBED, 'wolfssl', 'openssl']

/** What it was, the chain, which presets refuse it, and what they say. */
const REFUSED: readonly (readonly [string, string, readonly string[], RegExp])[] = [
  [
    '1: a warning of the stack itself',
    'name constraints: middle',
    MBED,
    /critical extension nameConstraints/,
  ],
  [
    '1: a warning of the stack itself',
    'policy constraints: middle',
    MBED,
    /critical extension policyConstraints/,
  ],
  [
    '1: a warning of the stack itself',
    'inhibit any policy: middle',
    MBED,
    /critical extension inhibitAnyPolicy/,
  ],
  ['1: a warning of the stack itself', 'policy mappings: middle', MBED, /critical extension policyMappings/],
  [
    '1: a warning of the stack itself',
    'RSA with encipherment alone: leaf',
    [...MBED, 'wolfssl'],
    /lacks digitalSignature/,
  ],
  ['1: a warning of the stack itself', 'the intermediate is held', ['openssl'], /which is no root/],
  ['2: the bundle', 'a cross-sign is sent', ['esp-idf'], /not in the bundle, byte for byte/],
  ['2: the bundle', 'two of one name, the first another', ['esp-idf'], /whose key did not sign it/],
  ['2: the bundle', 'issuer written otherwise, printable and UTF-8: middle', ['esp-idf'], /byte for byte/],
  ['3: limits', '17 KB in all', [...MBED], /bytes are sent, more than/],
  ['3: limits', 'key rsa-1024: leaf', [...MBED, 'openssl'], /rsa-1024/],
  ['3: limits', 'key rsa-1024: root', [...MBED, 'openssl'], /rsa-1024/],
  ['3: limits', 'key ed25519: leaf', [...MBED, 'wolfssl'], /ed25519/],
  ['3: limits', 'key ec-k256: middle', ['mbedtls-3', 'wolfssl'], /ec-secp256k1/],
  ['3: limits', 'key ec-bp256: middle', ['wolfssl'], /brainpool/],
  ['4: beyond the root', 'CRL points critical: beyond', MBED, /reads every certificate that is sent/],
  [
    '4: beyond the root',
    'an old root of ML-DSA signs across',
    ['mbedtls-3', 'esp-idf'],
    /signed with .*, which it does not know/,
  ],
  ['5: critical policies', 'policies critical, own: middle', [...MBED, 'wolfssl'], /olicies/],
  ['5: critical CRL distribution points', 'CRL points critical: leaf', MBED, /crlDistributionPoints/],
  [
    '6: names',
    'issuer written otherwise, upper and lower case: leaf',
    ['wolfssl'],
    /compares names byte for byte/,
  ],
  ['6: names', 'version 1: root', ['wolfssl'], /nothing that it knows issues/],
  ['6: names', 'serial 0: leaf', ['wolfssl'], /the serial number 0/],
  ['6: names', 'subject two attributes in one: leaf', ['wolfssl'], /several attributes/],
  ['6: names', 'permitted everything: middle', ['wolfssl'], /permits the empty name/],
  ['6: names', 'wildcard and an IDN: leaf', ['wolfssl'], /no name with xn--/],
  ['7: an expired root is not loaded', 'only an expired one', ['wolfssl'], /expired/],
  ['8: self-issued CAs', 'zero, a self-issued CA below', EVERY, /./],
  ['8: self-issued CAs', 'of the root one, a self-issued CA below', ['wolfssl', 'openssl'], /./],
  ['8: explicit EC parameters', 'key ec-explicit: leaf', EVERY, /spells out the parameters of its curve/],
  [
    '8: a root by its name and key',
    'a CA that signed itself and names another as its issuer',
    ['openssl'],
    /which is no root/,
  ],
  ['8: P-192', 'key ec-192: middle', EVERY, /ec-prime192v1/],
  ['8: DSA', 'key dsa: middle', EVERY, /./],
  ['encoding', 'version 2, with extensions: middle', EVERY, /is of version 2, and has extensions/],
  ['encoding', 'version 4: leaf', EVERY, /is of version 4/],
  ['encoding', 'unique identifiers: root', EVERY, /unique identifiers/],
  ['encoding', 'times with a fraction: middle', EVERY, /writes its dates otherwise/],
  ['encoding', 'no policy among policies: beyond', EVERY, /policies, and names none/],
  ['encoding', 'authority key identifier with a serial number alone: leaf', EVERY, /names a serial number/],
  ['encoding', 'a part of a name that is empty: middle', EVERY, /an empty part in a name/],
  ['encoding', 'two algorithms that signed: beyond', EVERY, /two algorithms/],
  ['encoding', 'PSS without parameters: beyond', EVERY, /no parameters of RSASSA-PSS/],
  ['encoding', 'ECDSA with parameters: leaf', EVERY, /parameters of ECDSA/],
  ['encoding', 'an address of 5 bytes: leaf', EVERY, /an address of another length/],
  ['encoding', 'no CA, in so many words: leaf', EVERY, /in so many words/],
  ['encoding', 'of 2^31: root', EVERY, /a path length beyond all numbers/],
  ['encoding', 'permitted from a minimum on: middle', ['openssl', 'wolfssl'], /a minimum or a maximum/],
  ['limits of wolfSSL', 'of 128: middle', ['wolfssl'], /a path length above 127/],
  ['limits of wolfSSL', 'a serial of 33 bytes: root', ['wolfssl'], /nothing that it knows issues/],
  ['limits of wolfSSL', '1025 names: leaf', ['wolfssl'], /more than 1024 alternative names/],
  ['limits of wolfSSL', 'permitted 140 names: middle', ['wolfssl'], /more than 128 name constraints/],
  ['limits of wolfSSL', 'of 17 parts: leaf', ['wolfssl'], /more than 13 parts/],
  ['rights without a CA', 'signature and certificate signing, no CA: leaf', ['wolfssl'], /right to sign/],
  ['rights without a CA', 'in a leaf: leaf', ['wolfssl'], /name constraints, and is no CA/],
  ['mail addresses', 'permitted a mail domain, the subject has another: middle', EVERY, /./],
  ["Netscape's type", 'netscape type client: leaf', ['openssl'], /lacks the server/],
  ['wildcards', 'wildcard and an underscore: leaf', ['openssl'], /letters, digits and hyphens/],
  ['no way back', 'a twin of path length 0 first', ['openssl', 'wolfssl'], /come back|may take/],
  ['no way back', 'a twin that may not sign first', ['openssl'], /does not come back/],
  ['no way back', 'a twin with name constraints first', ['openssl', 'wolfssl'], /come back|may take/],
  ['no way back', 'a twin with an unknown critical extension first', ['openssl'], /does not come back/],
  ['no way back', 'a twin for clients first', ['openssl'], /does not come back/],
  ['no way back', 'another of its name first, no authority key identifier', ['openssl'], /not come back/],
  [
    'no way back',
    'another of its name last, no authority key identifier',
    ['wolfssl'],
    /nothing that it knows/,
  ],
  ['no way back', 'a cross-sign, both are held, the root expired', ['openssl'], /does not come back/],
  ['no way back', 'two intermediates of one name, the first of a stranger', ['openssl'], /leads to nothing/],
  ['no way back', 'two intermediates of one name, the first is no CA', ['openssl'], /does not come back/],
  ['a key twice', 'a root of the same key and another name first', ['wolfssl'], /nothing that it knows/],
  ['a key twice', 'the intermediate has the key of the root', ['wolfssl'], /nothing that it knows issues/],
  [
    'a key twice',
    'the leaf has name and key of the intermediate',
    ['openssl'],
    /bears the name of its own issuer/,
  ],
]

/** What was too strict. */
const TAKEN: readonly (readonly [string, string, readonly string[]])[] = [
  ['9: RSA-PSS', 'PSS with sha256: leaf', EVERY],
  ['9: SHA-224', 'ec-256 with sha224: leaf', ['mbedtls-2', 'openssl']],
  ['9: ML-DSA anywhere', 'an old root of ML-DSA signs across', ['mbedtls-2', 'openssl']],
  ['9: any order', 'two intermediates in the wrong order', ['openssl']],
  ['9: a network of addresses', 'permitted an address: middle', ['wolfssl', 'openssl']],
  ['9: a name within constraints', 'permitted the organization: middle', ['wolfssl', 'openssl']],
  ...DEVIATIONS.filter(({ kind }) => kind === 'as CAs of today').map(({ name }) => {
    const isCrossed = /</.test(name.replace(/^[^<]*<[^<]*/, ''))
    return ['as CAs of today', name, isCrossed ? ['mbedtls-2', 'mbedtls-3', 'openssl'] : EVERY] as const
  }),
]

describe('presets follow their stacks', () => {
  test.each(EVERY)('%s takes the usual chain', preset => {
    expect(judged(null, preset, false).filter(({ verdict }) => verdict !== 'ok')).toEqual([])
  })

  test.each(REFUSED)('fault %s: %s', (_, deviation, presets, why) => {
    for (const preset of presets)
      expect({ preset, why: reasons(judged(deviation, preset)) }).toEqual({
        preset,
        why: expect.stringMatching(why),
      })
  })

  test.each(TAKEN)('fault %s: %s is taken', (_, deviation, presets) => {
    for (const preset of presets)
      expect({ preset, why: reasons(judged(deviation, preset)) }).toEqual({ preset, why: '' })
  })

  test('of devices that nobody described some stacks are warned of', () => {
    const lines = judged('issuer written otherwise, upper and lower case: leaf', null)
    expect(isAcceptable(lines)).toBe(true)
    expect(lines.find(({ check }) => check === 'stack')).toMatchObject({
      verdict: 'warn',
      new: 'not known',
      reason: expect.stringContaining('some stacks (wolfSSL, GnuTLS) refuse that'),
    })
  })
})
