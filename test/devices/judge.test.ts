import type { X509Certificate } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { isAcceptable, type JudgeInput, type JudgeLine, judge } from '../../lib/devices/judge.ts'
import { rootsOf } from '../../lib/devices/roots.ts'
import { leafOf, parseChain } from '../../lib/x509/certificate.ts'
import { pinOf } from '../../lib/x509/details.ts'
import { build, type Parts } from '../support/chain.ts'
import { DAY_MS, der, extension, leafExtensions, NOW, newRsaKeys } from '../support/issue.ts'
import { CASES, type Case, DOMAIN, type Sent } from './chains.ts'
import { opensslVerifies } from './openssl.ts'
import { profile } from './profile.ts'

const pemOf = (roots: Sent['roots']): string => roots.map(root => root.pem).join('')

/** Leaf and intermediate, to devices that hold the root. */
const usual = async (parts: Parts = {}, more: Partial<Sent> = {}): Promise<Sent> => {
  const { root, middle, leaf } = await build(parts)
  return { pem: leaf.pem + middle.pem, roots: [root], ...more }
}

const judged = (sent: Sent, more: Partial<JudgeInput> = {}): readonly JudgeLine[] => {
  const own = { ...(sent.profile ?? profile()), trustedRoots: pemOf(sent.roots) }
  return judge({
    chainPem: sent.pem,
    profile: own,
    roots: rootsOf({ trustedRoots: null }, own),
    domain: sent.domain ?? DOMAIN,
    servedPem: sent.servedPem ?? null,
    otherKeyAsked: false,
    minAgeMs: 0,
    stapling: false,
    at: NOW,
    ...more,
  })
}

const worst = (lines: readonly JudgeLine[]): JudgeLine['verdict'] =>
  (['refuse', 'warn'] as const).find(verdict => lines.some(line => line.verdict === verdict)) ?? 'ok'
const lineOf = (lines: readonly JudgeLine[], check: string): JudgeLine => {
  const line = lines.find(candidate => candidate.check === check)
  if (!line) throw new Error(`no line for ${check}`)
  return line
}

describe('a table of chains', () => {
  test.each(CASES.map(one => [one.name, one] as const))('%s', async (_, { make, verdict, because }) => {
    const lines = judged(await make())
    expect({ verdict: worst(lines), table: lines }).toMatchObject({ verdict })
    expect(isAcceptable(lines)).toBe(verdict !== 'refuse')
    for (const line of lines) {
      expect(line.profile).toBe('meter-v1')
      expect(line.reason === null).toBe(line.verdict === 'ok')
      expect(line.remedy === null).toBe(line.verdict === 'ok')
    }
    if (because === null) return
    expect(lineOf(lines, because[0])).toMatchObject({ verdict, reason: expect.stringMatching(because[1]) })
  })

  test('has every kind that was asked for', () => {
    expect(CASES.length).toBeGreaterThanOrEqual(25)
    expect(new Set(CASES.map(({ name }) => name)).size).toBe(CASES.length)
  })
})

/** What RFC 5280 and the name decide, whatever the devices' own limits are. */
const STANDARD = ['pem', 'path', 'names']

