import { chmod, readFile, rm, writeFile } from 'node:fs/promises'
import { build } from 'esbuild'
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
// CommonJS dependencies inside an ES module ask for `require`.
const requireBanner =
  "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);"

await rm(out, { recursive: true, force: true })
const [esm, cjs] = await Promise.all([
  build({
    ...door,
    entryPoints: { cli: 'functions/cli.ts', lambda: 'functions/lambda.ts' },
    outdir: out,
    outExtension: { '.js': '.mjs' },
    chunkNames: 'chunks/[name]-[hash]',
    format: 'esm',
    splitting: true,
    banner: { js: requireBanner },
  }),
  build({
    ...door,
    entryPoints: ['functions/functiongraph.ts'],
    outfile: `${out}/functiongraph/index.js`,
    format: 'cjs',
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
await writeFile(`${out}/meta.json`, JSON.stringify({ esm: esm.metafile, cjs: cjs.metafile }))
const cli = await readFile(`${out}/cli.mjs`, 'utf8')
await writeFile(`${out}/cli.mjs`, `#!/usr/bin/env node\n${cli}`)
await chmod(`${out}/cli.mjs`, 0o755)
