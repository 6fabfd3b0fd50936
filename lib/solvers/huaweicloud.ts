import * as v from 'valibot'
import { nameField, urlField } from '../base/fields.ts'
import { RotationError } from '../base/rotation-error.ts'
import { formatDuration, MINUTE_MS, SECOND_MS } from '../base/time.ts'
import { createHuaweiClient, type HuaweiCall, type HuaweiClient } from '../clouds/huawei/client.ts'
import { allow, urn } from '../clouds/huawei/policy.ts'
import { type DriverContext, defineSolver, type RawEntry, type Run } from '../contracts.ts'
import { bareName } from '../dns/name.ts'
import { serviceErrorOf } from '../http/api-call.ts'
import { httpFields, ttlField } from './shared/fields.ts'
import { everyItem } from './shared/pages.ts'
import { pauseWithin } from './shared/pause.ts'
import { type Apply, createRecordSetSolver } from './shared/record-set.ts'
import { longestZone } from './shared/zone.ts'

const settings = v.strictObject({
  /** Name of an entry of `credentials`. @example "cn" */
  credentials: nameField(),
  /**
   * Default: `https://dns.myhuaweicloud.com`, or the region's own when `region` is given. @example
   * "https://dns.cn-north-4.myhuaweicloud.com"
   */
  endpoint: v.optional(v.nullable(urlField()), null),
  /** That requests are signed for. Default: the address for all regions. @example "cn-north-4" */
  region: v.optional(v.nullable(nameField()), null),
  /**
   * Sent as `X-Project-Id`; without it the keys' own project of the region is meant. @example
   * "0123456789abcdef0123456789abcdef"
   */
  projectId: v.optional(v.nullable(nameField()), null),
  /** The ids of the zones that are written, for the policy that `permissions` prints. Default: any. */
  zoneIds: v.optional(
    v.array(
      v.pipe(
        v.string('must be the id of a zone'),
        v.regex(/^[0-9a-zA-Z]{1,64}$/, 'must be the id of a zone'),
      ),
    ),
    [],
  ),
  /** Seconds; for record sets this solver creates, others keep theirs. */
  ttl: ttlField(300),
  ...httpFields(),
})
type Settings = v.InferOutput<typeof settings>

const zoneShape = v.object({ id: v.string(), name: v.string(), status: v.optional(v.string()) })
type Zone = v.InferOutput<typeof zoneShape>

const recordSetShape = v.object({
  id: v.string(),
  name: v.string(),
  type: v.string(),
  status: v.string(),
  ttl: v.optional(v.number()),
  /** Each value in literal double quotes. */
  records: v.array(v.string()),
  description: v.nullish(v.string()),
  line: v.nullish(v.string()),
})
type RecordSet = v.InferOutput<typeof recordSetShape>

const PAGE_SIZE = 500
const DEFAULT_REGION = 'cn-north-4'
const POLL_MS = 2 * SECOND_MS
const WRITE_WITHIN_MS = 2 * MINUTE_MS
const LOST_ATTEMPTS = 3

/** Another change came between reading and writing, or is still being carried out. */
const CONFLICTS = new Set(['DNS.0021', 'DNS.0209', 'DNS.0312', 'DNS.0313', 'DNS.0314'])

interface Api {
  readonly driver: string
  readonly client: HuaweiClient
}

/** Every item of a list. */
const listAll = <T>(
  { client, driver }: Api,
  operation: string,
  list: {
    readonly path: string
    readonly query: Readonly<Record<string, string>>
    readonly field: string
    readonly shape: v.GenericSchema<unknown, T>
  },
  { signal }: Run,
): Promise<readonly T[]> => {
  const { path, query, field, shape } = list
  const metadata = v.object({ total_count: v.number() })
  const expect = v.pipe(
    v.object({ [field]: v.array(shape), metadata }),
    v.transform(page => ({
      items: page[field] as T[],
      total: (page.metadata as { total_count: number }).total_count,
    })),
  )
  return everyItem(`${driver}: ${operation}`, (_, offset) => {
    const page = { ...query, limit: PAGE_SIZE, offset }
    return client.call({ operation, method: 'GET', path, query: page, signal, expect })
  })
}

