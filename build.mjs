import { readFile, rm, writeFile } from 'node:fs/promises'
import { build } from 'esbuild'

/**
 * Bundles the doors. acme-client's axios, node-forge and debug are replaced by shims: its transport is ours,
 * its legacy crypto and its log are not used.
 */
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
// CommonJS dependencies inside an ES module ask for `require`.
const requireBanner =
  "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);"

await rm('dist', { recursive: true, force: true })
const [esm, cjs] = await Promise.all([
  build({
    ...common,
    entryPoints: { cli: 'functions/cli.ts', lambda: 'functions/lambda.ts' },
    outdir: 'dist',
    outExtension: { '.js': '.mjs' },
    chunkNames: 'chunks/[name]-[hash]',
    format: 'esm',
    splitting: true,
    metafile: true,
    banner: { js: requireBanner },
  }),
  build({
    ...common,
    entryPoints: ['functions/functiongraph.ts'],
    outfile: 'dist/functiongraph/index.js',
    format: 'cjs',
    metafile: true,
  }),
  // The sandbox is for development: its packages stay where they are.
  build({
    ...common,
    entryPoints: {
      main: 'sandbox/main.ts',
      demo: 'sandbox/demo.ts',
      sandbox: 'sandbox/sandbox.ts',
      sequence: 'sandbox/sequence.ts',
    },
    outdir: 'dist/sandbox',
    outExtension: { '.js': '.mjs' },
    format: 'esm',
    splitting: true,
    packages: 'external',
    minify: false,
    alias: {},
  }),
])
await writeFile('dist/meta.json', JSON.stringify({ esm: esm.metafile, cjs: cjs.metafile }))
const cli = await readFile('dist/cli.mjs', 'utf8')
await writeFile('dist/cli.mjs', `#!/usr/bin/env node\n${cli}`, { mode: 0o755 })