describe('side by side with openssl', () => {
  const same = CASES.filter(one => one.lenient === undefined && one.strict === undefined)
  const looser = CASES.filter(one => one.lenient !== undefined)
  const stricter = CASES.filter(one => one.strict !== undefined)

  const both = async ({ make }: Case) => {
    const sent = await make()
    const lines = judged(sent)
    const ours = isAcceptable(lines.filter(({ check }) => STANDARD.includes(check)))
    const rootsPem = pemOf(sent.roots)
    const question = { chainPem: sent.pem, rootsPem, domain: sent.domain ?? DOMAIN, strict: false, at: NOW }
    return { lines, ours, question, theirs: await opensslVerifies(question) }
  }

  test.each(same.map(one => [one.name, one] as const))('agreed: %s', async (_, one) => {
    const { lines, ours, theirs, question } = await both(one)
    expect({ ours, theirs }).toEqual({ ours: theirs === true, theirs })
    const strict = await opensslVerifies({ ...question, strict: true })
    if (!ours) return expect(strict).not.toBe(true)
    // What only a strict client refuses is what the form line warns of.
    expect({ form: lineOf(lines, 'form').verdict, strict }).toEqual({
      form: strict === true ? 'ok' : 'warn',
      strict,
    })
    // To the end of the certificate: does the chain hold so long? The very last second openssl counts as over.
    const at = leafOf(parseChain(question.chainPem)[0] as X509Certificate).notAfter - 1_000
    const atEnd = await opensslVerifies({ ...question, at })
    expect({ until: lineOf(lines, 'trusted-until').verdict, atEnd }).toEqual({
      until: atEnd === true ? 'ok' : 'warn',
      atEnd,
    })
  })

  test.each(looser.map(one => [one.name, one] as const))('openssl is looser: %s', async (_, one) => {
    const { ours, theirs } = await both(one)
    expect(one.lenient).toMatch(/^openssl /)
    expect({ ours, theirs }).toEqual({ ours: false, theirs: true })
  })

  test.each(stricter.map(one => [one.name, one] as const))('openssl is stricter: %s', async (_, one) => {
    const { ours, theirs, question } = await both(one)
    expect(one.strict).toMatch(/^openssl /)
    expect({ ours, theirs }).toEqual({ ours: true, theirs: expect.stringContaining('error 2 at') })
    // Nothing else divides them.
    expect(await opensslVerifies({ ...question, partial: true, strict: true })).toBe(true)
  })

  test('without the command it fails, and says what to install', async () => {
    const { PATH } = process.env
    process.env.PATH = '/nowhere'
    try {
      await expect(opensslVerifies({ chainPem: '', rootsPem: '', domain: DOMAIN, at: NOW })).rejects.toThrow(
        '`openssl` is not there',
      )
    } finally {
      process.env.PATH = PATH
    }
  })
})

describe('the table', () => {
  test('shows today beside the new one', async () => {
    const today = await build({ leaf: { subject: `CN=${DOMAIN}`, keys: await newRsaKeys() } })
    const { root, middle, leaf } = await build()
    const lines = judged({
      pem: leaf.pem + middle.pem,
      roots: [root, today.root],
      servedPem: today.leaf.pem + today.middle.pem + today.root.pem,
    })
    const cells = Object.fromEntries(lines.map(line => [line.check, [line.served, line.new]]))
    expect(cells).toMatchObject({
      path: [`CN=${DOMAIN} < CN=Middle < CN=Root`, 'CN=Leaf < CN=Middle < CN=Root'],
      'trusted-until': ['2026-08-14T12:00:00Z', '2026-08-14T12:00:00Z'],
      clock: ['valid for 30d', 'valid for 30d'],
      signatures: ['ecdsa-with-SHA256', 'ecdsa-with-SHA256'],
      depth: ['3', '2'],
      names: [DOMAIN, DOMAIN],
      'common-name': [DOMAIN, 'Leaf'],
      key: ['rsa-2048', 'ec-256'],
      'key-usage': ['digitalSignature', 'digitalSignature'],
    })
    expect(Object.keys(cells)).not.toContain('pins')
    expect(Object.keys(cells)).not.toContain('must-staple')
  })

  test('what is served need not be known, or readable', async () => {
    const sent = await usual()
    for (const servedPem of [null, 'nothing'])
      expect(judged(sent, { servedPem }).map(line => line.served)).toEqual(judged(sent).map(() => null))
  })

  test('no profile: no limits but the roots and the family of today', async () => {
    const rsa = await build({ leaf: { keys: await newRsaKeys() } })
    const sent = await usual()
    const bare = (more: Partial<JudgeInput>) =>
      judged(sent, {
        profile: null,
        roots: rootsOf({ trustedRoots: pemOf(sent.roots) }, null),
        servedPem: rsa.leaf.pem,
        ...more,
      })
    expect(lineOf(bare({}), 'key')).toMatchObject({ verdict: 'refuse', profile: null })
    expect(worst(bare({ otherKeyAsked: true }))).toBe('ok')
    const nodes = bare({ otherKeyAsked: true, roots: rootsOf({ trustedRoots: null }, null) })
    expect(lineOf(nodes, 'path').reason).toContain("checked against Node's roots (set targets[].trustedRoots")
  })
})

