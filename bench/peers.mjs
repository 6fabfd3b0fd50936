import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants } from 'node:fs'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request as ask, createServer } from 'node:https'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'

/**
 * `node bench/peers.mjs [--runs 5] [--write]` (after `node build.mjs`): one certificate by DNS-01 with a new account,
 * by each ACME client that is on the PATH, from the same Pebble (no sleeps, 5 % of the nonces rejected): time, CPU and
 * memory of its whole process, and its requests, counted by a proxy before Pebble.
 * Ours rotates besides: it looks, uploads to the sandbox's IoTDA, binds, and proves it on the device port.
 */
const option = (name, otherwise) => {
  const at = process.argv.indexOf(`--${name}`)
  return at < 0 ? otherwise : process.argv[at + 1]
}
const RUNS = Number(option('runs', 5))
const ROOT = fileURLToPath(new URL('..', import.meta.url))
const RESULTS = fileURLToPath(new URL('./results/peers.md', import.meta.url))
const NAME = 'iot.example.com'

/** What the tests start Pebble with. */
async function support() {
  const outfile = join(ROOT, 'node_modules/.cache/peers-world.mjs')
  const contents = `export { startPebble } from './test/support/pebble.ts'
export { serveHttpreq } from './test/support/httpreq-challtestsrv.ts'
export { fillSlots, startSandbox } from './sandbox/sandbox.ts'
export { createRoot, issueLeaf } from './sandbox/kit/pki.ts'`
  await build({
    ...{ stdin: { contents, resolveDir: ROOT }, bundle: true, platform: 'node', format: 'esm' },
    ...{ packages: 'external', outfile, logLevel: 'warning' },
  })
  return import(pathToFileURL(outfile).href)
}

/** Counts what goes to Pebble. */
async function countingProxy(directoryUrl, caPem) {
  const target = new URL(directoryUrl)
  const root = await createRoot()
  const { chainPem, keyPem } = await issueLeaf({ names: ['localhost', '127.0.0.1'], issuer: root })
  let count = 0
  const server = createServer({ cert: chainPem, key: keyPem }, (request, response) => {
    count += 1
    const options = { method: request.method, headers: request.headers, ca: caPem, servername: 'localhost' }
    const forwarded = ask(new URL(request.url, target), options, answer => {
      response.writeHead(answer.statusCode, answer.headers)
      answer.pipe(response)
    })
    forwarded.on('error', () => response.destroy())
    request.pipe(forwarded)
  })
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  const url = `https://127.0.0.1:${server.address().port}${target.pathname}`
  const counted = () => {
    const seen = count
    count = 0
    return seen
  }
  return { url, caPem: root.certPem, counted, close: () => server.close() }
}

/** Tells what a command and its children used. */
const METER = `import json,resource,subprocess,sys,time
t=time.monotonic()
c=subprocess.run(sys.argv[1:],stdout=subprocess.PIPE,stderr=subprocess.STDOUT)
s=time.monotonic()-t
r=resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({"code":c.returncode,"seconds":s,"cpu":r.ru_utime+r.ru_stime,"mb":r.ru_maxrss/1024,"out":c.stdout.decode()[-2000:]}))`

