import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join, posix } from 'node:path'
import { lackedBy } from './optional-packages.mjs'
import { thirdParty } from './third-party.mjs'
import { zip } from './zip.mjs'

/**
 * `npm run package`: what is deployed, as zips in dist/ (or OUTDIR), with their source maps in zips beside them.
 * Only what a handler can reach is in its zip, with the licences of what that is made of.
 */
const out = process.env.OUTDIR || 'dist'
const meta = JSON.parse(await readFile(join(out, 'meta.json'), 'utf8'))

/** The maps are elsewhere than what would point to them. */
const withoutMap = (file, bytes) =>
  file.endsWith('.map') ? bytes : bytes.toString('utf8').replace(/\n\/\/# sourceMappingURL=\S+\s*$/, '\n')

/** Files of the build by their paths below `folder`. */
const read = async (files, folder) => {
  const entries = files.map(async file => {
    const path = join(process.cwd(), file)
    return [posix.relative(folder, file), withoutMap(file, await readFile(path))]
  })
  return Object.fromEntries(await Promise.all(entries))
}

/** An output and every output it imports, now or later. */
function reach(outputs, entry, found = new Set()) {
  if (found.has(entry)) return found
  found.add(entry)
  for (const { path, external } of outputs[entry].imports) if (!external) reach(outputs, path, found)
  return found
}

const outputOf = (outputs, entryPoint) =>
  Object.keys(outputs).find(file => outputs[file].entryPoint?.endsWith(entryPoint))

for (const [name, { outputs }, entryPoints] of [
  ['lambda', meta.esm, ['functions/lambda.ts', 'functions/watch.ts']],
  ['functiongraph', meta.cjs, ['functions/functiongraph.ts']],
  ['functiongraph-watch', meta.watch, ['functions/watch.ts']],
]) {
  const entries = entryPoints.map(it => outputOf(outputs, it)).filter(it => it !== undefined)
  const folder = posix.dirname(entries[0])
  const files = [...new Set(entries.flatMap(entry => [...reach(outputs, entry)]))]
  await mkdir(out, { recursive: true })
  const inputs = files.flatMap(file => Object.keys(outputs[file].inputs))
  const archive = zip({ ...(await read(files, folder)), 'THIRD-PARTY.txt': await thirdParty(inputs) })
  await writeFile(join(out, `iotda-cert-${name}.zip`), archive)
  // A deployment cannot look into a zip.
  const lacks = lackedBy(Object.assign({}, ...files.map(file => outputs[file].inputs)))
  await writeFile(join(out, `iotda-cert-${name}.lacks.json`), JSON.stringify(lacks))
  const maps = files.map(file => `${file}.map`)
  await writeFile(join(out, `iotda-cert-${name}.maps.zip`), zip(await read(maps, folder)))
  console.log(`${out}/iotda-cert-${name}.zip  ${files.length} files, ${Math.ceil(archive.length / 1000)} KB`)
}

/** The command line is a package of npm: its licences stand beside it. */
const cli = [...reach(meta.esm.outputs, outputOf(meta.esm.outputs, 'functions/cli.ts'))]
const inputs = cli.flatMap(file => Object.keys(meta.esm.outputs[file].inputs))
await writeFile(join(out, 'THIRD-PARTY.txt'), await thirdParty(inputs))
