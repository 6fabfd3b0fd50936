import { execFileSync, spawn } from 'node:child_process'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

/**
 * `node bench/compare.mjs OTHER [ROUNDS]` (after `npm run package` in both): an idle check by another build, in its
 * dist folder OTHER, and by this one, in turns. Ratios of one run say something on any machine.
 */

const OTHER = process.argv[2]
if (!OTHER) {
  console.error('usage: node bench/compare.mjs OTHER_DIST [ROUNDS]')
  process.exit(2)
}
const ROUNDS = Number(process.argv[3] || 40)
const BUILDS = { before: resolve(OTHER), now: resolve(process.env.OUTDIR || 'dist') }
const RESULTS = fileURLToPath(new URL('./results/compare.md', import.meta.url))

const load = file => import(pathToFileURL(join(BUILDS.now, 'sandbox', file)).href)
const { fillSlots, startSandbox } = await load('sandbox.mjs')
const { createS3 } = await load('s3.mjs')

const folder = await mkdtemp(join(tmpdir(), 'iotda-cert-compare-'))
const sandbox = await startSandbox()
const keys = new Map([['AKIAEXAMPLE', { secretAccessKey: 'secret' }]])
const bucket = await createS3({ faults: sandbox.faults, keys, bucket: 'state' })
try {
  await fillSlots(sandbox)
  const programs = Object.fromEntries(
    await Promise.all(Object.keys(BUILDS).map(async name => [name, await doorsOf(name)])),
  )
  const page = await text(await times(programs))
  await writeFile(RESULTS, page)
  process.stdout.write(page)
} finally {
  await sandbox.dispose()
  await bucket.dispose()
  await rm(folder, { recursive: true, force: true })
}

/** The two doors of a build; each keeps its state, S3's is shared. */
async function doorsOf(name) {
  const access = { endpoint: bucket.url, accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'secret' }
  const store = { type: 's3', bucket: 'state', region: 'eu-central-1', ...access }
  const sealKey = Buffer.alloc(32, 7).toString('base64')
  const onS3 = join(folder, 's3.json')
  const onFile = join(folder, `file-${name}.json`)
  await writeFile(
    onS3,
    JSON.stringify(sandbox.settings(it => Object.assign(it, { store: { ...store, sealKey } }))),
  )
  const state = { type: 'file', path: join(folder, `state-${name}`) }
  await writeFile(onFile, JSON.stringify(sandbox.settings(it => Object.assign(it, { store: state }))))
  const lambda = join(folder, `lambda-${name}`)
  execFileSync('unzip', ['-qo', join(BUILDS[name], 'iotda-cert-lambda.zip'), '-d', lambda])
  const drive = join(folder, `drive-${name}.mjs`)
  await writeFile(
    drive,
    `const { handler } = await import(${JSON.stringify(pathToFileURL(join(lambda, 'lambda.mjs')).href)})
await handler({ source: 'aws.events' }, { awsRequestId: 'bench', getRemainingTimeInMillis: () => 900_000 })
process.exit()`,
  )
  const usage = join(folder, 'usage.cjs')
  await writeFile(
    usage,
    `process.on('exit', () => {
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage()
  require('node:fs').writeSync(2, '\\n' + JSON.stringify([(userCPUTime + systemCPUTime) / 1000, maxRSS / 1024]))
})`,
  )
  return {
    'Lambda handler, S3 store': { args: ['-r', usage, drive], config: onS3 },
    'command line, file store': {
      args: ['-r', usage, join(BUILDS[name], 'cli.mjs'), 'rotate', '--json'],
      config: onFile,
    },
  }
}

/** Milliseconds from the start of the process, of its CPU, and MB resident at the peak. */
function measure({ args, config }) {
  return new Promise((settle, reject) => {
    const started = performance.now()
    const env = { ...process.env, IOTDA_CERT_CONFIG: config }
    const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'ignore', 'pipe'] })
    let said = ''
    child.stderr.on('data', chunk => {
      said += chunk
    })
    child.once('close', code => {
      if (code !== 0) return reject(new Error(said))
      const [cpuMs, peakMb] = JSON.parse(said.split('\n').at(-1))
      settle({ wallMs: performance.now() - started, cpuMs, peakMb })
    })
  })
}

async function times(programs) {
  const runs = Object.keys(programs.now).flatMap(door =>
    Object.keys(BUILDS).map(name => ({ door, name, program: programs[name][door], taken: [] })),
  )
  // The first ones rotate, and learn what the CA says of renewal.
  for (const { program } of [...runs, ...runs]) await measure(program)
  for (let round = 0; round < ROUNDS; round += 1)
    for (const run of round % 2 ? runs : runs.toReversed()) run.taken.push(await measure(run.program))
  return runs
}

function medianOf(numbers) {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1]
}

async function text(runs) {
  const of = (door, name, what) =>
    medianOf(runs.find(it => it.door === door && it.name === name).taken.map(it => it[what]))
  const ratio = (door, what) => (of(door, 'now', what) / of(door, 'before', what)).toFixed(2)
  const doors = [...new Set(runs.map(it => it.door))]
  const rows = doors.map(
    door => `| ${door} | ${ratio(door, 'wallMs')} | ${ratio(door, 'cpuMs')} | ${ratio(door, 'peakMb')} |`,
  )
  const zips = ['lambda', 'functiongraph', 'functiongraph-watch'].map(name => `iotda-cert-${name}.zip`)
  const sizes = zips.map(async zip => {
    const [before, now] = await Promise.all(Object.values(BUILDS).map(dist => stat(join(dist, zip))))
    return `| \`${zip}\` | ${Math.ceil(before.size / 1000)} KB | ${Math.ceil(now.size / 1000)} KB |`
  })
  return `# An idle check by two builds

Measured by \`node bench/compare.mjs OTHER_DIST\` on Node ${process.versions.node}: this build beside the one before, in turns,
${ROUNDS} runs each. Medians, as ratios to the build before.

| | from process start to its end | CPU | memory at the peak |
|-|--:|--:|--:|
${rows.join('\n')}

| zip | before | now |
|-|--:|--:|
${(await Promise.all(sizes)).join('\n')}
`
}
