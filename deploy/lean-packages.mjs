import { fileURLToPath } from 'node:url'

const shim = name => fileURLToPath(new URL(`./shims/${name}`, import.meta.url))

/** What commander asks of Node and has no use for here; it costs as much time as commander itself. */
const OF_COMMANDER = { 'node:process': shim('process.cjs'), 'node:child_process': shim('child_process.cjs') }

/** An esbuild plugin: commander without what it does not use here. */
export const leanCommander = {
  name: 'lean-commander',
  setup: ({ onResolve }) =>
    onResolve({ filter: /^node:(process|child_process)$/ }, ({ path, importer }) =>
      /[\\/]commander[\\/]lib[\\/]/.test(importer) ? { path: OF_COMMANDER[path] } : undefined,
    ),
}
