import { chmod, readFile, rm, writeFile } from 'node:fs/promises'
import { build } from 'esbuild'
import { oneCore } from './deploy/core.mjs'
import { leanUndici } from './deploy/lean.mjs'

/**
 * Bundles the doors into dist/, or the folder that OUTDIR names. acme-client's axios, node-forge and debug are
 * replaced by shims: its transport is ours, its legacy crypto and its log are not used. BUNDLE_AWS_SDK=1 takes the
 * optional packages of AWS in, for a solver `route53` where nobody else provides them, as Lambda does.
 */
const out = process.env.OUTDIR || 'dist'
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
  // aws4fetch takes the global Headers, which loads all of Node's fetch.
  inject: ['lib/aws/shims/headers.ts'],
  plugins: [leanUndici],
  external: process.env.BUNDLE_AWS_SDK === '1' ? [] : ['@aws-sdk/*'],
  metafile: true,
}
/** CommonJS dependencies inside an ES module ask for `require`; chunks without any do not pay for it. */
const requireBanner =
  "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);"

async function dropUnusedBanner(file) {
  const text = await readFile(file, 'utf8')
  const [banner, ...code] = text.split('\n')
  // The empty line keeps the source map right.
  if (banner === requireBanner && !/\brequire\b/.test(code.join('\n')))
    await writeFile(file, ['', ...code].join('\n'))
}

const modules = {
  ...door,
  entryPoints: { cli: 'functions/cli.ts', lambda: 'functions/lambda.ts', watch: 'functions/watch.ts' },
  outdir: out,
  outExtension: { '.js': '.mjs' },
  chunkNames: 'chunks/[name]-[hash]',
  format: 'esm',
  splitting: true,
  banner: { js: requireBanner },
}
const core = await oneCore(modules, 'lib/app.ts')

await rm(out, { recursive: true, force: true })
const [esm, cjs, watch] = await Promise.all([
  build({ ...modules, plugins: [leanUndici, core] }),
  build({
    ...door,
    entryPoints: ['functions/functiongraph.ts'],
    outfile: `${out}/functiongraph/index.js`,
    format: 'cjs',
  }),
  build({
    ...door,
    entryPoints: ['functions/watch.ts'],
    outfile: `${out}/functiongraph-watch/index.js`,
    format: 'cjs',
  }),
  // What deployment itself runs.
  build({
    ...door,
    entryPoints: {
      permissions: 'lib/permissions/deploy.ts',
      functiongraph: 'deploy/huawei/functiongraph.ts',
    },
    outdir: `${out}/deploy`,
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
await Promise.all(scripts.map(dropUnusedBanner))
await writeFile(
  `${out}/meta.json`,
  JSON.stringify({ esm: esm.metafile, cjs: cjs.metafile, watch: watch.metafile }),
)
const cli = await readFile(`${out}/cli.mjs`, 'utf8')
await writeFile(`${out}/cli.mjs`, `#!/usr/bin/env node\n${cli}`)
await chmod(`${out}/cli.mjs`, 0o755)
