import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'

/**
 * `node bench/preflight.mjs`: what it takes to judge 10 chains for 20 profiles that hold roots of their own, the first
 * time (nothing remembered, code not warm) and again. Chains differ in length and in keys.
 */
const PROFILES = 20
const CHAINS = 10
const ROUNDS = 20
const ROOT = fileURLToPath(new URL('..', import.meta.url))
const RESULTS = join(ROOT, 'bench/results/preflight.md')

const entry = `
export { judge } from './lib/devices/judge.ts'
export { rootsOf } from './lib/devices/roots.ts'
export { toProfile } from './lib/config/profiles.ts'
export { PRESETS } from './lib/devices/presets.ts'
export { caSpec, make, usualPlan } from './test/strangers/stacks/plan.ts'
`
const folder = await mkdtemp(join(ROOT, 'node_modules/.cache/preflight-'))
try {
  const outfile = join(folder, 'judge.mjs')
  await build({
    stdin: { contents: entry, resolveDir: ROOT, loader: 'ts' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    outfile,
  })
  const page = text(times(await import(pathToFileURL(outfile).href)))
  await writeFile(RESULTS, page)
  process.stdout.write(page)
} finally {
  await rm(folder, { recursive: true, force: true })
}

function times({ judge, rootsOf, toProfile, PRESETS, caSpec, make, usualPlan }) {
  const now = Date.now()
  const chains = Array.from({ length: CHAINS }, (_, i) => {
    const plan = usualPlan()
    plan.middles = Array.from({ length: 1 + (i % 3) }, (_, n) => caSpec(`CA ${i} ${n}`))
    plan.root = caSpec(`Root ${i}`)
    const all = [plan.leaf, ...plan.middles, plan.root]
    if (i % 2 === 1) for (const spec of all) spec.keyType = 'rsa-2048'
    return make(plan, now)
  })
  const presets = Object.keys(PRESETS)
  const profiles = Array.from({ length: PROFILES }, (_, i) => ({
    ...toProfile({ name: `p${i}`, preset: presets[i % presets.length] }),
    trustedRoots: chains.map(({ rootsPem }) => rootsPem).join(''),
  }))
  const once = () => {
    const startedAt = process.hrtime.bigint()
    let lines = 0
    for (const { chainPem, host } of chains)
      for (const profile of profiles)
        lines += judge({
          chainPem,
          profile,
          roots: rootsOf({ trustedRoots: null }, profile),
          domain: host,
          servedPem: null,
          otherKeyAsked: true,
          minAgeMs: 0,
          stapling: true,
          at: now,
        }).filter(({ verdict }) => verdict === 'refuse').length
    if (lines > 0) throw new Error('a usual chain is refused')
    return Number(process.hrtime.bigint() - startedAt) / 1e6
  }
  const first = once()
  const later = Array.from({ length: ROUNDS }, once).toSorted((a, b) => a - b)
  return { first, median: later[ROUNDS / 2] }
}

function text({ first, median }) {
  const ms = value => `${value.toFixed(0)} ms`
  return `# Time of preflight

Written by \`node bench/preflight.mjs\` (Node ${process.versions.node}): ${CHAINS} chains of 2 to 4 certificates, ${PROFILES} profiles of every preset, each with ${CHAINS} roots; ${PROFILES * CHAINS} judgements.

| | all ${PROFILES * CHAINS} |
|-|--:|
| the first time in a process | ${ms(first)} |
| again (median of ${ROUNDS}) | ${ms(median)} |
`
}
