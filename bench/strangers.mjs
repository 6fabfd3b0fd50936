import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

/**
 * `npm run test:strangers`: the tests that drive other people's software (test/strangers/), and which versions they
 * ran, in bench/results/strangers.md.
 */
const LIST = 'node_modules/.cache/strangers/ran.jsonl'
const PAGE = 'bench/results/strangers.md'

mkdirSync(dirname(LIST), { recursive: true })
rmSync(LIST, { force: true })
const startedAt = Date.now()
const arguments_ = ['vitest', 'run', '--project', 'strangers', '--maxWorkers=2', ...process.argv.slice(2)]
const { status } = spawnSync('npx', arguments_, { stdio: 'inherit' })
if (status !== 0) process.exit(status ?? 1)
const minutes = ((Date.now() - startedAt) / 60_000).toFixed(1)

const rows = readFileSync(LIST, 'utf8')
  .trim()
  .split('\n')
  .map(line => JSON.parse(line))
  .map(({ name, version, what }) => `| ${name} | ${version} | ${what} |`)
const page = `# Other people's software that was run

Written by \`npm run test:strangers\`, which took ${minutes} minutes (fetching and building included, where that was needed).

| software | version | what it did |
|-|-|-|
${[...new Set(rows)].sort().join('\n')}
`
// Only a whole run says everything.
if (process.argv.length === 2) writeFileSync(PAGE, page)
console.log(page)