async function metered(args, env) {
  const child = spawn('python3', ['-c', METER, ...args], {
    env: { PATH: process.env.PATH, HOME: env.HOME, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let out = ''
  child.stdout.on('data', chunk => {
    out += chunk
  })
  await once(child, 'close')
  const used = JSON.parse(out)
  if (used.code !== 0) throw new Error(`${args[0]} ended with ${used.code}: ${used.out}`)
  return used
}

const found = name =>
  process.env.PATH.split(delimiter)
    .map(folder => join(folder, name))
    .find(path => {
      try {
        accessSync(path, constants.X_OK)
        return true
      } catch {
        return false
      }
    }) ?? null

const { startPebble, serveHttpreq, startSandbox, fillSlots, createRoot, issueLeaf } = await support()
const pebble = await startPebble({ nonceRejectPercent: 5, authzReusePercent: 0 })
const httpreq = await serveHttpreq(pebble.challtestsrv)
const proxy = await countingProxy(pebble.directoryUrl, pebble.caPem)
const base = await mkdtemp(join(tmpdir(), 'iotda-cert-peers-'))
const caFile = join(base, 'ca.pem')
await writeFile(caFile, proxy.caPem)

const script = async (folder, name, text) => {
  const path = join(folder, name)
  await writeFile(path, text)
  await chmod(path, 0o700)
  return path
}
const setTxt = (host, value) =>
  `curl -s -d "{\\"host\\":\\"_acme-challenge.${host}.\\",\\"value\\":\\"${value}\\"}" ${pebble.challtestsrv.url}/set-txt`

const PEERS = {
  certbot: async folder => {
    const auth = await script(
      folder,
      'auth',
      `#!/bin/sh\n${setTxt('$CERTBOT_DOMAIN', '$CERTBOT_VALIDATION')}\n`,
    )
    const folders = ['config', 'work', 'logs'].flatMap(it => [`--${it}-dir`, join(folder, it)])
    return [
      [
        ...[found('certbot'), 'certonly', '--server', proxy.url, '--non-interactive', ...folders, '--manual'],
        ...['--preferred-challenges', 'dns', '--manual-auth-hook', auth, '--agree-tos', '--no-eff-email'],
        ...['-m', 'ops@example.com', '-d', NAME],
      ],
    ]
  },
  uacme: async folder => {
    const begin = setTxt('$3', '$5')
    const hook = await script(
      folder,
      'hook',
      `#!/bin/sh\n[ "$2" = dns-01 ] || exit 1\n[ "$1" = begin ] && ${begin}\nexit 0\n`,
    )
    // It takes the system's roots alone: its own view of that file is the proxy's root.
    const trusting = 'mount --bind "$0" /etc/ssl/certs/ca-certificates.crt && exec "$@"'
    const inside = ['unshare', '--mount', 'sh', '-c', trusting, caFile]
    const common = [...inside, found('uacme'), '-c', join(folder, 'conf'), '-a', proxy.url, '-y']
    return [
      [...common, 'new', 'ops@example.com'],
      [...common, '-h', hook, 'issue', NAME],
    ]
  },
  lego: async folder => [
    [
      ...[
        found('lego'),
        '--server',
        proxy.url,
        '--path',
        folder,
        '--email',
        'ops@example.com',
        '--accept-tos',
      ],
      ...['--dns', 'httpreq', '--dns.disable-cp', '--dns.resolvers', pebble.challtestsrv.dnsServer],
      ...['--domains', NAME, 'run'],
    ],
  ],
  "acme-client's auto()": async folder => {
    const program = await script(
      folder,
      'auto.mjs',
      `import acme from ${JSON.stringify(pathToFileURL(join(ROOT, 'node_modules/acme-client/src/index.js')).href)}
const post = (what, host, value) => fetch('${pebble.challtestsrv.url}/' + what, { method: 'POST', body: JSON.stringify({ host, value }) })
const client = new acme.Client({ directoryUrl: '${proxy.url}', accountKey: await acme.crypto.createPrivateEcdsaKey() })
const [, csr] = await acme.crypto.createCsr({ altNames: ['${NAME}'] })
const pem = await client.auto({
  csr, email: 'ops@example.com', termsOfServiceAgreed: true, challengePriority: ['dns-01'], skipChallengeVerification: true,
  challengeCreateFn: ({ identifier }, challenge, value) => post('set-txt', '_acme-challenge.' + identifier.value + '.', value),
  challengeRemoveFn: ({ identifier }) => post('clear-txt', '_acme-challenge.' + identifier.value + '.'),
})
if (!pem.includes('BEGIN CERTIFICATE')) process.exit(1)
`,
    )
    return [[process.execPath, program]]
  },
  'iotda-cert, the whole rotation': async folder => {
    const sandbox = await startSandbox({})
    closing.push(sandbox.dispose)
    await fillSlots(sandbox)
    const roots = await pebble.roots()
    const settings = sandbox.settings(it => {
      it.sources = {
        pebble: {
          ...{ type: 'acme', directory: proxy.url, termsOfServiceAgreed: true, solver: 'dns' },
          caCertificates: proxy.caPem,
        },
      }
      it.certificates.iot.source = 'pebble'
      it.solvers.dns = {
        ...{ type: 'webhook', url: httpreq.url },
        propagation: { nameservers: [pebble.challtestsrv.dnsServer], every: '100ms' },
      }
      it.targets[0].trustedRoots = `${sandbox.ca.rootPem}${roots[0]}`
    })
    const file = join(folder, 'settings.json')
    await writeFile(file, JSON.stringify(settings))
    return [[process.execPath, join(ROOT, 'dist/cli.mjs'), 'rotate', '--config', file, '--json']]
  },
}
/** How each is told to trust the proxy, and where lego's httpreq is. */
const TRUST = {
  ...{ REQUESTS_CA_BUNDLE: caFile, LEGO_CA_CERTIFICATES: caFile, NODE_EXTRA_CA_CERTS: caFile },
  HTTPREQ_ENDPOINT: httpreq.url,
}
const PROGRAMS = { certbot: 'certbot', uacme: 'uacme', lego: 'lego' }
const closing = []
const median = all => all.toSorted((a, b) => a - b)[Math.floor(all.length / 2)]

const rows = []
try {
  for (const [name, make] of Object.entries(PEERS)) {
    const program = PROGRAMS[name]
    if (program && !found(program)) {
      console.log(`${name}: not on the PATH`)
      continue
    }
    const runs = []
    for (let i = 0; i < RUNS; i += 1) {
      const folder = await mkdtemp(join(base, 'run-'))
      const used = []
      proxy.counted()
      try {
        for (const args of await make(folder)) used.push(await metered(args, { HOME: folder, ...TRUST }))
        const sum = key => used.reduce((total, one) => total + one[key], 0)
        const mb = Math.max(...used.map(it => it.mb))
        runs.push({ seconds: sum('seconds'), cpu: sum('cpu'), mb, requests: proxy.counted() })
      } catch (error) {
        console.log(`${name}: ${error.message.slice(0, 200)}`)
      }
      for (const close of closing.splice(0)) await close()
    }
    if (runs.length === 0) continue
    const of = key => median(runs.map(it => it[key]))
    const row = {
      name,
      done: runs.length,
      seconds: of('seconds'),
      cpu: of('cpu'),
      mb: of('mb'),
      requests: of('requests'),
    }
    rows.push(row)
    console.log(JSON.stringify(row), JSON.stringify(runs.map(it => it.seconds.toFixed(2))))
  }
} finally {
  proxy.close()
  await httpreq.dispose()
  await pebble.dispose()
  await rm(base, { recursive: true, force: true })
}
if (process.argv.includes('--write')) {
  const lines = rows.map(
    ({ name, done, seconds, cpu, mb, requests }) =>
      `| ${name}${done < RUNS ? ` (${done} of ${RUNS} runs ended well)` : ''} | ${seconds.toFixed(2)} s | ${cpu.toFixed(2)} s | ${Math.round(mb)} MB | ${requests} |`,
  )
  await writeFile(
    RESULTS,
    `# Beside other ACME clients

\`node bench/peers.mjs --write\`: one name by DNS-01 with a new account, from the same Pebble (no sleeps, 5 % of the nonces rejected), over plain HTTP; the median of ${RUNS} runs, each in a process of its own. Of the others the certificate alone; ours looks at everything first, places the order, uploads, binds, and proves it by three handshakes on the device port. A second of ours is the Retry-After that Pebble names for the order, which the others do not wait for.

| | time | CPU | peak memory | ACME requests |
|-|-|-|-|-|
${lines.join('\n')}
`,
  )
}
process.exit(0)
