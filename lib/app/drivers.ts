import type { GenericSchema } from 'valibot'
import { RotationError } from '../base/rotation-error.ts'
import type { Clock } from '../base/time.ts'
import { createHuaweiClient } from '../clouds/huawei/client.ts'
import type { Alerting, Settings } from '../config/load.ts'
import type {
  CertificateSource,
  DnsSolver,
  Driver,
  DriverContext,
  SourceContext,
  StateStore,
} from '../contracts.ts'
import { createHttp } from '../http/client.ts'
import type { Http, HttpProxy } from '../http/http.ts'
import type { Target } from '../model/target.ts'
import { notifiers } from '../notifiers/index.ts'
import { solverName, solvers } from '../solvers/index.ts'
import { sources } from '../sources/index.ts'
import { openRecords, type Records } from '../state/state.ts'
import { stores } from '../stores/index.ts'

/** The parts that app.ts joins: HTTP clients, and drivers as the settings choose them. */

/** HTTP clients by the roots they trust. */
export interface Clients {
  readonly http: DriverContext['http']
  close(): Promise<void>
}

/** One client for each set of roots, made at its first use. */
export function openClients(proxy: HttpProxy | null): Clients {
  const open = new Map<string, Http>()
  return {
    http: caCertificates => {
      const key = caCertificates ?? ''
      const client = open.get(key) ?? createHttp({ caCertificates, proxy })
      open.set(key, client)
      return client
    },
    close: async () => {
      await Promise.allSettled([...open.values()].map(client => client.close()))
    },
  }
}

type Registry = Readonly<Record<string, () => Promise<{ readonly default: unknown }>>>

/** Loads the driver that the settings choose and creates it. */
export async function make<Made, Context>(
  registry: Registry,
  chosen: { type: string; settings: unknown },
  context: Context,
): Promise<Made> {
  const driver = (await need(registry, chosen.type)()).default as Driver<GenericSchema, Context, Made>
  return driver.create(chosen.settings, context)
}

const registries = { source: sources, solver: solvers, store: stores, notifier: notifiers } as const

/** What the loader of the settings asks of drivers. */
export const driverSchemas = {
  schema: async (kind: keyof typeof registries, type: string): Promise<GenericSchema | null> => {
    const registry: Registry = registries[kind]
    if (!Object.hasOwn(registry, type)) return null
    return ((await need(registry, type)()).default as Driver<GenericSchema, never, unknown>).settings
  },
  known: (kind: keyof typeof registries) => Object.keys(registries[kind]),
  publishing: async (): Promise<readonly string[]> => {
    const able = Object.entries(stores).map(async ([type, load]) => {
      const driver: { readonly canPublish?: true } = (await load()).default
      return driver.canPublish ? [type] : []
    })
    return (await Promise.all(able)).flat()
  },
}

/** Every solver; the one for a domain by the longest zone that is named. */
export async function buildSolvers(
  settings: Settings,
  context: (name: string) => DriverContext,
): Promise<SourceContext['solver']> {
  const entries = Object.entries(settings.solvers).map(
    async ([name, chosen]) =>
      [name, await make<DnsSolver, DriverContext>(solvers, chosen, context(name))] as const,
  )
  const built = Object.fromEntries(await Promise.all(entries))
  return (reference, domain) => need(built, solverName(reference, domain))
}

/** Every source by its name. */
export async function buildSources(
  settings: Settings,
  memory: Records['source'],
  context: (name: string) => DriverContext,
  solver: SourceContext['solver'],
): Promise<Record<string, CertificateSource>> {
  const entries = Object.entries(settings.sources).map(async ([name, chosen]) => {
    const own: SourceContext = { ...context(name), memory: memory(name), solver }
    return [name, await make<CertificateSource, SourceContext>(sources, chosen, own)] as const
  })
  return Object.fromEntries(await Promise.all(entries))
}

/** Signed calls to the instance of a target. */
export function huaweiClient(
  settings: Settings,
  target: Target,
  http: (ca: string | null) => Http,
  clock: Clock,
) {
  const { credentials, caCertificates } = need(settings.access, target.name)
  const { endpoint, region, signing, projectId, instanceId } = target.instance
  const keys = () => keysFrom(settings)(credentials)
  return createHuaweiClient({
    http: http(caCertificates),
    clock,
    keys,
    endpoint,
    region,
    signing,
    projectId,
    instanceId,
    driver: 'iotda',
  })
}

/** The keys of an entry of `credentials`. */
export const keysFrom =
  (settings: Pick<Alerting, 'credentials'>): DriverContext['huaweiKeys'] =>
  async name => {
    if (Object.hasOwn(settings.credentials, name)) return need(settings.credentials, name)
    throw new RotationError('settings-invalid', `there is no "${name}" in credentials`, {
      retry: 'never',
      hint: `Add it, or name one of: ${Object.keys(settings.credentials).join(', ')}.`,
    })
  }

/** What a driver of that name may be built from. */
export const contextOf =
  (
    settings: Pick<Alerting, 'credentials'>,
    { http }: Pick<Clients, 'http'>,
    { clock, log }: Pick<DriverContext, 'clock' | 'log'>,
  ) =>
  (name: string): DriverContext => ({ name, http, clock, log, huaweiKeys: keysFrom(settings) })

/** Opens the state. */
export async function openState(
  { store: chosen }: Pick<Settings, 'store'>,
  context: (name: string) => DriverContext,
): Promise<{ readonly store: StateStore; readonly records: Records }> {
  const store = await make<StateStore, DriverContext>(stores, chosen, context('store'))
  return { store, records: openRecords(store, sealKeyOf(chosen, store), chosen.sealKeyPrevious) }
}

/** What keys are sealed with. */
const sealKeyOf =
  ({ type, sealKey }: Settings['store'], store: StateStore) =>
  async () => {
    const key = sealKey ?? (await store.ownSealKey())
    if (key) return key
    throw new RotationError('settings-invalid', `the ${type} store needs store.sealKey`, {
      retry: 'never',
      hint: 'Set it to a reference to 32 random bytes in base64 (openssl rand -base64 32).',
    })
  }

/** What the settings have made sure is there. */
export function need<T>(from: Readonly<Record<string, T>>, name: string): T {
  const value = from[name]
  if (value === undefined) throw new RotationError('internal', `"${name}" is not there`)
  return value
}
