import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { createS3 } from '../dist/sandbox/s3.mjs'

/**
 * `node bench/fleet.mjs [--targets 100,1000,10000] [--concurrency 16] [--latency 100] [--rate 0] [--s3] [--write]` (after
 * `node build.mjs`): idle runs of the built command over so many targets, each IoTDA answer late by the latency.
 * Wall time, CPU and peak memory of the command alone; the world is another process. `--rate`: the world refuses more
 * calls a second (429). `--s3`: state in S3 of the sandbox, whose requests are counted. `--write`: bench/results/fleet.md.
 */
const option = (name, otherwise) => {
  const at = process.argv.indexOf(`--${name}`)
  return at < 0 ? otherwise : process.argv[at + 1]
}
const COUNTS = option('targets', '100,1000').split(',').map(Number)
const CONCURRENCY = option('concurrency', null)
const LATENCY_MS = Number(option('latency', 100))
const RATE = Number(option('rate', 0))
const IN_S3 = process.argv.includes('--s3')
const CLI = fileURLToPath(new URL('../dist/cli.mjs', import.meta.url))
const WORLD = fileURLToPath(new URL('./fleet-world.mjs', import.meta.url))
const RESULTS = fileURLToPath(new URL('./results/fleet.md', import.meta.url))

/** Tells at its end what it used. */
const METER = `process.on('exit', () => { const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage();
  require('node:fs').writeSync(2, '\\nUSED ' + JSON.stringify({ maxRSS, cpu: userCPUTime + systemCPUTime })) })`

