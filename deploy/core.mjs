import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { build } from 'esbuild'

/**
 * esbuild puts what the same set of entries reaches into one chunk, and everything that is loaded later is an
 * entry: the code that every run needs came apart into thirty files, each of which costs as much time as its
 * parsing. So each part that is loaded later is made to reach all of it, which it finds loaded; then it is one file.
 * What `now` names is loaded later in the sources, but by nearly every run: it becomes part of that file, as does
 * what `doors` share.
 */
export async function oneCore(options, { core, now, doors }) {
  const at = new Set(now.map(file => resolve(file)))
  const { metafile } = await build({
    ...options,
    plugins: [...(options.plugins ?? []), { name: 'at-once', setup: atOnce(at, new Map()) }],
    ...{ write: false, metafile: true, logLevel: 'silent' },
  })
  const later = new Set(
    Object.values(metafile.inputs)
      .flatMap(({ imports }) => imports)
      .filter(({ kind, external, path }) => kind === 'dynamic-import' && !external && path.endsWith('.ts'))
      .map(({ path }) => resolve(path)),
  )
  const also = new Map([...later].map(part => [part, [resolve(core)]]))
  also.set(
    resolve(core),
    doors.map(door => resolve(door)),
  )
  return { name: 'one-core', setup: atOnce(at, also) }
}

const exportsOf = source =>
  [...source.matchAll(/^export (?:async )?(?:function |const |class )?(default|\w+)/gm)]
    .map(([, name]) => name)
    .filter(name => !['interface', 'type'].includes(name))

const LATER = /\bimport\('(\.[^']+\.ts)'\)(?!\.)/g

/** Additions come at the end, so that the source map stays right. */
const atOnce =
  (now, also) =>
  ({ onLoad }) =>
    onLoad({ filter: /[\\/](lib|functions)[\\/].*\.ts$/ }, async ({ path }) => {
      const source = await readFile(path, 'utf8')
      const found = [...source.matchAll(LATER)].map(([, file]) => file)
      const wanted = new Map()
      for (const file of found.filter(it => now.has(resolve(dirname(path), it))))
        wanted.set(file, exportsOf(await readFile(resolve(dirname(path), file), 'utf8')))
      const nameOf = file => `atOnce${[...wanted.keys()].indexOf(file)}`
      const contents = source.replace(LATER, (whole, file) => {
        // Not the namespace itself, for which esbuild would need a function of its own, in a file of its own.
        const members = wanted.get(file)?.map(name => `${name}: ${nameOf(file)}.${name}`)
        return members ? `Promise.resolve({ ${members.join(', ')} })` : whole
      })
      const imports = [...wanted.keys()].map(
        file => `import * as ${nameOf(file)} from ${JSON.stringify(file)}`,
      )
      imports.push(...(also.get(path) ?? []).map(file => `import ${JSON.stringify(file)}`))
      return { contents: [contents, ...imports, ''].join('\n'), loader: 'ts' }
    })
