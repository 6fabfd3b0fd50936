/** A folder with a real file store, and what stands in its files. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLog } from '../../lib/base/log.ts'
import { systemClock } from '../../lib/base/time.ts'
import type { StateStore } from '../../lib/contracts.ts'
import { openAuthenticity } from '../../lib/state/authenticity.ts'
import { openRecords, type Records } from '../../lib/state/state.ts'
import file from '../../lib/stores/file.ts'
import { cleanups } from '../support/cleanups.ts'

export interface State {
  readonly store: StateStore
  /** As another process would open the same folder. */
  open(): { readonly store: StateStore; readonly records: Records }
  /** Every file but the seal key: its path below the folder, and its text. */
  files(): Promise<Readonly<Record<string, string>>>
  /** Overwrites the newest revision of a document, as a person or a broken disk would. */
  damage(key: string, body: string): Promise<void>
  /** The same by somebody who has the seal key: the body (JSON) gets a MAC. */
  damageSigned(key: string, body: string): Promise<void>
}

export async function newState(): Promise<State> {
  const folder = await mkdtemp(join(tmpdir(), 'iotda-cert-state-'))
  cleanups.push(() => rm(folder, { recursive: true, force: true }))
  const openStore = (): StateStore =>
    file.create(
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
  const files = async (): Promise<Record<string, string>> => {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true })
    const found = entries
      .filter(e => e.isFile() && e.name !== 'seal.key')
      .map(e => join(e.parentPath, e.name))
    return Object.fromEntries(
      await Promise.all(
        found.toSorted().map(async path => [path.slice(folder.length + 1), await readFile(path, 'utf8')]),
      ),
    )
  }
  const sealKeyOf = (store: StateStore) => async () => {
    const key = await store.ownSealKey()
    if (!key) throw new Error('the file store keeps a seal key')
    return key
  }
  const damage: State['damage'] = async (key, body) => {
    const newest = Object.keys(await files()).findLast(name => name.startsWith(`${key}.`))
    if (newest === undefined) throw new Error(`there is no ${key}`)
    await writeFile(join(folder, newest), body)
  }
  return {
    store: openStore(),
    open: () => {
      const store = openStore()
      return { store, records: openRecords(store, sealKeyOf(store)) }
    },
    files,
    damage,
    damageSigned: async (key, body) => {
      const store = openStore()
      const vouching = { sealKey: sealKeyOf(store), previousSealKey: null, documents: () => [] }
      await damage(key, await openAuthenticity(store, vouching).sign(key, JSON.parse(body), 99))
    },
  }
}
