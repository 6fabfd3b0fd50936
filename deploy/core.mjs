import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { build } from 'esbuild'

/**
 * esbuild puts what the same set of entries reaches into one chunk, and everything that is loaded later is an
 * entry: the code that every run needs came apart into thirty files, each of which costs as much time as its
 * parsing. So each part that is loaded later is made to reach all of it, which it finds loaded; then it is one file.
 */
export async function oneCore(options, core) {
  const { metafile } = await build({ ...options, write: false, metafile: true, logLevel: 'silent' })
  const later = new Set(
    Object.values(metafile.inputs)
      .flatMap(({ imports }) => imports)
      .filter(({ kind, external, path }) => kind === 'dynamic-import' && !external && path.endsWith('.ts'))
      .map(({ path }) => resolve(path)),
  )
  return {
    name: 'one-core',
    setup: ({ onLoad }) =>
      onLoad({ filter: /\.ts$/ }, async ({ path }) => {
        if (!later.has(path)) return undefined
        const source = await readFile(path, 'utf8')
        // At the end, so that the source map stays right.
        return { contents: `${source}\nimport ${JSON.stringify(resolve(core))}\n`, loader: 'ts' }
      }),
  }
}
