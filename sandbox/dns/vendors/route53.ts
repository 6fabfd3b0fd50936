import { createHash } from 'node:crypto'
import type { Faults } from '../../kit/faults.ts'
import { type Answer, type Call, type Route, type Served, serve } from '../../kit/http.ts'
import { dnsAdmin } from '../admin.ts'
import type { Dns } from '../server.ts'
import {
  isWithin,
  normalizeName,
  type RecordSet,
  type Zone,
  ZoneError,
  type ZoneRecordType,
} from '../zones.ts'
import { type SigV4Key, verifySigV4 } from './sigv4.ts'

export interface Route53Options {
  readonly dns: Dns
  readonly faults: Faults
  readonly key: SigV4Key
  /** How long a change stays PENDING. */
  readonly pendingMs?: number
  /** Zones listed besides those of the DNS, e.g. private ones. */
  readonly otherZones?: readonly { readonly id: string; readonly name: string; readonly isPrivate: boolean }[]
  /** The largest page of the list of zones. */
  readonly pageSize?: number
  /** Record sets a zone may hold. */
  readonly quota?: number
  readonly now?: () => number
}

const API = '/2013-04-01'
const XMLNS = 'xmlns="https://route53.amazonaws.com/doc/2013-04-01/"'
const MAX_VALUES = 400

