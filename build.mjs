import { chmod, readFile, rm, writeFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { build } from 'esbuild'
import { leanCommander } from './deploy/commander.mjs'
import { oneCore } from './deploy/core.mjs'
import { leftOut } from './deploy/sdk.mjs'

/**
 * Bundles the doors into dist/, or the folder that OUTDIR names. acme-client's axios, node-forge and debug are
 * replaced by shims: its transport is ours, its legacy crypto and its log are not used. Packages of AWS's SDK are taken
 * in where the settings want them and nobody else provides them (deploy/sdk.mjs).
 */
const out = process.env.OUTDIR || 'dist'
const { onLambda, elsewhere } = await leftOut(process.env).catch(({ message }) => {
  console.error(`error  ${message}`)
  process.exit(2)
})
const shims = {
  axios: './lib/acme/shims/axios.ts',
  'node-forge': './lib/acme/shims/node-forge.ts',
  debug: './lib/acme/shims/debug.cjs',
}
const common = {
  bundle: true,
  platform: 'node',
  target: 'node20',
  minify: true,
  keepNames: false,
  sourcemap: 'linked',
  sourcesContent: false,
  legalComments: 'none',
  alias: shims,
  logLevel: 'warning',
}
const door = {
  ...common,
  plugins: [leanCommander],
  metafile: true,
}
/** CommonJS dependencies inside an ES module ask for `require`; chunks without any do not pay for it. */
const requireBanner =
  "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);"

/** esbuild asks for its own functions for them where none is used, too. Empty lines and spaces keep source maps right. */
async function dropUnused(file, helpers) {
  const [banner, ...lines] = (await readFile(file, 'utf8')).split('\n')
  const code = lines
    .join('\n')
    .replace(/\bimport"\.[^"]*";/g, found =>
      helpers.some(it => found.includes(it)) ? ' '.repeat(found.length) : found,
    )
  // Not the word in a text, as in "require-url".
  const isUnused = banner === requireBanner && !/\brequire\b(?!["'`-])/.test(code)
  await writeFile(file, [isUnused ? '' : banner, code].join('\n'))
}

const modules = {
  ...door,
  entryPoints: { cli: 'functions/cli.ts', lambda: 'functions/lambda.ts', watch: 'functions/watch.ts' },
  outdir: out,
  external: onLambda,
  outExtension: { '.js': '.mjs' },
  chunkNames: 'chunks/[name]-[hash]',
  format: 'esm',
  splitting: true,
  banner: { js: requireBanner },
}
/** Loaded by nearly every run, whatever the settings choose. */
const now = [
  ...['lib/stores/file.ts', 'lib/stores/s3.ts', 'lib/sources/acme.ts', 'lib/solvers/huaweicloud.ts'],
  ...['lib/solvers/webhook.ts', 'lib/alerts/telling.ts', 'lib/devices/calendar.ts'],
]
const core = await oneCore(modules, {
  core: 'lib/app/run.ts',
  now,
  doors: ['functions/event.ts', 'functions/output.ts', 'functions/remaining.ts', 'lib/base/visible.ts'],
})

await rm(out, { recursive: true, force: true })
const [esm, cjs, watch] = await Promise.all([
  build({ ...modules, plugins: [...door.plugins, core] }),
  build({
    ...door,
    entryPoints: ['functions/functiongraph.ts'],
    outfile: `${out}/functiongraph/index.js`,
    external: elsewhere,
    format: 'cjs',
  }),
  build({
    ...door,
    entryPoints: ['functions/watch.ts'],
    outfile: `${out}/functiongraph-watch/index.js`,
    external: ['@aws-sdk/*'],
    format: 'cjs',
  }),
  // What deployment itself runs.
  build({
    ...door,
    entryPoints: {
      permissions: 'lib/app/deployment.ts',
      functiongraph: 'deploy/huawei/functiongraph.ts',
    },
    outdir: `${out}/deploy`,
    external: ['@aws-sdk/*'],
    outExtension: { '.js': '.mjs' },
    format: 'esm',
    banner: { js: requireBanner },
  }),
  // The sandbox is for development: its packages stay where they are.
  build({
    ...common,
    entryPoints: {
      main: 'sandbox/main.ts',
      demo: 'sandbox/demo.ts',
      sandbox: 'sandbox/sandbox.ts',
      sequence: 'sandbox/sequence.ts',
      s3: 'sandbox/stores/s3.ts',
    },
    outdir: `${out}/sandbox`,
    outExtension: { '.js': '.mjs' },
    format: 'esm',
    splitting: true,
    packages: 'external',
    minify: false,
    alias: {},
  }),
])
const scripts = Object.keys(esm.metafile.outputs).filter(file => file.endsWith('.mjs'))
const helpers = scripts
  .filter(file => Object.keys(esm.metafile.outputs[file].inputs).length === 0)
  .map(file => basename(file))
await Promise.all(scripts.map(file => dropUnused(file, helpers)))
await writeFile(
  `${out}/meta.json`,
  JSON.stringify({ esm: esm.metafile, cjs: cjs.metafile, watch: watch.metafile }),
)
const cli = await readFile(`${out}/cli.mjs`, 'utf8')
await writeFile(`${out}/cli.mjs`, `#!/usr/bin/env node\n${cli}`)
await chmod(`${out}/cli.mjs`, 0o755)
