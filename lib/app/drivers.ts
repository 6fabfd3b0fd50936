import type { GenericSchema } from 'valibot'
import type { NamedNotifier } from '../alerts/outbox.ts'
import { RotationError } from '../base/rotation-error.ts'
import type { Clock } from '../base/time.ts'
import { createHuaweiClient } from '../clouds/huawei/client.ts'
import type { Alerting, DriverSchemas, Settings } from '../config/load.ts'
import type {
  CertificateSource,
  DnsSolver,
  Driver,
  DriverContext,
  Notifier,
  NotifierContext,
  SourceContext,
  StateStore,
} from '../contracts.ts'
import type { Target } from '../model/target.ts'
import { notifiers } from '../notifiers/index.ts'
import { solverName, solvers } from '../solvers/index.ts'
import { sources } from '../sources/index.ts'
import { documentKeys, openRecords, type Records } from '../state/state.ts'
import { stores } from '../stores/index.ts'

type Registry = Readonly<Record<string, () => Promise<{ readonly default: unknown }>>>

const registries: Readonly<Record<string, Registry>> = {
  source: sources,
  solver: solvers,
  store: stores,
  notifier: notifiers,
}

/** What the loader of the settings asks of drivers. */
export const driverSchemas: DriverSchemas = {
  schema: async (kind, type) => {
    const registry = need(registries, kind)
    if (!Object.hasOwn(registry, type)) return null
    return ((await need(registry, type)()).default as Driver<GenericSchema, never, unknown>).settings
  },
  known: kind => Object.keys(need(registries, kind)),
  publishing: async () => {
    const able = Object.entries(stores).map(async ([type, load]) => {
      const driver: { readonly canPublish?: true } = (await load()).default
      return driver.canPublish ? [type] : []
    })
    return (await Promise.all(able)).flat()
  },
}

/** What a driver of that name may be built from. */
export type ContextOf = (name: string) => DriverContext

/** The keys of an entry of `credentials`. */
const keysFrom =
  ({ credentials }: Pick<Alerting, 'credentials'>): DriverContext['huaweiKeys'] =>
  async name => {
    if (Object.hasOwn(credentials, name)) return need(credentials, name)
    throw new RotationError('settings-invalid', `there is no "${name}" in credentials`, {
      retry: 'never',
      hint: `Add it, or name one of: ${Object.keys(credentials).join(', ')}.`,
    })
  }

export const contextOf = (
  settings: Pick<Alerting, 'credentials'>,
  { http, clock, log }: Pick<DriverContext, 'http' | 'clock' | 'log'>,
): ContextOf => {
  const huaweiKeys = keysFrom(settings)
  return name => ({ name, http, clock, log, huaweiKeys })
}

/** Loads the driver that the settings choose and creates it. */
async function make<Made, Context>(
  registry: Registry,
  chosen: { readonly type: string; readonly settings: unknown },
  context: Context,
): Promise<Made> {
  const driver = (await need(registry, chosen.type)()).default as Driver<GenericSchema, Context, Made>
  return driver.create(chosen.settings, context)
}

/** Each of them by its name. */
async function makeAll<Made, Context>(
  registry: Registry,
  chosen: Settings['sources'],
  context: (name: string) => Context,
): Promise<Readonly<Record<string, Made>>> {
  const made = Object.entries(chosen).map(
    async ([name, one]) => [name, await make<Made, Context>(registry, one, context(name))] as const,
  )
  return Object.fromEntries(await Promise.all(made))
}

/** What certificates are obtained with: every source by its name, and the solver for a domain by the longest zone. */
export interface Issuing {
  readonly sources: Readonly<Record<string, CertificateSource>>
  readonly solver: SourceContext['solver']
}

export async function makeSources(
  settings: Settings,
  memory: Records['source'],
  context: ContextOf,
): Promise<Issuing> {
  const made = await makeAll<DnsSolver, DriverContext>(solvers, settings.solvers, context)
  const solver: SourceContext['solver'] = (reference, domain) => need(made, solverName(reference, domain))
  const own = (name: string): SourceContext => ({ ...context(name), memory: memory(name), solver })
  return {
    sources: await makeAll<CertificateSource, SourceContext>(sources, settings.sources, own),
    solver,
  }
}

/** The notifiers of the settings. One that cannot be made is logged: it must not keep a run from rotating. */
export async function makeNotifiers(
  chosen: Alerting['notifiers'],
  context: ContextOf,
): Promise<readonly NamedNotifier[]> {
  const made = chosen.map(async ({ name, filter, language, ...one }) => {
    const own: NotifierContext = { ...context(`notifiers.${name}`), language }
    try {
      return [{ name, filter, notifier: await make<Notifier, NotifierContext>(notifiers, one, own) }]
    } catch (error) {
      own.log.warn({ notifier: name, error: (error as Error).message }, 'a notifier cannot be used')
      return []
    }
  })
  return (await Promise.all(made)).flat()
}

/** A store with the documents in it. */
export interface State {
  readonly store: StateStore
  readonly records: Records
}

/** `settings`: what documents there may be; null: that is not known. `placed`: where in the store they are. */
export async function makeState(
  chosen: Settings['store'],
  context: ContextOf,
  settings: Pick<Settings, 'targets' | 'certificates' | 'sources'> | null,
  placed: (store: StateStore) => StateStore = store => store,
): Promise<State> {
  const made = await make<StateStore, DriverContext>(stores, chosen, context('store'))
  const store = placed(made)
  const documents = settings && (() => documentKeys(settings))
  const records = openRecords(store, sealKeyOf(chosen, store), chosen.sealKeyPrevious, documents)
  return { store, records }
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

/** Of an enterprise instance of the smaller size. https://support.huaweicloud.com/intl/en-us/productdesc-iothub/iot_04_0014.html */
const INSTANCE = { perSecond: 200, burst: 200 }

/** Signed calls to the instance of a target. */
export function huaweiClient(
  settings: Settings,
  { name, instance }: Pick<Target, 'name' | 'instance'>,
  http: DriverContext['http'],
  clock: Clock,
) {
  const { credentials, caCertificates } = need(settings.access, name)
  const keys = () => keysFrom(settings)(credentials)
  return createHuaweiClient({
    ...instance,
    http: http(caCertificates, { ...INSTANCE, of: instance.instanceId ?? name }),
    clock,
    keys,
    driver: 'iotda',
  })
}

/** What the settings have made sure is there. */
export function need<T>(from: Readonly<Record<string, T>>, name: string): T {
  const value = from[name]
  if (value === undefined) throw new RotationError('internal', `"${name}" is not there`)
  return value
}
