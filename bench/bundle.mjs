import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { inflateRawSync } from 'node:zlib'

/**
 * `node bench/bundle.mjs` (after `npm run package`): what is deployed and what it costs. Sizes are exact; times
 * are ratios to other programs of the same run, taken in turns, since they say something on any machine.
 */

const DIST = resolve(process.env.OUTDIR || 'dist')
const RESULTS = fileURLToPath(new URL('./results/bundle.md', import.meta.url))
const ROUNDS = Number(process.env.ROUNDS || 15)
const KB = bytes => `${(bytes / 1024).toFixed(1)} KB`

const load = file => import(pathToFileURL(join(DIST, 'sandbox', file)).href)
const { fillSlots, startSandbox } = await load('sandbox.mjs')
const { createS3 } = await load('s3.mjs')

const folder = await mkdtemp(join(tmpdir(), 'iotda-cert-bench-'))
const sandbox = await startSandbox()
const keys = new Map([['AKIAEXAMPLE', { secretAccessKey: 'secret' }]])
const bucket = await createS3({ faults: sandbox.faults, keys, bucket: 'state' })
try {
  await fillSlots(sandbox)
  await unzip(join(DIST, 'iotda-cert-lambda.zip'), join(folder, 'lambda'))
  const programs = await prepare()
  const rotation = await measure(programs.lambda, 'peak')
  // Afterwards the CA's renewal info is known. The command line keeps its own state, and adopts what is bound.
  await measure(programs.lambda, 'time')
  await measure(programs.file, 'time')
  const idle = await measure(programs.lambda, 'coverage')
  const idleFile = await measure(programs.file, 'coverage')
  const page = await text({ rotation, idle, idleFile, times: await times(programs) })
  await mkdir(dirname(RESULTS), { recursive: true })
  await writeFile(RESULTS, page)
  process.stdout.write(page)
} finally {
  await sandbox.dispose()
  await bucket.dispose()
  await rm(folder, { recursive: true, force: true })
}

async function unzip(file, into) {
  const zip = await readFile(file)
  const end = zip.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'))
  let at = zip.readUInt32LE(end + 16)
  for (let left = zip.readUInt16LE(end + 10); left > 0; left -= 1) {
    const nameLength = zip.readUInt16LE(at + 28)
    const name = zip.toString('utf8', at + 46, at + 46 + nameLength)
    const local = zip.readUInt32LE(at + 42)
    const start = local + 30 + zip.readUInt16LE(local + 26)
    await mkdir(dirname(join(into, name)), { recursive: true })
    await writeFile(join(into, name), inflateRawSync(zip.subarray(start, start + zip.readUInt32LE(at + 20))))
    at += 46 + nameLength
  }
}

// --- programs ------------------------------------------------------------------------------------------------

/** Each is arguments for Node, with its environment. */
async function prepare() {
  const place = { type: 's3', bucket: 'state', endpoint: bucket.url, region: 'eu-central-1' }
  const store = { ...place, accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'secret' }
  const onS3 = join(folder, 's3.json')
  const onFile = join(folder, 'file.json')
  const sealKey = Buffer.alloc(32, 7).toString('base64')
  await writeFile(
    onS3,
    JSON.stringify(sandbox.settings(it => Object.assign(it, { store: { ...store, sealKey } }))),
  )
  await writeFile(onFile, JSON.stringify(sandbox.settings()))
  const drive = join(folder, 'drive.mjs')
  await writeFile(
    drive,
    `const { handler } = await import(${JSON.stringify(pathToFileURL(join(folder, 'lambda', 'lambda.mjs')).href)})
const context = { awsRequestId: 'bench', getRemainingTimeInMillis: () => 900_000 }
const { results } = await handler({ source: 'aws.events' }, context)
process.stdout.write(results[0].outcome + ' ' + process.resourceUsage().maxRSS)`,
  )
  const empty = join(folder, 'empty.mjs')
  await writeFile(empty, "process.stdout.write('empty 0')")
  return {
    empty: { args: [empty], env: {} },
    lambda: { args: [drive], env: { IOTDA_CERT_CONFIG: onS3 } },
    file: { args: [join(DIST, 'cli.mjs'), 'rotate', '--json'], env: { IOTDA_CERT_CONFIG: onFile } },
    network,
  }
}

