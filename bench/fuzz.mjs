import { spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { rmSync, writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { build } from 'esbuild'

/**
 * `npm run fuzz -- [--minutes 5] [--only NAME] [--seed N] [--at-once 1]`: every reader of outside bytes (test/fuzz/) on bent samples,
 * each in a process of its own for so long, one after another. What was run stands in bench/results/fuzz.md.
 */
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    only: { type: 'string' },
    seed: { type: 'string' },
    'at-once': { type: 'string', default: '1' },
  },
})
const PAGE = 'bench/results/fuzz.md'
const PROGRAM = `node_modules/.cache/fuzz-${process.pid}.mjs`
/** An input that takes longer is one that never ends. */
const HANG_MS = 60_000
const durationMs = Number(values.minutes) * 60_000

await build({
  ...{ entryPoints: ['test/fuzz/main.ts'], outfile: PROGRAM, bundle: true, packages: 'external' },
  ...{ platform: 'node', format: 'esm', logLevel: 'error' },
})

/** The last line that it printed, as JSON. */
const run = arguments_ =>
  new Promise(resolve => {
    const child = spawn(process.execPath, ['--expose-gc', PROGRAM, ...arguments_], {
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    })
    let [out, last, number] = ['', Date.now(), 0]
    child.stdout.on('data', chunk => {
      out += chunk
    })
    child.on('message', told => {
      last = Date.now()
      number = told
    })
    let hangs = false
    const watching = setInterval(() => {
      hangs = Date.now() - last > HANG_MS
      if (hangs) child.kill('SIGKILL')
    }, 1_000)
    child.on('close', (code, signal) => {
      clearInterval(watching)
      const line = out.trim().split('\n').at(-1)
      if (line && code === 0) return resolve(JSON.parse(line))
      const why = hangs
        ? `an input after number ${number} never ends`
        : `the process ended (${signal ?? code})`
      resolve({
        inputs: number,
        refused: 0,
        worstMs: 0,
        grownMiB: 0,
        peakMiB: 0,
        faults: [{ why, number, input: '' }],
      })
    })
  })

const startedAt = new Date()
const names = (await run([])).filter(name => values.only === undefined || name.includes(values.only))
const rows = []
let faulty = 0
const work = async name => {
  const seed = values.seed === undefined ? randomInt(2 ** 31) : Number(values.seed)
  console.log(`${name}: seed ${seed}, ${values.minutes} minutes`)
  const { inputs, refused, worstMs, grownMiB, peakMiB, faults } = await run([
    name,
    String(seed),
    String(durationMs),
  ])
  faulty += faults.length
  for (const { why, number, input } of faults) console.log(`  FAULT at input ${number}: ${why}\n  ${input}`)
  const share = inputs === 0 ? 0 : Math.round((100 * refused) / inputs)
  rows[names.indexOf(name)] =
    `| ${name} | ${seed} | ${inputs} | ${share} % | ${Math.round(worstMs)} ms | ${Math.round(grownMiB)} MiB | ${peakMiB} MiB | ${faults.length} |`
  console.log(`  ${rows[names.indexOf(name)]}`)
}
const left = [...names]
await Promise.all(
  Array.from({ length: Number(values['at-once']) }, async () => {
    for (let name = left.shift(); name !== undefined; name = left.shift()) await work(name)
  }),
)
const page = `# Fuzz of every reader of outside bytes

Written by \`npm run fuzz\`, begun ${startedAt.toISOString().slice(0, 16).replace('T', ' ')} UTC: ${values.minutes} minutes for each, ${values['at-once']} at once, on Node ${process.version}. A fault is an
error that is no declared one, more than one second of processor time for one input, or 64 MiB that are kept. The same
seed makes the same inputs: \`npm run fuzz -- --only NAME --seed N\`.

| reader | seed | inputs | refused | longest input | kept | peak of the process | faults |
|-|-:|-:|-:|-:|-:|-:|-:|
${rows.join('\n')}
`
rmSync(PROGRAM)
if (values.only === undefined) writeFileSync(PAGE, page)
console.log(page)
process.exit(faulty === 0 ? 0 : 1)