/** The longest zone that holds the name. https://support.huaweicloud.com/intl/en-us/api-dns/dns_api_62003.html */
const findZone = (api: Api, fqdn: string, run: Run): Promise<Zone> =>
  longestZone(fqdn, {
    run,
    driver: api.driver,
    operation: 'ListPublicZones',
    hint: 'Create the public zone in this account, or check credentials, region and projectId of the solver.',
    find: async name => {
      const query = { type: 'public', name, search_mode: 'equal' }
      // `name` alone is a fuzzy match, and a service that does not know `search_mode` passes over it.
      const list = { path: '/v2/zones', query, field: 'zones', shape: zoneShape }
      const found = await listAll(api, 'ListPublicZones', list, run)
      const zones = found.filter(zone => bareName(zone.name) === name)
      return zones.find(({ status }) => status === 'ACTIVE') ?? zones[0] ?? null
    },
  })

const recordSetsPath = (zone: Zone): string => `/v2/zones/${encodeURIComponent(zone.id)}/recordsets`

async function findRecordSet(
  api: Api,
  zone: Zone,
  { fqdn, wanted = 'TXT' }: { readonly fqdn: string; readonly wanted?: 'TXT' | 'NS' },
  run: Run,
): Promise<RecordSet | null> {
  const query = { name: fqdn, type: wanted, search_mode: 'equal' }
  const list = { path: recordSetsPath(zone), query, field: 'recordsets', shape: recordSetShape }
  const all = await listAll(api, 'ListRecordSets', list, run)
  const sets = all.filter(({ name, type }) => type === wanted && bareName(name) === bareName(fqdn))
  return sets.find(({ line }) => !line || line === 'default_view') ?? sets[0] ?? null
}

/** Creates, replaces or deletes the record set. https://support.huaweicloud.com/intl/en-us/api-dns/dns_api_64001.html */
async function writeRecords(
  api: Api,
  zone: Zone,
  set: RecordSet | null,
  wanted: { readonly name: string; readonly ttl: number; readonly records: readonly string[] },
  run: Run,
): Promise<void> {
  const { name, ttl, records } = wanted
  // Never repeated blindly: what became of a lost answer is read before anything is written again.
  const write = (operation: string, given: Pick<HuaweiCall, 'method' | 'path' | 'body'>) =>
    api.client.call({ operation, ...given, retry: 'never', signal: run.signal })
  const all = recordSetsPath(zone)
  if (!set) {
    const body = { name, type: 'TXT', ttl, records, description: 'ACME challenge' }
    return void (await write('CreateRecordSet', { method: 'POST', path: all, body }))
  }
  const path = `${all}/${encodeURIComponent(set.id)}`
  if (records.length === 0) return void (await write('DeleteRecordSet', { method: 'DELETE', path }))
  const description = set.description ? { description: set.description } : {}
  const body = { name, type: 'TXT', ttl: set.ttl ?? ttl, records, ...description }
  await write('UpdateRecordSet', { method: 'PUT', path, body })
}

interface Change {
  readonly fqdn: string
  readonly ttl: number
  readonly apply: Apply
}

const whatOf = ({ driver }: Api, fqdn: string): string => `${driver}: TXT record set ${fqdn}`

const isConflict = (error: unknown): boolean => CONFLICTS.has(serviceErrorOf(error)?.code ?? '')

/** Nobody knows what became of the write, or it came too fast; reading tells. */
const isLost = (error: unknown): boolean =>
  error instanceof RotationError && (error.code === 'unavailable' || error.code === 'throttled')

/**
 * Read, merge, write, and read again until the record set is as wanted and settled: so a value that a concurrent
 * writer overwrote is written once more, and a lost answer does no harm.
 */
