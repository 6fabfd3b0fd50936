import { describe, expect, test } from 'vitest'
import { PRESETS } from '../../lib/devices/presets.ts'
import { SIGNATURE_ALGORITHMS } from '../../lib/x509/details.ts'
import { caExtensions, issue } from '../support/issue.ts'
import { changed, load, loadFile, mistakesOf, type Raw, sample } from './sample.ts'

const withProfiles = (...profiles: unknown[]): Raw =>
  changed(raw => Object.assign(raw.targets[0], { profiles }))
const PIN = `sha256/${Buffer.alloc(32, 7).toString('base64')}`

describe('profiles', () => {
  test('none unless they are given', async () => {
    const [target] = (await load(sample())).targets
    expect(target).toMatchObject({ profiles: [], preflight: { emergency: 'refuse', strictNames: false } })
  })

  test('every key', async () => {
    const root = (await issue({ subject: 'CN=Root', extensions: caExtensions() })).pem
    const raw = withProfiles({
      name: 'meter-v1',
      trustedRoots: ['file:old.pem', root],
      tls: '1.1-1.2',
      ciphers: 'ECDHE-RSA-AES128-GCM-SHA256:AES128-SHA',
      keyTypes: ['rsa-2048'],
      issuerKeyTypes: ['rsa-2048', 'ec-256'],
      signatureAlgorithms: ['sha256WithRSAEncryption'],
      maxChainBytes: 8192,
      maxChainDepth: 3,
      needsWholeChain: true,
      needsCommonName: true,
      needsKeyEncipherment: true,
      clockLag: '6h',
      pins: [PIN],
    })
    const [target] = (await loadFile(JSON.stringify(raw), { 'old.pem': root })).targets
    expect(target?.profiles).toEqual([
      {
        name: 'meter-v1',
        stack: null,
        trustedRoots: `${root.trim()}\n${root}`,
        tls: { min: 'TLSv1.1', max: 'TLSv1.2' },
        ciphers: 'ECDHE-RSA-AES128-GCM-SHA256:AES128-SHA',
        keyTypes: ['rsa-2048'],
        issuerKeyTypes: ['rsa-2048', 'ec-256'],
        signatureAlgorithms: ['sha256WithRSAEncryption'],
        maxChainBytes: 8192,
        maxChainDepth: 3,
        needsWholeChain: true,
        needsCommonName: true,
        needsKeyEncipherment: true,
        clockLagMs: 6 * 3_600_000,
        pins: [PIN.replace('sha256/', '')],
      },
    ])
  })

  test('a preset by its name, and one that is changed', async () => {
    const raw = withProfiles('wolfssl', { name: 'meter', preset: 'wolfssl', maxChainDepth: 3, tls: '1.3' })
    const [stock, meter] = (await load(raw)).targets[0]?.profiles ?? []
    expect(stock).toMatchObject({ name: 'wolfssl', trustedRoots: null, tls: null, ...PRESETS.wolfssl })
    expect(meter).toMatchObject({
      name: 'meter',
      maxChainDepth: 3,
      maxChainBytes: PRESETS.wolfssl?.maxChainBytes,
      needsWholeChain: true,
      tls: { min: 'TLSv1.3', max: 'TLSv1.3' },
    })
  })

  test('what a preset says of the whole chain may be false of a build', async () => {
    const raw = withProfiles({ name: 'meter', preset: 'wolfssl', needsWholeChain: false })
    expect((await load(raw)).targets[0]?.profiles).toMatchObject([{ needsWholeChain: false }])
  })
})

