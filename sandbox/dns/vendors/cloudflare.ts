import { createHash } from 'node:crypto'
import type { Faults } from '../../kit/faults.ts'
import { type Answer, type Call, type Route, type Served, serve } from '../../kit/http.ts'
import { dnsAdmin } from '../admin.ts'
import type { Dns } from '../server.ts'
import type { Zone } from '../zones.ts'
import { type Added, createEntries, type Entries, type Entry } from './entries.ts'

export interface CloudflareOptions {
  readonly dns: Dns
  readonly faults: Faults
  readonly token: string
  /** The largest page, whatever `per_page` says. */
  readonly pageSize?: number
  /** Records a zone may hold. */
  readonly quota?: number
}

const BASE = '/client/v4'

const failed = (status: number, code: number, message: string): Answer => ({
  status,
  body: { success: false, errors: [{ code, message }], messages: [], result: null },
})

const succeeded = (result: unknown, more: object = {}): Answer => ({
  status: 200,
  body: { success: true, errors: [], messages: [], result, ...more },
})

const zoneId = (zone: Zone): string =>
  createHash('sha256').update(`cloudflare ${zone.name}`).digest('hex').slice(0, 32)

function paged(items: readonly unknown[], { query }: Call, largest: number): Answer {
  const page = Number(query.get('page') ?? 1)
  const perPage = Number(query.get('per_page') ?? 20)
  if (!Number.isInteger(page) || page < 1 || !Number.isInteger(perPage) || perPage < 5 || perPage > 5_000_000)
    return failed(400, 1004, 'page or per_page is out of range')
  const size = Math.min(perPage, largest)
  const shown = items.slice((page - 1) * size, page * size)
  const total_pages = Math.ceil(items.length / size)
  const info = { page, per_page: size, count: shown.length, total_count: items.length, total_pages }
  return succeeded(shown, { result_info: info })
}

/** Content of a TXT record comes back as it was given; records of others are shown in quotes. */
const recordBody = (entry: Entry) => ({
  id: entry.id,
  name: entry.name,
  type: entry.type,
  content: entry.type === 'TXT' ? `"${entry.value.replace(/["\\]/g, '\\$&')}"` : entry.value,
  proxiable: false,
  proxied: false,
  ttl: entry.ttl,
  settings: {},
  meta: {},
  comment: null,
  tags: [],
  created_on: '2026-01-01T00:00:00.000000Z',
  modified_on: '2026-01-01T00:00:00.000000Z',
})

const textOf = (content: string): string => {
  const strings = content.match(/"(?:[^"\\]|\\.)*"/g)
  return strings ? strings.map(it => it.slice(1, -1).replace(/\\(.)/g, '$1')).join('') : content
}

const REFUSALS: Readonly<Record<Exclude<Added['kind'], 'added'>, readonly [number, string]>> = {
  duplicate: [81058, 'An identical record already exists.'],
  conflict: [81054, 'A CNAME record with that host already exists.'],
  'bad-name': [9000, 'DNS name is invalid.'],
  quota: [81045, 'Record quota exceeded.'],
}

function createRecord(entries: Entries, zone: Zone, { body }: Call): Answer {
  let given: Record<string, unknown>
  try {
    given = JSON.parse(body)
  } catch {
    return failed(400, 9207, 'Request body is invalid.')
  }
  const { type, name, content, ttl, comment } = given
  if (type !== 'TXT' || typeof name !== 'string' || typeof content !== 'string')
    return failed(400, 9005, 'Content for TXT record is invalid.')
  if (typeof ttl !== 'number' || (ttl !== 1 && (ttl < 60 || ttl > 86_400)))
    return failed(400, 9021, 'Invalid TTL. Must be between 60 and 86400 seconds, or 1 for Automatic.')
  if (comment !== undefined && (typeof comment !== 'string' || comment.length > 100))
    return failed(400, 9300, 'DNS record comment is invalid.')
  const added = entries.add({ zone, name, type, value: textOf(content), ttl: ttl === 1 ? 300 : ttl })
  if (added.kind === 'added') return succeeded(recordBody(added.entry))
  return failed(400, ...REFUSALS[added.kind])
}

function routesOf({ dns, pageSize = 100, quota }: CloudflareOptions): readonly Route[] {
  const entries = createEntries(dns.zones, quota)
  const inZone =
    (handle: (zone: Zone, call: Call) => Answer) =>
    (call: Call): Answer => {
      const zone = dns.zones.list.find(it => zoneId(it) === call.params.zone)
      return zone
        ? handle(zone, call)
        : failed(404, 7003, 'Could not route to that path, perhaps your object identifier is invalid?')
    }
  const listZones = (call: Call): Answer => {
    const name = call.query.get('name')
    const zones = dns.zones.list
      .filter(zone => name === null || zone.name === name)
      .map(zone => ({
        ...{ id: zoneId(zone), name: zone.name, status: 'active', paused: false, type: 'full' },
        name_servers: zone.ns.map(it => it.name),
      }))
    return paged(zones, call, pageSize)
  }
  const listRecords = inZone((zone, call) => {
    const [type, name] = [call.query.get('type'), call.query.get('name.exact')]
    const records = entries
      .list(zone)
      .filter(it => (type === null || it.type === type) && (name === null || it.name === name.toLowerCase()))
      .map(recordBody)
    return paged(records, call, pageSize)
  })
  const remove = inZone((zone, { params }) => {
    const entry = entries.list(zone).find(({ id }) => id === params.id)
    if (!entry) return failed(404, 81044, 'Record does not exist.')
    entries.remove(entry)
    return succeeded({ id: entry.id })
  })
  const records = `${BASE}/zones/:zone/dns_records`
  const create = inZone((zone, call) => createRecord(entries, zone, call))
  return [
    { method: 'GET', path: `${BASE}/zones`, operation: 'ListZones', handle: listZones },
    { method: 'GET', path: records, operation: 'ListDnsRecords', handle: listRecords },
    { method: 'POST', path: records, operation: 'CreateDnsRecord', handle: create },
    { method: 'DELETE', path: `${records}/:id`, operation: 'DeleteDnsRecord', handle: remove },
  ]
}

/** Cloudflare's API v4 over the zones of a DNS; operations `cloudflare.*`: https://developers.cloudflare.com/api/resources/dns/subresources/records/ */
export function createCloudflare(options: CloudflareOptions): Promise<Served> {
  const { dns, faults, token } = options
  return serve({
    service: 'cloudflare',
    faults,
    routes: routesOf(options),
    admin: dnsAdmin(dns),
    before: ({ headers }) => {
      const [, bearer] = /^Bearer ([\w-]+)$/.exec(headers.authorization ?? '') ?? []
      if (bearer === undefined) return failed(400, 6003, 'Invalid request headers')
      return bearer === token ? null : failed(403, 9109, 'Invalid access token')
    },
    notFound: () => failed(404, 7000, 'No route for that URI'),
  })
}
