/** Netflix' BetterTLS: chains in every order and constraints of every kind, with what a client should make of them. */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { beforeAll, expect, test } from 'vitest'
import { toProfile } from '../../lib/config/profiles.ts'
import { isAcceptable, judge } from '../../lib/devices/judge.ts'
import { rootsOf } from '../../lib/devices/roots.ts'
import { ROOT } from '../support/modules.ts'
import { goProgram, ran } from '../support/strangers.ts'
import { pemOf } from './stacks/make.ts'

const VERSION = 'v0.0.0-20250909192348-e1e99e353074'

interface Given {
  readonly id: number
  readonly certificates: readonly string[]
  readonly hostname: string
  readonly requiredFeatures: readonly string[]
  readonly expected: 'ACCEPT' | 'REJECT'
  /** Either is right; what is expected is better. */
  readonly failureIsWarning: boolean
}
interface Exported {
  readonly trustRoot: string
  readonly suites: Readonly<Record<string, { readonly testCases: readonly Given[] }>>
}
interface Outcome {
  readonly suite: string
  readonly id: number
  readonly kind: string
  /** `stack`: the path is found, but not by OpenSSL, which the preset follows. */
  readonly result: 'agreed' | 'dangerous' | 'costly' | 'stack'
  readonly reason: string
}

const outcomes: Outcome[] = []

/** It builds its path of certificates in any order, which is what half of the suite is about. */
const profile = toProfile('openssl')

function outcomeOf(suite: string, rootsPem: string, given: Given): Outcome {
  const lines = judge({
    chainPem: given.certificates.map(raw => pemOf(Buffer.from(raw, 'base64'))).join(''),
    asSent: true,
    profile,
    roots: rootsOf({ trustedRoots: rootsPem }, profile),
    domain: given.hostname,
    servedPem: null,
    otherKeyAsked: true,
    minAgeMs: 0,
    stapling: true,
    at: Date.now(),
  })
  const isTaken = isAcceptable(lines)
  const isSame = given.failureIsWarning || isTaken === (given.expected === 'ACCEPT')
  const isFound = isAcceptable(lines.filter(({ check }) => check !== 'stack'))
  const refused = isFound ? 'stack' : 'costly'
  return {
    suite,
    id: given.id,
    kind: given.requiredFeatures.join(', ') || 'plain',
    result: isSame ? 'agreed' : isTaken ? 'dangerous' : refused,
    reason: lines.find(({ verdict }) => verdict === 'refuse')?.reason ?? '',
  }
}

beforeAll(async () => {
  const program = await goProgram(
    'bettertls',
    `github.com/Netflix/bettertls/test-suites/cmd/bettertls@${VERSION}`,
  )
  const folder = await mkdtemp(join(tmpdir(), 'bettertls-'))
  const file = join(folder, 'cases.json')
  await promisify(execFile)(program, ['export-tests', '--out', file], { maxBuffer: 2 ** 26 })
  const exported = JSON.parse(await readFile(file, 'utf8')) as Exported
  await rm(folder, { recursive: true })
  const rootsPem = pemOf(Buffer.from(exported.trustRoot, 'base64'))
  for (const [suite, { testCases }] of Object.entries(exported.suites))
    for (const given of testCases) {
      // Devices connect by name: an address is nobody's domain.
      if (/^[\d.]+$/.test(given.hostname)) continue
      outcomes.push(outcomeOf(suite, rootsPem, given))
    }
  await ran('BetterTLS', VERSION, `${outcomes.length} chains judged`)
  if (process.env.BETTERTLS_DUMP) await writeFile(process.env.BETTERTLS_DUMP, JSON.stringify(outcomes))
}, 540_000)

const of = (result: Outcome['result'], suite?: string) =>
  outcomes.filter(it => it.result === result && (suite === undefined || it.suite === suite))

test('accepts nothing that BetterTLS wants refused', () => {
  expect(outcomes.length).toBeGreaterThan(5_000)
  expect(of('dangerous').map(({ suite, id }) => `${suite} ${id}`)).toEqual([])
})

test('finds the path in nearly any order', () => {
  expect(of('costly', 'pathbuilding').length).toBeLessThanOrEqual(10)
})

test('refuses beyond that only where OpenSSL goes astray', () => {
  for (const { suite, reason } of of('stack')) {
    expect(suite).toBe('pathbuilding')
    expect(reason).toMatch(/does not come back|leads to nothing that is held/)
  }
})

test('keeps constraints of names, addresses and subjects', () => {
  expect(of('costly', 'nameconstraints')).toEqual([])
})

test('is published', async () => {
  const classes = [...new Set(outcomes.map(({ suite, kind }) => `${suite} | ${kind}`))]
  const rows = classes.map(name => {
    const own = outcomes.filter(({ suite, kind }) => `${suite} | ${kind}` === name)
    const count = (result: Outcome['result']) => own.filter(it => it.result === result).length
    return `| ${name} | ${own.length} | ${count('agreed')} | ${count('dangerous')} | ${count('costly')} | ${count('stack')} |`
  })
  const page = `# BetterTLS

Written by \`npm run test:strangers\`: Netflix' BetterTLS ${VERSION}, every chain for a host by name (a device's domain is no address), judged as what a port sends. Dangerous: accepted where a client must refuse; costly: refused where a client may accept. By the stack: the path is found here, but OpenSSL 3.0, which the preset follows, does not find it (\`openssl verify\` refuses each of them): it takes the first that fits and does not come back.

| suite | what it takes | chains | agreed | dangerous | costly | by the stack |
|-|-|--:|--:|--:|--:|--:|
${rows.toSorted().join('\n')}
`
  expect(page).toContain('| pathbuilding |')
  await writeFile(join(ROOT, 'bench/results/bettertls.md'), page)
})
