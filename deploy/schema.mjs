import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { meanings } from './meanings.mjs'

/** `npm run schema`: writes settings.schema.json, and the tables of settings and drivers in docs/. */
const root = fileURLToPath(new URL('..', import.meta.url))
const folder = join(root, 'node_modules', '.cache', 'iotda-cert')
const outfile = join(folder, 'interface.mjs')
await mkdir(folder, { recursive: true })
await build({
  entryPoints: [join(root, 'deploy', 'interface.ts')],
  outfile,
  bundle: true,
  platform: 'node',
  format: 'esm',
  packages: 'external',
  plugins: [meanings],
})
const { pagesWritten, schemaText, withTables } = await import(pathToFileURL(outfile).href)
await writeFile(join(root, 'settings.schema.json'), await schemaText())
for (const path of pagesWritten) {
  const page = join(root, path)
  await writeFile(page, await withTables(path, await readFile(page, 'utf8')))
}
