import { randomUUID } from 'node:crypto'
import { unknownRoute } from '../iotda/auth.ts'
import { type AccessKey, verifySignature } from '../iotda/signature.ts'
import type { Faults } from '../kit/faults.ts'
import { type Answer, type Call, type Route, type Served, serve } from '../kit/http.ts'
import { dnsAdmin } from './admin.ts'
import {
  createRecordSetStore,
  type Entry,
  HuaweiDnsError,
  type HuaweiDnsSwitches,
  type RecordSetStore,
  recordsOf,
  zoneIdOf,
} from './huawei-recordsets.ts'
import type { Dns } from './server.ts'
import type { Zone } from './zones.ts'

export interface HuaweiDnsOptions {
  readonly dns: Dns
  readonly faults: Faults
  readonly keys: ReadonlyMap<string, AccessKey>
  readonly region?: string
  readonly projectId?: string
  /** The zones that the account holds. Default: all of the DNS. */
  readonly holds?: (zone: Zone) => boolean
  readonly switches?: Partial<HuaweiDnsSwitches>
  readonly now?: () => number
  readonly tls?: { readonly key: string; readonly cert: string }
  readonly host?: string
  readonly port?: number
}

export interface HuaweiDns extends Served {
  /** Also `POST /_sandbox/switches` with those to change. */
  readonly switches: HuaweiDnsSwitches
}

interface Listed {
  readonly id: string
  readonly name: string
}

interface Page<T> {
  readonly items: readonly T[]
  readonly links: { readonly self: string; readonly next?: string }
  readonly metadata: { readonly total_count: number }
}

const MAX_LIMIT = 500

/** Local date and time without a zone, as in the examples of the reference. */
const dateTime = (ms: number): string => new Date(ms).toISOString().replace('Z', '')

const whole = (text: string | null, fallback: number, max: number, code: string): number => {
  const value = text === null ? fallback : Number(text)
  if (Number.isInteger(value) && value >= 0 && value <= max) return value
  throw new HuaweiDnsError(400, code, `not a whole number from 0 to ${max}: ${text}`)
}

const startOf = (ids: readonly string[], query: URLSearchParams): number => {
  const marker = query.get('marker')
  if (marker === null || marker === '') {
    return whole(query.get('offset'), 0, Number.MAX_SAFE_INTEGER, 'DNS.0017')
  }
  const at = ids.indexOf(marker)
  if (at < 0) throw new HuaweiDnsError(400, 'DNS.0007', `unknown marker ${marker}`)
  return at + 1
}

/** One page; `next` starts after the marker: https://support.huaweicloud.com/intl/en-us/api-dns/dns_api_62003.html */
function pageOf<T extends Listed>(all: readonly T[], call: Call, base: string, pageSize: number): Page<T> {
  const name = call.query.get('name')?.toLowerCase() ?? ''
  const isEqual = call.query.get('search_mode') === 'equal'
  const fits = ({ name: own }: T): boolean =>
    name === '' || (isEqual ? own === name || own === `${name}.` : own.includes(name))
  const matching = all.filter(fits)
  const limit = Math.min(whole(call.query.get('limit'), MAX_LIMIT, MAX_LIMIT, 'DNS.0006'), pageSize)
  const ids = matching.map(item => item.id)
  const start = startOf(ids, call.query)
  const items = matching.slice(start, start + limit)
  const query = new URLSearchParams(call.query)
  query.delete('offset')
  query.set('marker', items.at(-1)?.id ?? '')
  const hasMore = items.length > 0 && start + items.length < matching.length
  return {
    items,
    links: {
      self: `${base}${call.target}`,
      ...(hasMore ? { next: `${base}${call.path}?${query}` } : {}),
    },
    metadata: { total_count: matching.length },
  }
}

const zoneBody = (zone: Zone, records: number, projectId: string, base: string) => ({
  id: zoneIdOf(zone),
  name: `${zone.name}.`,
  description: '',
  email: `hostmaster@${zone.name}`,
  ttl: 300,
  serial: 1,
  masters: [],
  status: 'ACTIVE',
  links: { self: `${base}/v2/zones/${zoneIdOf(zone)}` },
  pool_id: '00000000570e54ee01570e9939b20019',
  project_id: projectId,
  zone_type: 'public',
  created_at: '2025-01-01T00:00:00.000',
  updated_at: '2025-01-01T00:00:00.000',
  record_num: records,
})

/** https://support.huaweicloud.com/intl/en-us/api-dns/dns_api_64001.html */
const recordSetBody = (entry: Entry, projectId: string, base: string) => ({
  id: entry.id,
  name: `${entry.set.name}.`,
  description: entry.description,
  type: entry.set.type,
  ttl: entry.set.ttl,
  records: recordsOf(entry.set),
  status: entry.status,
  zone_id: zoneIdOf(entry.zone),
  zone_name: `${entry.zone.name}.`,
  create_at: dateTime(entry.createdAtMs),
  update_at: dateTime(entry.updatedAtMs),
  default: entry.isDefault,
  project_id: projectId,
  links: { self: `${base}/v2/zones/${zoneIdOf(entry.zone)}/recordsets/${entry.id}` },
})

const jsonOf = (call: Call): unknown => {
  try {
    return JSON.parse(call.body)
  } catch {
    throw new HuaweiDnsError(400, 'DNS.0002', 'the body is not JSON')
  }
}

const gatewayError = (status: number, code: string, message: string): Answer => ({
  status,
  body: { error_msg: message, error_code: code, request_id: randomUUID().replaceAll('-', '') },
})

interface Context {
  readonly dns: Dns
  readonly zones: readonly Zone[]
  readonly store: RecordSetStore
  readonly switches: HuaweiDnsSwitches
  readonly projectId: string
  readonly scheme: string
}

