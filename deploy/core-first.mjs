import { resolve } from 'node:path'

const NAMESPACE = 'core-first'

/**
 * An esbuild plugin: every entry point, and every source of ours that is loaded later, imports `core` before itself.
 * esbuild puts what the same entries reach into one chunk: so all that `core` reaches becomes one file, instead of
 * thirty, each of which costs as much time as its parsing.
 */
export const coreFirst = core => ({
  name: 'core-first',
  setup: ({ onLoad, onResolve }) => {
    onResolve({ filter: /\.ts$/ }, ({ kind, path, resolveDir }) =>
      kind === 'entry-point' || kind === 'dynamic-import'
        ? { path: resolve(resolveDir, path), namespace: NAMESPACE }
        : undefined,
    )
    onLoad({ filter: /./, namespace: NAMESPACE }, ({ path }) => ({
      contents: [
        ...core.map(file => `import ${JSON.stringify(resolve(file))}`),
        `export * from ${JSON.stringify(path)}`,
        // Of TypeScript esbuild takes no offence at a default that is not there.
        `export { default } from ${JSON.stringify(path)}`,
      ].join('\n'),
      loader: 'ts',
      resolveDir: process.cwd(),
    }))
  },
})