/**
 * An empty program that asks the same services as often, those side by side that came side by side, and makes one
 * TLS handshake: what no program that does this work can save.
 */
async function network(name, calls) {
  const file = join(folder, `network-${name}.mjs`)
  const { host, port } = sandbox.device
  const urls = { iotda: `${sandbox.iotda.url}/_sandbox/faults`, s3: `${bucket.url}/state/none` }
  const rounds = []
  for (const service of calls.map(({ operation }) => operation.split('.')[0]).filter(it => it in urls)) {
    const last = rounds.at(-1)
    if (last?.url === urls[service]) last.times += 1
    else rounds.push({ url: urls[service], times: 1 })
  }
  await writeFile(
    file,
    `import { Agent, get } from 'node:http'
import { connect } from 'node:tls'
const agent = new Agent({ keepAlive: true })
const ask = url => new Promise((resolve, reject) => get(url, { agent }, answer => answer.resume().on('end', resolve)).on('error', reject))
const settings = { host: ${JSON.stringify(host)}, port: ${port}, servername: ${JSON.stringify(sandbox.domain)}, rejectUnauthorized: false }
const shake = () => new Promise((resolve, reject) => { const socket = connect(settings, () => socket.end(resolve)).on('error', reject) })
const handshake = shake()
for (const { url, times } of ${JSON.stringify(rounds)}) await Promise.all(Array.from({ length: times }, () => ask(url)))
await handshake
agent.destroy()
process.stdout.write('network 0')`,
  )
  return { args: [file], env: {} }
}

