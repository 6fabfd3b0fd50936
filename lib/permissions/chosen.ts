import type { GenericSchema } from 'valibot'
import type { Driver, RawEntry, StoreDriver } from '../contracts.ts'
import { notifiers } from '../notifiers/index.ts'
import { solvers } from '../solvers/index.ts'
import { sources } from '../sources/index.ts'
import { stores } from '../stores/index.ts'
import { asRaw, entriesOf } from './raw.ts'

type Registry = Readonly<Record<string, () => Promise<{ readonly default: unknown }>>>
type AnyDriver = Pick<Driver<GenericSchema, never, unknown>, 'permissions'>
type AnyStore = Pick<StoreDriver<GenericSchema>, 'permissions'>

/** A driver with all entries of the settings that choose it. */
export interface Chosen<Of = AnyDriver> {
  readonly driver: Of
  readonly entries: readonly RawEntry[]
}

async function chosenIn<Of>(
  registry: Registry,
  entries: readonly RawEntry[],
): Promise<readonly Chosen<Of>[]> {
  const of = Object.entries(registry).map(async ([type, load]) => {
    const own = entries.filter(it => it.type === type)
    return own.length === 0 ? [] : [{ driver: (await load()).default as Of, entries: own }]
  })
  return (await Promise.all(of)).flat()
}

/** The store of a section that may not be there. */
export const chosenStore = (store: unknown): Promise<readonly Chosen<AnyStore>[]> =>
  chosenIn(stores, [asRaw(store)])

const REGISTRIES = { solvers, sources, notifiers }

/** The drivers of some sections, section by section. */
export async function chosenDrivers(
  raw: RawEntry,
  ...sections: readonly (keyof typeof REGISTRIES)[]
): Promise<readonly Chosen[]> {
  const chosen = sections.map(name => chosenIn<AnyDriver>(REGISTRIES[name], entriesOf(raw[name])))
  return (await Promise.all(chosen)).flat()
}