async function reconcile(api: Api, { fqdn, ttl, apply }: Change, run: Run): Promise<RecordSet | null> {
  const what = whatOf(api, fqdn)
  const zone = await findZone(api, fqdn, run)
  const limit = run.clock.now() + WRITE_WITHIN_MS
  let lost = 0
  let last: unknown = null
  let wrote = false
  for (;;) {
    const set = await findRecordSet(api, zone, { fqdn }, run)
    const current = set?.records ?? []
    const records = apply(current)
    const isPending = set?.status.startsWith('PENDING') ?? false
    if (!isPending && records.length === current.length) return set
    if (run.clock.now() >= limit) {
      const why = isPending ? `it is still ${set?.status}` : 'other changes keep coming between'
      throw new RotationError('unavailable', `${what}: after ${formatDuration(WRITE_WITHIN_MS)} ${why}`, {
        cause: last,
        hint: 'Check the record set in the DNS console; another writer or the service itself may be at fault.',
      })
    }
    // After a write the next reading may still be the old one; only a second one calls for another write.
    if (!isPending && !wrote) {
      try {
        await writeRecords(api, zone, set, { name: fqdn, ttl, records }, run)
        wrote = true
        continue
      } catch (error) {
        if (!isConflict(error)) lost += 1
        if (lost === LOST_ATTEMPTS || !(isConflict(error) || isLost(error))) throw error
        last = error
      }
    }
    wrote = false
    await pauseWithin(run, POLL_MS, what)
  }
}

const create = (config: Settings, context: DriverContext) => {
  const { credentials, region, projectId, ttl } = config
  const driver = `solver ${context.name} (huaweicloud)`
  const endpoint =
    config.endpoint ??
    (region === null ? 'https://dns.myhuaweicloud.com' : `https://dns.${region}.myhuaweicloud.com`)
  const client = createHuaweiClient({
    http: context.http(config.caCertificates),
    clock: context.clock,
    keys: () => context.huaweiKeys(credentials),
    endpoint,
    region: region ?? DEFAULT_REGION,
    signing: 'standard',
    projectId,
    driver,
  })
  const api = { driver, client }
  return createRecordSetSolver<RecordSet | null>({
    propagation: config.propagation,
    queue: endpoint,
    whatOf: fqdn => whatOf(api, fqdn),
    prepare: async (fqdn, run) => {
      const zone = await findZone(api, fqdn, run)
      const set = await findRecordSet(api, zone, { fqdn: zone.name, wanted: 'NS' }, run)
      return { name: zone.name, nameServers: set?.records ?? [] }
    },
    change: (fqdn, apply, run) => reconcile(api, { fqdn, ttl, apply }, run),
    confirm: async (fqdn, set) => {
      if (set?.status === 'ACTIVE') return
      throw new RotationError('unavailable', `${whatOf(api, fqdn)} is ${set?.status}, not ACTIVE`, {
        hint: 'Look at the record set in the DNS console: it is disabled or the service could not carry it out.',
      })
    },
  })
}

/**
 * Huawei Cloud DNS, API v2. One record set holds all values of a name, so values are merged in and taken out one by
 * one, other people's kept. Waits until the service reports the record set ACTIVE.
 * https://support.huaweicloud.com/intl/en-us/api-dns/
 * @throws RotationError `solver-zone-missing`, `unauthorized`, `forbidden`, `throttled`, `unreachable`,
 *   `unavailable`, `service-refused`, `out-of-time`
 */
/** The zones that an entry may write; any when it does not say. */
const zonesOf = ({ zoneIds }: RawEntry): readonly string[] =>
  Array.isArray(zoneIds) && zoneIds.length > 0 ? zoneIds.map(String) : ['*']

export default defineSolver({
  settings,
  create,
  docs: {
    link: 'https://support.huaweicloud.com/intl/en-us/api-dns/dns_api_64001.html',
    says: 'DNS of Huawei Cloud: `credentials`; `region`, `projectId`',
  },
  permissions: {
    huawei: entries => [
      // A list names no zone.
      allow(['dns:zone:list'], ['*']),
      allow(
        ['dns:recordset:list', 'dns:recordset:create', 'dns:recordset:update', 'dns:recordset:delete'],
        entries.flatMap(zonesOf).map(zone => urn('dns', '*', 'zone', zone)),
      ),
    ],
  },
})
