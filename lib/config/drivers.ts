import * as v from 'valibot'
import { asRecord, type Chosen, type ChosenDrivers } from './checks.ts'
import { explain, joinPath, type Mistake } from './mistakes.ts'
import type { Resolver } from './references.ts'

/** The registries' schemas: how the loader learns what a driver's settings are, without knowing any driver. */
export interface DriverSchemas {
  /** Null when there is no such driver; then `known` lists the ones there are. */
  schema(kind: 'source' | 'solver' | 'store' | 'notifier', type: string): Promise<v.GenericSchema | null>
  known(kind: 'source' | 'solver' | 'store' | 'notifier'): readonly string[]
  /** Stores that can keep a page for people. */
  publishing(): Promise<readonly string[]>
}

/** Validates every driver by its own schema. */
export async function chooseDrivers(
  raw: unknown,
  drivers: DriverSchemas,
  mistakes: Mistake[],
): Promise<ChosenDrivers> {
  const section = (name: string): Record<string, unknown> => asRecord(asRecord(raw)[name])
  const all = async (
    kind: 'source' | 'solver' | 'notifier',
    path: string,
  ): Promise<Record<string, Chosen>> => {
    const entries = Object.entries(section(path)).map(async ([name, value]) => {
      const at = joinPath(path, kind === 'notifier' ? Number(name) : name)
      const own = kind === 'notifier' ? driversOwn(value) : value
      return [name, await choose(kind, at, own, drivers, mistakes)] as const
    })
    return Object.fromEntries(await Promise.all(entries))
  }
  const store = asRecord(raw).store ?? { type: 'file', path: './state' }
  const { sealKey: _, sealKeyPrevious: _p, ...storeSettings } = asRecord(store)
  return {
    sources: await all('source', 'sources'),
    solvers: await all('solver', 'solvers'),
    store: await choose('store', 'store', storeSettings, drivers, mistakes),
    notifiers: await all('notifier', 'notifiers'),
  }
}

/** What every notifier has besides its driver's settings. */
function driversOwn(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  const { name: _n, minSeverity: _m, events: _e, language: _l, ...own } = asRecord(value)
  return own
}

async function choose(
  kind: 'source' | 'solver' | 'store' | 'notifier',
  path: string,
  value: unknown,
  drivers: DriverSchemas,
  mistakes: Mistake[],
): Promise<Chosen> {
  const { type, ...own } = asRecord(value)
  if (typeof type !== 'string') return { type: '', settings: {} }
  const schema = await drivers.schema(kind, type)
  if (!schema) {
    mistakes.push({
      path: joinPath(path, 'type'),
      message: `must be one of ${drivers
        .known(kind)
        .map(k => JSON.stringify(k))
        .join(', ')}`,
    })
    return { type, settings: {} }
  }
  const parsed = v.safeParse(schema, own)
  if (!parsed.success) mistakes.push(...explain(parsed.issues, path, schema))
  return { type, settings: parsed.success ? parsed.output : {} }
}

/** Whether the page can be published where the state is. */
export async function checkPage(
  raw: unknown,
  { store }: ChosenDrivers,
  drivers: DriverSchemas,
  mistakes: Mistake[],
): Promise<void> {
  const isAsked = asRecord(asRecord(raw).statusPage).publish === true
  if (!isAsked || !drivers.known('store').includes(store.type)) return
  const able = await drivers.publishing()
  if (able.includes(store.type)) return
  const message = `the store "${store.type}" keeps no page; ${able.join(' and ')} do. Or write one with \`iotda-cert status --html FILE\``
  mistakes.push({ path: 'statusPage.publish', message })
}

/** A list where entries go by name would have its indexes taken for names. */
export const listsForObjects = (raw: unknown): readonly Mistake[] =>
  ['certificates', 'sources', 'solvers', 'credentials']
    .filter(section => Array.isArray(asRecord(raw)[section]))
    .map(section => ({ path: section, message: `must be an object of ${section} by name` }))

/** Every reference in the settings of drivers. */
export async function resolveChosen(chosen: ChosenDrivers, resolver: Resolver): Promise<ChosenDrivers> {
  const section = async (drivers: Readonly<Record<string, Chosen>>, pathOf: (name: string) => string) =>
    Object.fromEntries(
      await Promise.all(
        Object.entries(drivers).map(
          async ([name, c]) =>
            [name, { type: c.type, settings: await resolver(c.settings, pathOf(name)) }] as const,
        ),
      ),
    )
  return {
    sources: await section(chosen.sources, name => `sources.${name}`),
    solvers: await section(chosen.solvers, name => `solvers.${name}`),
    store: { type: chosen.store.type, settings: await resolver(chosen.store.settings, 'store') },
    notifiers: await section(chosen.notifiers, index => `notifiers[${index}]`),
  }
}