const at = 'targets[0].profiles[0]'
const bad: readonly (readonly [name: string, profile: unknown, mistake: string])[] = [
  ['an unknown preset', 'mbedtls-1', `${at}: must be a profile, or the name of a preset: mbedtls-2,`],
  ['an unknown preset within', { name: 'a', preset: 'x' }, `${at}.preset: must be one of "mbedtls-2",`],
  ['an empty profile', { name: 'a' }, `${at}: is empty: say what these devices trust`],
  ['an unnamed profile', { tls: '1.2' }, `${at}.name: is missing`],
  ['an unknown key', { name: 'a', cipher: 'x' }, `${at}.cipher: is not a setting; did you mean "ciphers"?`],
  ['no roots', { name: 'a', trustedRoots: [] }, `${at}.trustedRoots: must not be empty`],
  [
    'roots that are not there',
    { name: 'a', trustedRoots: ['file:no.pem'] },
    `${at}.trustedRoots[0]: file no.pem cannot be read (ENOENT)`,
  ],
  [
    'roots that cannot be read',
    { name: 'a', trustedRoots: ['-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----'] },
    `${at}.trustedRoots[0]: block 1 of the PEM text is no certificate that can be read; give the roots as PEM text`,
  ],
  [
    'a key among the roots',
    { name: 'a', trustedRoots: ['-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----'] },
    `${at}.trustedRoots[0]: a private key stands among the certificates`,
  ],
  [
    'suites of another version than it speaks',
    { name: 'a', tls: '1.3', ciphers: 'AES128-SHA' },
    `${at}.ciphers: has no suite of TLS 1.3`,
  ],
  [
    'suites of TLS 1.3 alone, which it does not speak',
    { name: 'a', tls: '1.2', ciphers: 'TLS_AES_128_GCM_SHA256' },
    `${at}.ciphers: has only suites of TLS 1.3`,
  ],
  ['an unknown cipher', { name: 'a', ciphers: 'AES128-SHA:RC5' }, `${at}.ciphers: name 2 is no cipher suite`],
  [
    'an unknown key type',
    { name: 'a', keyTypes: ['rsa-1024'] },
    `${at}.keyTypes[0]: must be one of "rsa-2048"`,
  ],
  [
    'a key type of issuers that no device should know',
    { name: 'a', issuerKeyTypes: ['rsa-1024'] },
    `${at}.issuerKeyTypes[0]: must be one of "rsa-2048"`,
  ],
  [
    'an unknown signature algorithm',
    { name: 'a', signatureAlgorithms: ['sha256'] },
    `${at}.signatureAlgorithms[0]: must be one of "md5WithRSAEncryption"`,
  ],
  ['an unknown version', { name: 'a', tls: '1.0' }, `${at}.tls: must be one of "1.1", "1.2"`],
  ['a malformed pin', { name: 'a', pins: ['sha256/abc'] }, `${at}.pins[0]: must be "sha256/" and 32 bytes`],
  [
    'a pin with stray bits',
    { name: 'a', pins: [PIN.replace(/.=$/, 'd=')] },
    `${at}.pins[0]: must be "sha256/" and 32 bytes`,
  ],
  [
    'a number as a text',
    { name: 'a', maxChainBytes: '8k' },
    `${at}.maxChainBytes: must be a number of bytes`,
  ],
  ['no certificate at all', { name: 'a', maxChainDepth: 0 }, `${at}.maxChainDepth: must be at least 1`],
  ['a lag of years', { name: 'a', clockLag: '900d' }, `${at}.clockLag: is too long`],
  ['a lag without a unit', { name: 'a', clockLag: '6' }, `${at}.clockLag: must be a duration`],
  ['a number', 5, `${at}: must be a profile`],
]

describe('a bad profile is named by its path', () => {
  test.each(bad)('%s', async (_, profile, mistake) => {
    const [first, ...rest] = await mistakesOf(load(withProfiles(profile)))
    expect(first).toContain(mistake)
    expect(rest).toEqual([])
  })

  test('no list', async () => {
    const raw = changed(r => Object.assign(r.targets[0], { profiles: 'openssl' }))
    expect(await mistakesOf(load(raw))).toEqual(['targets[0].profiles: must be a list of profiles'])
  })

  test('names that come twice', async () => {
    const twice = withProfiles('openssl', { name: 'a', tls: '1.2' }, { name: 'a', tls: '1.3' }, 'openssl')
    expect(await mistakesOf(load(twice))).toEqual([
      'targets[0].profiles[2].name: "a" is taken by another profile of this target',
      'targets[0].profiles[3]: "openssl" is taken by another profile of this target',
    ])
  })

  test('several at once', async () => {
    const raw = withProfiles({ name: 'a', tls: '9', pins: ['x'], keyTypes: ['dsa'] })
    expect(await mistakesOf(load(raw))).toHaveLength(3)
  })

  test('an unknown rule for the emergency', async () => {
    const raw = changed(r => Object.assign(r.targets[0], { preflight: { emergency: 'pray' } }))
    expect(await mistakesOf(load(raw))).toEqual([
      'targets[0].preflight.emergency: must be one of "refuse", "bind"',
    ])
  })
})

test('presets say nothing that a profile could not', () => {
  for (const { signatureAlgorithms = [], maxChainDepth = 1, maxChainBytes = 1_000 } of Object.values(
    PRESETS,
  )) {
    expect(signatureAlgorithms.filter(name => !SIGNATURE_ALGORITHMS.includes(name))).toEqual([])
    expect(maxChainDepth).toBeGreaterThan(0)
    expect(maxChainBytes).toBeGreaterThanOrEqual(256)
  }
})