function listRoutes(context: Context, zoneOf: (call: Call) => Zone): readonly Route[] {
  const { dns, zones, store, switches, projectId, scheme } = context
  const baseOf = (call: Call): string => `${scheme}://${call.headers.host}`
  const listZones = (call: Call): Answer => {
    const isPublic = (call.query.get('type') ?? 'public') === 'public'
    const all = (isPublic ? zones : [])
      .map(zone => zoneBody(zone, dns.zones.all(zone).length, projectId, baseOf(call)))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
    const { items, ...rest } = pageOf(all, call, baseOf(call), switches.pageSize)
    return { status: 200, body: { ...rest, zones: items } }
  }
  const listRecordSets = (call: Call): Answer => {
    const type = call.query.get('type')
    const all = store
      .list(zoneOf(call))
      .filter(entry => type === null || entry.set.type === type)
      .map(entry => recordSetBody(entry, projectId, baseOf(call)))
    const { items, ...rest } = pageOf(all, call, baseOf(call), switches.pageSize)
    return { status: 200, body: { ...rest, recordsets: items } }
  }
  return [
    { method: 'GET', path: '/v2/zones', operation: 'ListZones', handle: listZones },
    {
      method: 'GET',
      path: '/v2/zones/:zone/recordsets',
      operation: 'ListRecordSets',
      handle: listRecordSets,
    },
  ]
}

function recordSetRoutes(context: Context, zoneOf: (call: Call) => Zone): readonly Route[] {
  const { store, projectId, scheme } = context
  const one = '/v2/zones/:zone/recordsets/:id'
  const route = (
    method: string,
    path: string,
    operation: string,
    status: number,
    perform: (zone: Zone, id: string, call: Call) => Entry,
  ): Route => ({
    method,
    path,
    operation,
    handle: call => ({
      status,
      body: recordSetBody(
        perform(zoneOf(call), call.params.id ?? '', call),
        projectId,
        `${scheme}://${call.headers.host}`,
      ),
    }),
  })
  return [
    route('GET', one, 'ShowRecordSet', 200, (zone, id) => store.show(zone, id)),
    route('POST', '/v2/zones/:zone/recordsets', 'CreateRecordSet', 202, (zone, _id, call) =>
      store.create(zone, jsonOf(call)),
    ),
    route('PUT', one, 'UpdateRecordSet', 202, (zone, id, call) => store.update(zone, id, jsonOf(call))),
    route('DELETE', one, 'DeleteRecordSet', 202, (zone, id) => store.remove(zone, id)),
  ]
}

/** Errors of the service itself are `{code, message}`, unlike those of the gateway. */
const withErrors = (route: Route): Route => ({
  ...route,
  handle: async call => {
    try {
      return await route.handle(call)
    } catch (error) {
      if (!(error instanceof HuaweiDnsError)) throw error
      return { status: error.status, body: { code: error.code, message: error.message } }
    }
  },
})

/** The gateway judges the signature and the project before the service sees the call. */
const gateOf =
  (options: HuaweiDnsOptions, projectId: string, now: () => number) =>
  (call: Call): Answer | null => {
    const { keys, region = 'cn-north-4' } = options
    const verdict = verifySignature(call, { keys, algorithm: 'SDK-HMAC-SHA256', region, now: now() })
    if (!verdict.ok) {
      return gatewayError(401, verdict.code === 'skew' ? 'APIGW.0303' : 'APIGW.0301', verdict.message)
    }
    const project = call.headers['x-project-id']
    if (project === undefined || project === projectId) return null
    return gatewayError(403, 'APIGW.0310', `project ${project} is unavailable`)
  }

const switchRoute = (switches: HuaweiDnsSwitches): Route => ({
  method: 'POST',
  path: '/_sandbox/switches',
  operation: '',
  handle: call => {
    Object.assign(switches, JSON.parse(call.body))
    return { status: 204 }
  },
})

/** Huawei Cloud DNS API v2 over the zones of a DNS; operations `huaweidns.*`: https://support.huaweicloud.com/intl/en-us/api-dns/dns_api_64001.html */
export async function createHuaweiDns(options: HuaweiDnsOptions): Promise<HuaweiDns> {
  const { dns, faults } = options
  const now = options.now ?? Date.now
  const projectId = options.projectId ?? '0123456789abcdef0123456789abcdef'
  const switches: HuaweiDnsSwitches = {
    pendingMs: 0,
    pageSize: MAX_LIMIT,
    recordSetQuota: MAX_LIMIT,
    ...options.switches,
  }
  const store = createRecordSetStore(dns.zones, switches, now)
  const zones = dns.zones.list.filter(options.holds ?? (() => true))
  const context: Context = { dns, zones, store, switches, projectId, scheme: options.tls ? 'https' : 'http' }
  const zoneOf = (call: Call): Zone => {
    const zone = zones.find(candidate => zoneIdOf(candidate) === call.params.zone)
    if (!zone) throw new HuaweiDnsError(404, 'DNS.0302', `zone ${call.params.zone} does not exist`)
    return zone
  }
  const served = await serve({
    service: 'huaweidns',
    faults,
    routes: [...listRoutes(context, zoneOf), ...recordSetRoutes(context, zoneOf)].map(withErrors),
    admin: [...dnsAdmin(dns), switchRoute(switches)],
    before: gateOf(options, projectId, now),
    headers: () => ({ 'x-request-id': randomUUID().replaceAll('-', '') }),
    notFound: unknownRoute,
    ...(options.tls === undefined ? {} : { tls: options.tls }),
    ...(options.host === undefined ? {} : { host: options.host }),
    ...(options.port === undefined ? {} : { port: options.port }),
  })
  return { ...served, switches }
}