async function openWorld(count) {
  const child = spawn(process.execPath, [WORLD, String(count), String(LATENCY_MS), String(RATE)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = await once(createInterface({ input: child.stdout }), 'line')
  return { ...JSON.parse(line), stop: () => child.kill() }
}

const settingsOf = ({ url, devicePort }, count, store) => ({
  version: 1,
  targets: Array.from({ length: count }, (_, i) => ({
    name: `t${i}`,
    domain: `t${i}.fleet.example.com`,
    credentials: 'cn',
    instance: {
      region: 'cn-north-4',
      projectId: '0123456789abcdef0123456789abcdef',
      instanceId: `${String(i).padStart(8, '0')}-0000-0000-0000-000000000000`,
      endpoint: url,
    },
    certificate: 'fleet',
    trustedRoots: 'file:root.pem',
    probe: { port: devicePort, addresses: ['127.0.0.1'] },
  })),
  certificates: { fleet: { names: ['*.fleet.example.com'], keyType: 'ec-256', source: 'ca', ari: false } },
  sources: {
    ca: {
      type: 'acme',
      directory: 'http://127.0.0.1:9/directory',
      email: 'ops@example.com',
      termsOfServiceAgreed: true,
      solver: 'dns',
    },
  },
  solvers: { dns: { type: 'webhook', url: 'http://127.0.0.1:9' } },
  credentials: { cn: { type: 'huaweicloud', accessKey: 'AKFLEET', secretKey: 'sk-fleet' } },
  store: store ?? { type: 'file', path: './state' },
  ...(CONCURRENCY === null ? {} : { schedule: { concurrency: Number(CONCURRENCY) } }),
})

async function runOnce(folder) {
  const started = performance.now()
  const child = spawn(
    process.execPath,
    [
      ...(process.env.PROF ? ['--cpu-prof', '--cpu-prof-dir', process.env.PROF] : []),
      '--require',
      join(folder, 'meter.cjs'),
      CLI,
      'rotate',
      '--config',
      join(folder, 'settings.json'),
      '--json',
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let [out, err] = ['', '']
  child.stdout.on('data', chunk => {
    out += chunk
  })
  child.stderr.on('data', chunk => {
    err += chunk
  })
  const [code] = await once(child, 'close')
  if (out === '') throw new Error(err.slice(0, 2_000))
  const seconds = (performance.now() - started) / 1_000
  const used = JSON.parse(err.slice(err.lastIndexOf('USED ') + 5) || '{}')
  const answer = JSON.parse(out)
  if (answer.error) throw new Error(JSON.stringify(answer.error))
  const outcomes = {}
  for (const { outcome } of answer.results) outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
  if (answer.counted) outcomes.idle = (outcomes.idle ?? 0) + answer.counted.idle
  return {
    code,
    seconds,
    cpu: used.cpu / 1e6,
    mb: used.maxRSS / 1_024,
    outcomes,
    bytes: out.length,
  }
}

/** S3 in this process; `counts` gives what was asked since the last time. */
async function openS3() {
  let all = {}
  const arrive = call => {
    all[call.operation] = (all[call.operation] ?? 0) + 1
    return { logged: { ...call, status: null }, fault: null }
  }
  const keys = new Map([['AKFLEET', { secretAccessKey: 'sk-fleet', sessionToken: null }]])
  const service = await createS3({ faults: { arrive }, keys, bucket: 'fleet', region: 'eu-central-1' })
  const counts = () => {
    const seen = all
    all = {}
    return seen
  }
  const settings = {
    ...{ type: 's3', bucket: 'fleet', region: 'eu-central-1', endpoint: service.url },
    ...{
      accessKeyId: 'AKFLEET',
      secretAccessKey: 'sk-fleet',
      sealKey: Buffer.alloc(32, 7).toString('base64'),
    },
  }
  return { settings, counts, dispose: service.dispose }
}

const callsOf = async ({ url }) => (await fetch(`${url}/calls`)).json()

const rows = []
for (const count of COUNTS) {
  const folder = await mkdtemp(join(tmpdir(), 'iotda-cert-fleet-'))
  const world = await openWorld(count)
  const s3 = IN_S3 ? await openS3() : null
  try {
    await mkdir(join(folder, 'state'))
    await writeFile(join(folder, 'settings.json'), JSON.stringify(settingsOf(world, count, s3?.settings)))
    await writeFile(join(folder, 'root.pem'), world.rootPem)
    await writeFile(join(folder, 'meter.cjs'), METER)
    // What is bound is adopted first.
    const first = await runOnce(folder)
    s3?.counts()
    const { refused: before } = await callsOf(world)
    const idle = await runOnce(folder)
    const { refused } = await callsOf(world)
    const row = { count, ...idle, refused: refused - before, s3: s3?.counts() ?? null }
    console.log(JSON.stringify({ first: first.outcomes, ...row }))
    rows.push(row)
  } finally {
    world.stop()
    await s3?.dispose()
    await rm(folder, { recursive: true, force: true })
  }
}
if (process.argv.includes('--write')) {
  const lines = rows.map(
    ({ count, seconds, cpu, mb, refused }) =>
      `| ${count} | ${seconds.toFixed(1)} s | ${cpu.toFixed(1)} s | ${Math.round(mb)} MB | ${((cpu / count) * 1_000).toFixed(1)} ms |${RATE > 0 ? ` ${refused} of ${count * 2} |` : ''}`,
  )
  const command = `node bench/fleet.mjs ${process.argv.slice(2).join(' ')}`
  const limit = RATE > 0 ? `; more than ${RATE} calls a second are refused (429, Retry-After: 1)` : ''
  const heads = `| targets | time | CPU | peak memory | CPU for each |${RATE > 0 ? ' refused |' : ''}`
  const table = `## \`${command}\`\n\nState in ${IN_S3 ? 'S3' : 'files'}, ${LATENCY_MS} ms for each answer of IoTDA, ${CONCURRENCY ?? 'by default 16'} targets at once${limit}. Every target was idle.\n\n${heads}\n${heads.replaceAll(/[^|]+/g, '-')}\n${lines.join('\n')}\n`
  await appendFile(RESULTS, `\n${table}`)
}
