/** Every chain by every stack in a real handshake, beside what the judge says of it: bench/results/stacks.md. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { toProfile } from '../../lib/config/profiles.ts'
import { isAcceptable, judge } from '../../lib/devices/judge.ts'
import { rootsOf } from '../../lib/devices/roots.ts'
import { ROOT } from '../support/modules.ts'
import { ran } from '../support/strangers.ts'
import { stackCases } from './stacks/cases.ts'
import { type Client, STACKS, verdicts } from './stacks/clients.ts'
import { KNOWN } from './stacks/known.ts'
import { type Made, make } from './stacks/plan.ts'
import { pageOf, type Row } from './stacks/report.ts'

const SEED = 16
const PAIRS = 150

type Ours = { readonly verdict: Row['ours']; readonly reason: string }

/** As it is judged when a port sends it: preflight of an upload takes no more than that. */
function ours(made: Made, preset: string | null, at: number): Ours {
  const profile = preset === null ? null : toProfile(preset)
  const lines = judge({
    chainPem: made.chainPem,
    asSent: true,
    profile,
    roots: rootsOf({ trustedRoots: made.rootsPem }, profile),
    domain: made.host,
    servedPem: null,
    otherKeyAsked: true,
    minAgeMs: 0,
    stapling: true,
    at,
  })
  const bad =
    lines.find(({ verdict }) => verdict === 'refuse') ?? lines.find(({ verdict }) => verdict === 'warn')
  const verdict = isAcceptable(lines) ? (bad ? 'warns' : 'accepts') : 'refuses'
  return { verdict, reason: bad?.reason ?? '' }
}

const clients: Client[] = []
const rows: Row[] = []

beforeAll(async () => {
  for (const { open } of STACKS) clients.push(await open())
  const now = Date.now()
  for (const one of stackCases(SEED, PAIRS)) {
    const made = make(one.plan, now)
    const said = await verdicts(made, clients)
    for (const { name, preset } of STACKS) {
      const theirs = said.get(name) ?? null
      const { verdict, reason } = ours(made, preset, now)
      const version = clients.find(client => client.name === name)?.version ?? ''
      const stack = { name, version, preset }
      const known = KNOWN.find(
        it => it.stack.test(name) && it.name.test(one.name) && it.kind === kindOf(verdict, theirs),
      )
      rows.push({
        stack,
        name: one.name,
        kind: one.kind,
        theirs,
        ours: verdict,
        reason,
        known: known?.reason ?? null,
      })
    }
  }
}, 540_000)

afterAll(() => {
  for (const client of clients) client.stop()
})

const kindOf = (verdict: Row['ours'], theirs: string | null): string => {
  if (verdict === 'refuses') return theirs === null ? 'stricter' : 'agreed'
  return theirs === null ? 'agreed' : verdict === 'warns' ? 'warned' : 'silent'
}
const differing = (kind: string) =>
  rows
    .filter(row => kindOf(row.ours, row.theirs) === kind && row.known === null)
    .map(({ stack, name, theirs, reason }) => `${stack.name}: ${name}: ${theirs ?? 'taken'}; ${reason}`)

describe('the judge and the stacks', () => {
  test('never does the judge accept silently what a stack of the preset refuses', () => {
    expect(differing('silent')).toEqual([])
  })

  test('where it accepts with a warning what a stack refuses, the reason is written down', () => {
    expect(differing('warned')).toEqual([])
  })

  test('where it is stricter, the reason is written down', () => {
    expect(differing('stricter')).toEqual([])
  })

  test('the usual chain is taken by everybody', () => {
    const usual = rows.filter(({ name }) => name === 'as usual')
    expect(usual.map(({ theirs, ours: verdict }) => [theirs, verdict])).toEqual(
      STACKS.map(() => [null, 'accepts']),
    )
  })

  test('is published', async () => {
    for (const { name, version } of clients) await ran(name, version, 'judged every chain of the matrix')
    const page = pageOf(rows)
    expect(page).toContain('| openssl | OpenSSL')
    await writeFile(join(ROOT, 'bench/results/stacks.md'), page)
  })
})