/** Runs a program once; what it said, how long it took, and with `coverage` which files it loaded. */
async function measure({ args, env }, what) {
  const coverage = join(folder, 'coverage')
  await rm(coverage, { recursive: true, force: true })
  const before = sandbox.faults.calls.length
  const startedAt = performance.now()
  const { code, stdout, stderr } = await new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, {
      env: { ...process.env, ...env, ...(what === 'coverage' ? { NODE_V8_COVERAGE: coverage } : {}) },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const out = []
    child.stdout.on('data', chunk => out.push(chunk))
    const err = []
    child.stderr.on('data', chunk => err.push(chunk))
    child.once('error', reject)
    child.once('close', code =>
      resolve({ code, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() }),
    )
  })
  const durationMs = performance.now() - startedAt
  if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${stdout}${stderr}`)
  const calls = sandbox.faults.calls.slice(before)
  // Before it come metrics and log of the function, a line each.
  const last = stdout.trimEnd().split('\n').at(-1)
  const [outcome, maxRssKb] = /^\w+ \d+$/.test(last)
    ? last.split(' ')
    : [JSON.parse(stdout).results[0].outcome]
  return {
    outcome,
    maxRssKb: Number(maxRssKb),
    durationMs,
    calls,
    loaded: what === 'coverage' ? await loadedFrom(coverage) : [],
  }
}

async function loadedFrom(coverage) {
  const urls = new Set()
  for (const name of await readdir(coverage))
    for (const { url } of JSON.parse(await readFile(join(coverage, name), 'utf8')).result)
      if (url.startsWith('file:')) urls.add(url)
  const files = [...urls].map(url => fileURLToPath(url)).filter(file => basename(file) !== 'drive.mjs')
  const sizes = await Promise.all(files.map(async file => ({ file, bytes: (await stat(file)).size })))
  return sizes.sort((a, b) => b.bytes - a.bytes)
}

/** Medians in milliseconds, the programs taking turns. */
async function times({ empty, lambda, file, network: withTrips }) {
  const idle = await measure(lambda, 'time')
  const idleFile = await measure(file, 'time')
  for (const { outcome } of [idle, idleFile])
    if (outcome !== 'idle') throw new Error(`not idle but ${outcome}`)
  const kinds = {
    empty,
    's3 network': await withTrips('s3', idle.calls),
    s3: lambda,
    'file network': await withTrips('file', idleFile.calls),
    file,
  }
  const taken = Object.fromEntries(Object.keys(kinds).map(kind => [kind, []]))
  for (let round = 0; round < ROUNDS; round += 1)
    for (const [kind, program] of Object.entries(kinds))
      taken[kind].push((await measure(program, 'time')).durationMs)
  return Object.fromEntries(
    Object.entries(taken).map(([kind, all]) => [kind, all.sort((a, b) => a - b)[ROUNDS >> 1]]),
  )
}

// --- the page ------------------------------------------------------------------------------------------------

async function text({ rotation, idle, idleFile, times: t }) {
  const ratio = (a, b) => (t[a] / t[b]).toFixed(2)
  const zips = await Promise.all(
    ['lambda', 'functiongraph'].map(async name => {
      const file = join(DIST, `iotda-cert-${name}.zip`)
      return `| \`${basename(file)}\` | ${KB((await stat(file)).size)} |`
    }),
  )
  const { esm } = JSON.parse(await readFile(join(DIST, 'meta.json'), 'utf8'))
  const sum = loaded => loaded.reduce((total, { bytes }) => total + bytes, 0)
  return `# The bundle

Measured by \`node bench/bundle.mjs\` on Node ${process.versions.node} (after \`npm run package\`), against the sandbox.

## What is deployed

| file | size |
|-|--:|
${zips.join('\n')}

Their source maps are in \`*.maps.zip\` beside them. What is in the Lambda zip, minified, before packing:

| package | size |
|-|--:|
${packages(esm).join('\n')}

## Code that an idle check loads

As V8 lists it (\`NODE_V8_COVERAGE\`); the same files are there whether or not a run uses them.

| | code | files |
|-|--:|--:|
| Lambda, S3 store | ${KB(sum(idle.loaded))} | ${idle.loaded.length} |
| command line, file store | ${KB(sum(idleFile.loaded))} | ${idleFile.loaded.length} |

The largest in Lambda: ${idle.loaded
    .slice(0, 4)
    .map(({ file, bytes }) => `\`${basename(file)}\` ${KB(bytes)}`)
    .join(', ')}.

## From process start to the result of an idle check

Medians of ${ROUNDS} runs in turns. "Network" is an empty program that sends as many requests to the same services with
\`node:http\`, those side by side that came side by side, and makes one TLS handshake.

| | to an empty Node program | to an empty Node program plus the network |
|-|--:|--:|
| Lambda handler, S3 store | ${ratio('s3', 'empty')} | ${ratio('s3', 's3 network')} |
| command line, file store | ${ratio('file', 'empty')} | ${ratio('file', 'file network')} |

## Memory

A whole rotation in the Lambda handler (new account, EC key, order, upload, proof) peaks at ${Math.round(rotation.maxRssKb / 1024)} MB
resident; an idle check at ${Math.round(idle.maxRssKb / 1024)} MB.
`
}

function packages({ outputs }) {
  const sizes = {}
  for (const [file, { inputs }] of Object.entries(outputs)) {
    if (!file.endsWith('.mjs') || file.endsWith('cli.mjs')) continue
    for (const [input, { bytesInOutput }] of Object.entries(inputs)) {
      const [, scoped] = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(input) ?? []
      const name = scoped ?? 'iotda-cert'
      if (name !== 'commander') sizes[name] = (sizes[name] ?? 0) + bytesInOutput
    }
  }
  const sorted = Object.entries(sizes).sort((a, b) => b[1] - a[1])
  const rest = sorted.slice(14).reduce((total, [, bytes]) => total + bytes, 0)
  return [...sorted.slice(0, 14), ['the rest', rest]].map(([name, bytes]) => `| ${name} | ${KB(bytes)} |`)
}
