/** What the rotation asks of a chain on behalf of every target that shares it. */
import { AuthorityInfoAccessExtension } from '@peculiar/x509'
import { describe, expect, test } from 'vitest'
import type { DeviceProfile } from '../../../lib/model/device-profile.ts'
import type { Target } from '../../../lib/model/target.ts'
import { chainRefusals, checkChain, suitable } from '../../../lib/rotation/decide/check-chain.ts'
import { doubtsOf } from '../../../lib/rotation/observe/judgements.ts'
import { preflightPrevious } from '../../../lib/rotation/steps/preflight.ts'
import { leafOf } from '../../../lib/x509/certificate.ts'
import { profile } from '../../devices/profile.ts'
import { build } from '../../support/chain.ts'
import { fakeClock } from '../../support/clock.ts'
import { der, extension, leafExtensions, NOW } from '../../support/issue.ts'
import { context, DOMAIN, decided, inspection, newRun, rotateAll, slot, target } from '../facts.ts'

const built = await build({ leaf: { extensions: leafExtensions(DOMAIN) } })
const other = await build()
const PEM = built.leaf.pem + built.middle.pem
const run = newRun(fakeClock(NOW))
const none = inspection({})
const shared = (...sharing: readonly Partial<Target>[]) => ({
  run,
  sharing: sharing.map(more => ({ ...target, trustedRoots: built.root.pem, ...more })),
})
const devices = (...own: readonly Partial<DeviceProfile>[]): Partial<Target> => ({
  profiles: own.map(profile),
})

describe('a chain among others for the same leaf', () => {
  test.each([
    ['no profile', [{}], true],
    ['a profile with the right root', [devices({ trustedRoots: built.root.pem })], true],
    ['a profile without roots has those of the target', [devices({})], true],
    ['one of two profiles with another root', [devices({}, { trustedRoots: other.root.pem })], false],
    ['another target with another root', [{}, { trustedRoots: other.root.pem }], false],
    ['too deep for a target that shares it', [{}, devices({ maxChainDepth: 1 })], false],
    ['what is wrong with every chain of this leaf', [devices({ keyTypes: ['rsa-2048'] })], true],
    ['the clock', [devices({ clockLagMs: 90 * 86_400_000 })], true],
  ])('%s', (_, sharing, expected) => {
    expect(chainRefusals(shared(...sharing), none, PEM).length === 0).toBe(expected)
  })

  test('never throws', () => {
    expect(chainRefusals(shared({}), none, 'no PEM')).toHaveLength(1)
    expect(suitable(shared({}), none, 'no PEM')).toBe(false)
  })
})

test('a leaf that another source may do better than', () => {
  expect(suitable(shared(devices({ keyTypes: ['rsa-2048'] })), none, PEM)).toBe(false)
  expect(suitable(shared(devices({ clockLagMs: 60 * 86_400_000 })), none, PEM)).toBe(true)
  // Of another target that shares it.
  expect(suitable(shared({}, devices({ needsCommonName: true })), none, PEM)).toBe(false)
  // Devices that would take it for valid only when it is over.
  expect(suitable(shared(devices({ clockLagMs: 900 * 86_400_000 })), none, PEM)).toBe(false)
})

/** One target at work, with the OCSP settings of its domain configuration. */
function atWork(
  config: Readonly<Record<string, unknown>>,
  more: Partial<Target> = {},
  boundPem: string | null = null,
) {
  const { inspection, ...work } = decided(
    boundPem === null
      ? { bound: null }
      : { bound: 'A', slots: [slot('A', {}, { certificatePem: boundPem })] },
  )
  if (!inspection.configuration) throw new Error('there is no configuration')
  const configuration = { ...inspection.configuration, serverCertificateConfig: config }
  return {
    given: context({
      run,
      event: { ...rotateAll, action: 'rollback' },
      target: { ...target, trustedRoots: built.root.pem, ...more },
    }),
    work: { ...work, inspection: { ...inspection, configuration } },
  }
}

describe('names that nobody ordered', async () => {
  const named = async (...names: readonly string[]): Promise<string> => {
    const { leaf, middle } = await build({ leaf: { extensions: leafExtensions(...names) } })
    return leaf.pem + middle.pem
  }
  const more = await named(DOMAIN, 'evil.example.org')
  const lineFor = (chainPem: string, strictNames: boolean, boundPem: string | null = null) => {
    const { given, work } = atWork({}, { preflight: { emergency: 'refuse', strictNames } }, boundPem)
    return checkChain(given, work, chainPem).find(({ check }) => check === 'extra-names')
  }

  test.each([
    [false, 'warn'],
    [true, 'refuse'],
  ] as const)('with strictNames %s: %s', (strictNames, verdict) => {
    expect(lineFor(more, strictNames)).toMatchObject({
      ...{ verdict, profile: null, new: 'evil.example.org', served: null, passesAt: null },
      reason: 'it has names that were not ordered: evil.example.org',
    })
  })

  test('those that are served today are no news, and those ordered, in any spelling, are none of them', async () => {
    expect(lineFor(more, false, more)).toMatchObject({ served: 'evil.example.org', verdict: 'warn' })
    expect(lineFor(await named(DOMAIN.toUpperCase()), true)).toBeUndefined()
    expect(lineFor('no PEM', true)).toBeUndefined()
  })
})

