import { chmod, readFile, rm, writeFile } from 'node:fs/promises'
import { build } from 'esbuild'
import { coreFirst } from './deploy/core-first.mjs'
import { leanPackages } from './deploy/lean-packages.mjs'
import { leftOut } from './deploy/optional-packages.mjs'

/**
 * Bundles the doors into dist/, or the folder that OUTDIR names. acme-client's axios, node-forge and debug are
 * replaced by shims: its transport is ours, its legacy crypto and its log are not used. Node's own streams are as good
 * as the copy that mqtt-packet brings. Packages that only some drivers need are taken in where the settings want them
 * and nobody else provides them (deploy/optional-packages.mjs).
 */
const out = process.env.OUTDIR || 'dist'
const external = await leftOut(process.env).catch(({ message }) => {
  console.error(`error  ${message}`)
  process.exit(2)
})
const shims = {
  axios: './lib/acme/shims/axios.ts',
  'node-forge': './lib/acme/shims/node-forge.ts',
  debug: './lib/acme/shims/debug.cjs',
  'readable-stream': 'node:stream',
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
  plugins: [leanPackages],
  metafile: true,
}
/** CommonJS dependencies inside an ES module ask for `require`; who does not pays nothing for it. */
const requireBanner =
  "import { createRequire } from 'node:module'; const require = id => createRequire(import.meta.url)(id);"

const modules = {
  ...door,
  entryPoints: { cli: 'functions/cli.ts', lambda: 'functions/lambda.ts', watch: 'functions/watch.ts' },
  outdir: out,
  external: external.lambda,
  outExtension: { '.js': '.mjs' },
  chunkNames: 'chunks/[name]-[hash]',
  format: 'esm',
  splitting: true,
  banner: { js: requireBanner },
}
/** What nearly every run needs, and what the doors share. */
const CORE = ['lib/app/run.ts', 'functions/event.ts', 'functions/output.ts', 'functions/remaining.ts']

await rm(out, { recursive: true, force: true })
const [esm, cjs, watch] = await Promise.all([
  build({ ...modules, plugins: [...door.plugins, coreFirst(CORE)] }),
  build({
    ...door,
    entryPoints: ['functions/functiongraph.ts'],
    outfile: `${out}/functiongraph/index.js`,
    external: external.functiongraph,
    format: 'cjs',
  }),
  build({
    ...door,
    entryPoints: ['functions/watch.ts'],
    outfile: `${out}/functiongraph-watch/index.js`,
    external: external.watch,
    format: 'cjs',
  }),
  // What deployment itself runs.
  build({
    ...door,
    entryPoints: {
      permissions: 'lib/app/deployment.ts',
      functiongraph: 'deploy/huawei/functiongraph.ts',
      aws: 'deploy/aws/deploy.ts',
    },
    outdir: `${out}/deploy`,
    external: ['@aws-sdk/*', 'nodemailer'],
    outExtension: { '.js': '.mjs' },
    chunkNames: 'chunks/[name]-[hash]',
    format: 'esm',
    splitting: true,
    banner: { js: requireBanner },
  }),
  // The sandbox is for development: its packages stay where they are.
  build({
    ...common,
    entryPoints: {
      main: 'sandbox/main.ts',
      demo: 'sandbox/demo/demo.ts',
      sandbox: 'sandbox/sandbox.ts',
      sequence: 'sandbox/sequence.ts',
      s3: 'sandbox/stores/s3.ts',
      pki: 'sandbox/kit/pki.ts',
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
await writeFile(
  `${out}/meta.json`,
  JSON.stringify({ esm: esm.metafile, cjs: cjs.metafile, watch: watch.metafile }),
)
const cli = await readFile(`${out}/cli.mjs`, 'utf8')
await writeFile(`${out}/cli.mjs`, `#!/usr/bin/env node\n${cli}`)
await chmod(`${out}/cli.mjs`, 0o755)
