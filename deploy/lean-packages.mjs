import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

const shim = name => fileURLToPath(new URL(`./shims/${name}`, import.meta.url))

/** What commander asks of Node and has no use for here; it costs as much time as commander itself. */
const OF_COMMANDER = { 'node:process': shim('process.cjs'), 'node:child_process': shim('child_process.cjs') }

const NAMESPACE = 'node-module'

/**
 * An esbuild plugin: commander without what it does not use here, and, as aws4, without `require`, whose first use
 * costs 4 ms of each start. They take Node's modules by the names of their exports, so an import does as well.
 * Of undici its client alone, 50 KB less in each zip, and of our package.json the version.
 */
export const leanPackages = {
  name: 'lean-packages',
  setup: ({ onResolve, onLoad }) => {
    onResolve({ filter: /^(node:)?[a-z_]+$/ }, ({ kind, path, importer }) => {
      const [, from] = /[\\/]node_modules[\\/](commander|aws4)[\\/]/.exec(importer) ?? []
      if (from === undefined || kind !== 'require-call') return undefined
      const shimmed = from === 'commander' ? OF_COMMANDER[path] : undefined
      return shimmed ? { path: shimmed } : { path, namespace: NAMESPACE }
    })
    onLoad({ filter: /[\\/]package\.json$/ }, async ({ path }) => {
      if (/[\\/]node_modules[\\/]/.test(path)) return undefined
      const { version } = JSON.parse(await readFile(path, 'utf8'))
      return { contents: JSON.stringify({ version }), loader: 'json' }
    })
    onResolve({ filter: /^undici$/ }, () => ({ path: shim('undici.cjs') }))
    onLoad({ filter: /./, namespace: NAMESPACE }, ({ path }) => ({
      contents: `export * from ${JSON.stringify(path)}`,
      loader: 'js',
    }))
  },
}