describe('the OCSP guard', () => {
  const withResponder = async (url: string): Promise<string> => {
    const extensions = [...leafExtensions(DOMAIN), new AuthorityInfoAccessExtension({ ocsp: [url] })]
    const { leaf, middle } = await build({ leaf: { extensions } })
    return leaf.pem + middle.pem
  }
  const lineFor = (chainPem: string, config: Readonly<Record<string, unknown>>, ocsp: Target['ocsp']) => {
    const { given, work } = atWork(config, { ocsp })
    return checkChain(given, work, chainPem).find(({ check }) => check === 'ocsp')
  }
  const HTTP = 'http://ocsp.example.com/'
  const ON = { ocsp_stapling_enable: true, ocsp_ssl_enable: false }
  const ON_BY_TLS = { ocsp_stapling_enable: true, ocsp_ssl_enable: true }

  test.each([
    ['an http responder where the platform asks by TLS', HTTP, ON_BY_TLS, 'refuse'],
    [
      'an http responder where that is not said, which is the same',
      HTTP,
      { ocsp_stapling_enable: true },
      'refuse',
    ],
    ['an http responder where it asks without', HTTP, ON, 'ok'],
    ['an https responder', 'https://ocsp.example.com/', ON_BY_TLS, 'ok'],
  ] as const)('%s', async (_, url, config, verdict) => {
    for (const ocsp of ['require-url', 'follow-certificate'] as const)
      expect(lineFor(await withResponder(url), config, ocsp)).toMatchObject({
        verdict,
        new: url,
        reason: verdict === 'ok' ? null : `its OCSP responder ${url} is http, and ocsp_ssl_enable is on`,
      })
  })

  test('no responder is refused, unless stapling follows the certificate or is off', () => {
    const none = { new: 'no responder' }
    expect(lineFor(PEM, ON, 'require-url')).toMatchObject({ ...none, verdict: 'refuse' })
    expect(lineFor(PEM, ON, 'follow-certificate')).toMatchObject({ ...none, verdict: 'ok' })
    expect(lineFor(PEM, { ocsp_stapling_enable: false }, 'require-url')).toBeUndefined()
  })

  test('a chain without the issuer is refused, unless what is bound has none either', async () => {
    const [leaf = '', middle = ''] = (await withResponder(HTTP)).split(/(?<=-----END CERTIFICATE-----\n)/)
    const alone = {
      new: `${HTTP}, without the issuer`,
      reason: expect.stringContaining('without the issuer'),
    }
    for (const ocsp of ['require-url', 'follow-certificate'] as const) {
      expect(lineFor(leaf, ON, ocsp)).toMatchObject({ ...alone, verdict: 'refuse' })
      expect(lineFor(leaf + middle, ON, ocsp)).toMatchObject({ verdict: 'ok', reason: null })
    }
    const { given, work } = atWork(ON, {}, leaf)
    const line = checkChain(given, work, leaf).find(({ check }) => check === 'ocsp')
    expect(line).toMatchObject({ ...alone, verdict: 'warn', served: alone.new })
    // What the platform shows may be less than what was uploaded.
    const shown = checkChain(atWork(ON).given, atWork(ON).work, leaf, { mayBeCut: true })
    expect(shown.find(({ check }) => check === 'ocsp')).toMatchObject({ verdict: 'ok' })
  })

  test('stapling that the bind switches off is none for a leaf that must be stapled', async () => {
    const mustStaple = extension('1.3.6.1.5.5.7.1.24', der(0x30, der(0x02, Buffer.from([5]))))
    const extensions = [...leafExtensions(DOMAIN), mustStaple]
    const { root, leaf, middle } = await build({ leaf: { extensions } })
    const { given, work } = atWork(ON, { ocsp: 'follow-certificate', trustedRoots: root.pem })
    const refusals = checkChain(given, work, leaf.pem + middle.pem).filter(l => l.verdict === 'refuse')
    expect(refusals.map(({ check }) => check)).toEqual(['must-staple'])
    // Who looks at the port does not know.
    expect(doubtsOf(given, null, leaf.pem + middle.pem).map(l => `${l.check} ${l.verdict}`)).toEqual([
      'must-staple warn',
    ])
  })
})

describe('a rollback by hand', () => {
  const check = (chainPem: string, trustedRoots: string, staplingBack = false) => {
    const { given, work } = atWork({ ocsp_stapling_enable: false }, { trustedRoots })
    const leaf = leafOf(built.leaf.certificate)
    preflightPrevious(given, work, { chainPem, leaf, staplingBack })
  }
  const refused = expect.objectContaining({ code: 'preflight-refused' })

  test('a chain that leads to no root is refused; a leaf that is shown alone says nothing of its chain', () => {
    expect(() => check(PEM, built.root.pem)).not.toThrow()
    expect(() => check(PEM, other.root.pem)).toThrow(refused)
    expect(() => check(built.leaf.pem, other.root.pem)).not.toThrow()
  })

  test('is judged with the stapling that comes back with it', () => {
    expect(() => check(PEM, built.root.pem, true)).toThrow(refused)
  })
})