const escapeXml = (text: string): string =>
  text.replace(/[&<>"]/g, it => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[it] ?? '&quot;')
const unescapeXml = (text: string): string =>
  text
    .replace(/&#x([0-9a-f]+);/gi, (_, code: string) => String.fromCodePoint(Number.parseInt(code, 16)))
    .replace(
      /&(lt|gt|quot|apos);/g,
      (_, name: string) => ({ lt: '<', gt: '>', quot: '"', apos: "'" })[name] ?? '',
    )
    .replace(/&amp;/g, '&')
const tag = (name: string, content: string | number | boolean): string => `<${name}>${content}</${name}>`

const xml = (status: number, name: string, content: string): Answer => ({
  status,
  headers: { 'content-type': 'text/xml' },
  body: `<?xml version="1.0"?>\n<${name} ${XMLNS}>${content}</${name}>`,
})
const failed = (status: number, code: string, message: string): Answer => {
  const error = tag('Type', 'Sender') + tag('Code', code) + tag('Message', escapeXml(message))
  return xml(status, 'ErrorResponse', `${tag('Error', error)}${tag('RequestId', 'sandbox')}`)
}

/** The id of a zone of the DNS. */
export const zoneIdOf = (zone: Zone): string =>
  `Z${createHash('sha256').update(`route53 ${zone.name}`).digest('hex').slice(0, 20).toUpperCase()}`

// --- record sets -------------------------------------------------------------------------------------------

const quoted = (text: string): string => {
  const strings = text.match(/.{1,255}/gs) ?? ['']
  return strings.map(it => `"${it.replace(/["\\]/g, '\\$&')}"`).join(' ')
}

/** Null when the value is not as the service wants it: strings of at most 255 characters in double quotes. */
const textOf = (value: string): string | null => {
  if (!/^"(?:[^"\\]|\\.)*"(?: +"(?:[^"\\]|\\.)*")*$/s.test(value)) return null
  const strings = (value.match(/"(?:[^"\\]|\\.)*"/gs) ?? []).map(it =>
    it.slice(1, -1).replace(/\\(.)/gs, '$1'),
  )
  return strings.every(({ length }) => length <= 255) ? strings.join('') : null
}

const valuesOf = ({ type, values }: RecordSet): readonly string[] =>
  values.map(value => (type === 'TXT' ? quoted(value) : value))

const setXml = (set: RecordSet): string => {
  const records = valuesOf(set).map(value => tag('ResourceRecord', tag('Value', escapeXml(value))))
  const head = tag('Name', `${set.name}.`) + tag('Type', set.type) + tag('TTL', set.ttl)
  return tag('ResourceRecordSet', head + tag('ResourceRecords', records.join('')))
}

interface Change {
  readonly action: string
  readonly name: string
  readonly type: ZoneRecordType
  readonly ttl: number
  readonly values: readonly string[]
}

const inside = (text: string, name: string): readonly string[] =>
  [...text.matchAll(new RegExp(`<${name}>(.*?)</${name}>`, 'gs'))].map(([, content]) => content ?? '')

const changesIn = (body: string): readonly Change[] =>
  inside(body, 'Change').map(text => ({
    action: inside(text, 'Action')[0] ?? '',
    name: normalizeName(unescapeXml(inside(text, 'Name')[0] ?? '')),
    type: (inside(text, 'Type')[0] ?? '') as ZoneRecordType,
    ttl: Number(inside(text, 'TTL')[0] ?? Number.NaN),
    values: inside(text, 'Value').map(unescapeXml),
  }))

const same = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && [...a].sort().join('\n') === [...b].sort().join('\n')

/** What is wrong with a change, given the set as it would be just before it. */
function complaint(zone: Zone, change: Change, there: RecordSet | null): string | null {
  const { action, name, type, ttl, values } = change
  const what = `resource record set [name='${name}.', type='${type}']`
  if (!isWithin(name, zone.name)) return `RRSet with DNS name ${name}. is not permitted in zone ${zone.name}.`
  if (name.length > 253 || name.split('.').some(label => label.length > 63 || label === ''))
    return `FATAL problem: DomainLabelTooLong encountered with '${name}'`
  if (!Number.isInteger(ttl) || values.length === 0 || new Set(values).size < values.length)
    return `Invalid ${what}: it wants a TTL and values without duplicates`
  if (values.length > MAX_VALUES) return `Number of values limit of ${MAX_VALUES} exceeded.`
  if (values.some(value => textOf(value) === null))
    return `Invalid Resource Record: FATAL problem: InvalidCharacterString (Value should be enclosed in quotation marks) encountered`
  if (action === 'CREATE') return there ? `Tried to create ${what} but it already exists` : null
  if (action === 'UPSERT') return null
  if (action !== 'DELETE') return `Value '${action}' at 'action' failed to satisfy constraint`
  if (!there) return `Tried to delete ${what} but it was not found`
  if (there.ttl === ttl && same(valuesOf(there), values)) return null
  return `Tried to delete ${what} but the values provided do not match the current values`
}

/** All changes or none; the answer is what is wrong. */
function apply(
  { dns, quota = Number.POSITIVE_INFINITY }: Route53Options,
  zone: Zone,
  changes: readonly Change[],
): string | null {
  const next = new Map<string, RecordSet | null>()
  for (const change of changes) {
    const { action, name, type, ttl, values } = change
    if (type !== 'TXT') return `the sandbox changes TXT records only`
    const known = next.get(name)
    const there = known === undefined ? dns.zones.get(zone, name, type) : known
    const wrong = complaint(zone, change, there)
    if (wrong) return wrong
    const texts = values.map(value => textOf(value) ?? '')
    next.set(name, action === 'DELETE' ? null : { name, type, ttl, values: texts })
  }
  const added = [...next].filter(([name, set]) => set && !dns.zones.get(zone, name, 'TXT')).length
  if (added > 0 && dns.zones.all(zone).length + added > quota)
    return `Number of records limit of ${quota} exceeded.`
  try {
    for (const [name, set] of next)
      dns.zones.set({ zone, name, type: 'TXT', values: set?.values ?? [], ...(set && { ttl: set.ttl }) })
  } catch (error) {
    if (error instanceof ZoneError)
      return `RRSet of type TXT with DNS name ${changes[0]?.name}. is not permitted because a conflicting RRSet of type CNAME with the same DNS name already exists`
    throw error
  }
  return null
}

// --- routes ------------------------------------------------------------------------------------------------

/** In the order the service lists names: by their labels from the right. */
const orderOf = (name: string): string => name.split('.').reverse().join('\u0001')

function listZones({ dns, otherZones = [], pageSize = 100 }: Route53Options, { query }: Call): Answer {
  const own = dns.zones.list.map(zone => ({ id: zoneIdOf(zone), name: zone.name, isPrivate: false }))
  const all = [...own, ...otherZones].sort((a, b) =>
    `${orderOf(a.name)}\u0000${a.id}` < `${orderOf(b.name)}\u0000${b.id}` ? -1 : 1,
  )
  const from = orderOf(normalizeName(query.get('dnsname') ?? ''))
  const id = query.get('hostedzoneid')?.replace('/hostedzone/', '') ?? ''
  const later = all.filter(it => orderOf(it.name) > from || (orderOf(it.name) === from && it.id >= id))
  const size = Math.min(Number(query.get('maxitems') ?? 100), pageSize)
  const zones = later.slice(0, size).map(it => {
    const config = tag('Config', tag('PrivateZone', it.isPrivate))
    return tag(
      'HostedZone',
      tag('Id', `/hostedzone/${it.id}`) + tag('Name', `${it.name}.`) + tag('CallerReference', 'x') + config,
    )
  })
  const next = later[size]
  const more = next ? tag('NextDNSName', `${next.name}.`) + tag('NextHostedZoneId', next.id) : ''
  const page = tag('IsTruncated', next !== undefined) + more + tag('MaxItems', size)
  return xml(200, 'ListHostedZonesByNameResponse', tag('HostedZones', zones.join('')) + page)
}

function listSets({ dns }: Route53Options, zone: Zone, { query }: Call): Answer {
  const key = (name: string, type: string): string => `${orderOf(name)}\u0000${type}`
  const from = key(normalizeName(query.get('name') ?? ''), query.get('type') ?? '')
  const later = dns.zones
    .all(zone)
    .filter(set => key(set.name, set.type) >= from)
    .sort((a, b) => (key(a.name, a.type) < key(b.name, b.type) ? -1 : 1))
  const size = Number(query.get('maxitems') ?? 100)
  const page = tag('IsTruncated', later.length > size) + tag('MaxItems', size)
  return xml(
    200,
    'ListResourceRecordSetsResponse',
    tag('ResourceRecordSets', later.slice(0, size).map(setXml).join('')) + page,
  )
}

function routesOf(options: Route53Options): readonly Route[] {
  const { dns, pendingMs = 0, now = Date.now } = options
  const changes = new Map<string, number>()
  const infoXml = (id: string, at: number): string => {
    const status = now() < at + pendingMs ? 'PENDING' : 'INSYNC'
    return tag(
      'ChangeInfo',
      tag('Id', `/change/${id}`) + tag('Status', status) + tag('SubmittedAt', new Date(at).toISOString()),
    )
  }
  const inZone =
    (handle: (zone: Zone, call: Call) => Answer) =>
    (call: Call): Answer => {
      const zone = dns.zones.list.find(it => zoneIdOf(it) === call.params.zone)
      return zone
        ? handle(zone, call)
        : failed(404, 'NoSuchHostedZone', `No hosted zone found with ID: ${call.params.zone}`)
    }
  const change = inZone((zone, { body }) => {
    const wrong = apply(options, zone, changesIn(body))
    if (wrong) return failed(400, 'InvalidChangeBatch', `[${wrong}]`)
    const id = `C${changes.size + 1}`
    changes.set(id, now())
    return xml(200, 'ChangeResourceRecordSetsResponse', infoXml(id, now()))
  })
  const getChange = ({ params }: Call): Answer => {
    const at = changes.get(params.id ?? '')
    if (at === undefined) return failed(404, 'NoSuchChange', `Could not find resource with ID: ${params.id}`)
    return xml(200, 'GetChangeResponse', infoXml(params.id ?? '', at))
  }
  const sets = `${API}/hostedzone/:zone/rrset`
  return [
    {
      method: 'GET',
      path: `${API}/hostedzonesbyname`,
      operation: 'ListHostedZonesByName',
      handle: call => listZones(options, call),
    },
    {
      method: 'GET',
      path: sets,
      operation: 'ListResourceRecordSets',
      handle: inZone((zone, call) => listSets(options, zone, call)),
    },
    { method: 'POST', path: sets, operation: 'ChangeResourceRecordSets', handle: change },
    { method: 'GET', path: `${API}/change/:id`, operation: 'GetChange', handle: getChange },
  ]
}

/** AWS Route 53, API 2013-04-01, over the zones of a DNS; operations `route53.*`: https://docs.aws.amazon.com/Route53/latest/APIReference/ */
export function createRoute53(options: Route53Options): Promise<Served> {
  return serve({
    service: 'route53',
    faults: options.faults,
    routes: routesOf(options),
    admin: dnsAdmin(options.dns),
    // The SDK signs with the system's time.
    before: call => {
      const verdict = verifySigV4(call, options.key, 'route53', Date.now())
      return verdict.ok ? null : failed(403, verdict.code, verdict.message)
    },
    notFound: () => failed(404, 'UnknownOperationException', 'Unknown operation'),
  })
}
