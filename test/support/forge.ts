/** Documents of a file store as somebody else would write them. */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { silentLog } from '../../lib/base/log.ts'
import { systemClock } from '../../lib/base/time.ts'
import { openAuthenticity } from '../../lib/state/authenticity.ts'
import file from '../../lib/stores/file.ts'

// biome-ignore lint/suspicious/noExplicitAny: documents to be changed at will.
type Change = (document: any) => void

/** The newest file of a document, e.g. of the only target: `targets/`. */
async function newestOf(
  folder: string,
  prefix: string,
): Promise<{ readonly path: string; readonly key: string }> {
  const place = join(folder, ...prefix.split('/').slice(0, -1))
  const start = prefix.split('/').at(-1) ?? ''
  const names = (await readdir(place)).filter(name => name.startsWith(start) && name.endsWith('.json'))
  const name = names.at(-1) ?? ''
  const key = `${prefix.slice(0, prefix.length - start.length)}${name.replace(/\.\d+\.json$/, '')}`
  return { path: join(place, name), key }
}

/** Changes a document: `signed` by somebody who has the seal key, else the MAC is left away. */
export async function forge(
  folder: string,
  prefix: string,
  change: Change,
  { signed }: { readonly signed: boolean },
): Promise<void> {
  const { path, key } = await newestOf(folder, prefix)
  const { mac: _, revision, ...document } = JSON.parse(await readFile(path, 'utf8'))
  change(document)
  if (!signed) return writeFile(path, `${JSON.stringify(document, null, 1)}\n`)
  const store = file.create(
    { path: folder },
    {
      name: 'store',
      http: () => {
        throw new Error('no HTTP here')
      },
      clock: systemClock,
      log: silentLog,
      huaweiKeys: () => Promise.reject(new Error('no keys here')),
    },
  )
  const sealKey = async () => (await store.ownSealKey()) ?? Promise.reject(new Error('no seal key'))
  const authenticity = openAuthenticity(store, { sealKey, previousSealKey: null, documents: () => [] })
  return writeFile(path, await authenticity.sign(key, document, revision + 1))
}