describe('the clock', () => {
  const lagging = profile({ clockLagMs: 6 * 3_600_000 })
  const at = async (ageMs: number, minAgeMs = 0) => {
    const sent = await usual({ leaf: { notBefore: NOW - ageMs } }, { profile: lagging })
    return lineOf(judged(sent, { minAgeMs }), 'clock')
  }

  test('passes by itself at an instant that is said', async () => {
    expect(await at(5 * 3_600_000)).toMatchObject({
      verdict: 'refuse',
      passesAt: NOW + 3_600_000,
      remedy: 'set targets[].minAge to 6h, so that it is bound only when that old',
    })
    expect(await at(6 * 3_600_000)).toMatchObject({ verdict: 'ok', passesAt: null })
  })

  test.each([
    ['lags longer than it lasts', 900 * 86_400_000, 0],
    ['is waited for longer than it lasts', 0, 900 * 86_400_000],
  ])('that %s is refused for good', async (_, clockLagMs, minAgeMs) => {
    const sent = await usual({}, { profile: profile({ clockLagMs }) })
    expect(lineOf(judged(sent, { minAgeMs }), 'clock')).toMatchObject({ verdict: 'refuse', passesAt: null })
  })

  test('does not matter when it is bound only later', async () => {
    expect((await at(0, 6 * 3_600_000)).verdict).toBe('ok')
    expect((await at(0, 5 * 3_600_000)).verdict).toBe('refuse')
  })
})

describe('what a profile may say', () => {
  const verdictOf = async (check: string, own: Parameters<typeof profile>[0], parts = {}) =>
    lineOf(judged(await usual(parts, { profile: profile(own) })), check).verdict

  test('a pin may be of any key on the path, the root included', async () => {
    const built = await build()
    for (const one of [built.leaf, built.middle, built.root]) {
      const sent = {
        pem: built.leaf.pem + built.middle.pem,
        roots: [built.root],
        profile: profile({ pins: ['x', pinOf(one.certificate)] }),
      }
      expect(lineOf(judged(sent), 'pins')).toMatchObject({ verdict: 'ok', new: one.subject })
    }
  })

  test('a limit may be reached', async () => {
    const { middle, leaf } = await build()
    const bytes = middle.certificate.raw.length + leaf.certificate.raw.length
    // EC signatures differ by a byte or two from one certificate to the next.
    expect(await verdictOf('bytes', { maxChainBytes: bytes + 16 })).toBe('ok')
    expect(await verdictOf('bytes', { maxChainBytes: bytes - 16 })).toBe('refuse')
    expect(await verdictOf('depth', { maxChainDepth: 2 })).toBe('ok')
  })

  test.each([
    ['ECDHE-ECDSA-AES128-GCM-SHA256', null, 'ok'],
    ['ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256', null, 'ok'],
    ['ECDHE-RSA-AES128-GCM-SHA256:TLS_AES_128_GCM_SHA256', null, 'ok'],
    ['ECDHE-RSA-AES128-GCM-SHA256:TLS_AES_128_GCM_SHA256', 'TLSv1.2', 'refuse'],
    ['DHE-RSA-AES128-GCM-SHA256', 'TLSv1.2', 'refuse'],
    ['RSA-PSK-AES128-CBC-SHA', null, 'refuse'],
    ['PSK-AES128-CBC-SHA', null, 'refuse'],
  ] as const)('an EC key with %s up to %s: %s', async (ciphers, max, expected) => {
    const tls = max && { min: 'TLSv1.2' as const, max }
    expect(await verdictOf('ciphers', { ciphers, tls })).toBe(expected)
  })

  test('suites of TLS 1.2 say nothing about TLS 1.3', async () => {
    const tls = { min: 'TLSv1.2', max: 'TLSv1.3' } as const
    const own = profile({ ciphers: 'ECDHE-RSA-AES128-GCM-SHA256', tls })
    const lines = judged(await usual({}, { profile: own }))
    expect(lines.map(line => line.check)).not.toContain('ciphers')
  })

  test('must-staple is fine where the platform staples', async () => {
    const feature = extension('1.3.6.1.5.5.7.1.24', der(0x30, der(0x02, Buffer.from([5]))))
    const sent = await usual({ leaf: { extensions: [...leafExtensions(DOMAIN), feature] } })
    const stapled = lineOf(judged(sent, { stapling: true }), 'must-staple')
    expect(stapled).toMatchObject({ verdict: 'ok', new: 'yes' })
    // Nobody who only looks at the port is alarmed for it.
    expect(lineOf(judged(sent, { stapling: null }), 'must-staple').verdict).toBe('warn')
  })

  test('a chain that lasts to the last second of the leaf is not warned of', async () => {
    const notAfter = NOW + 60 * DAY_MS
    expect(await verdictOf('trusted-until', {}, { middle: { notAfter } })).toBe('ok')
    expect(await verdictOf('trusted-until', {}, { middle: { notAfter: notAfter - 1_000 } })).toBe('warn')
  })
})
