import { createHash, createHmac, randomUUID } from 'node:crypto'
import type { Faults } from '../../kit/faults.ts'
import { type Answer, type Call, type Served, serve } from '../../kit/http.ts'
import { dnsAdmin } from '../admin.ts'
import type { Dns } from '../server.ts'
import { isWithin, normalizeName, type Zone } from '../zones.ts'
import { type Added, createEntries, type Entries, type Entry, numberOf } from './entries.ts'

export interface AlidnsOptions {
  readonly dns: Dns
  readonly faults: Faults
  readonly accessKeyId: string
  readonly accessKeySecret: string
  /** Wanted in `x-acs-security-token` when given. */
  readonly securityToken?: string
  readonly pageSize?: number
  readonly quota?: number
  readonly now?: () => number
}

const SKEW_MS = 15 * 60_000

const failed = (status: number, Code: string, Message: string): Answer => ({
  status,
  body: { RequestId: randomUUID().toUpperCase(), HostId: 'alidns.aliyuncs.com', Code, Message },
})
const succeeded = (body: object): Answer => ({
  status: 200,
  body: { RequestId: randomUUID().toUpperCase(), ...body },
})

const hex = (text: string): string => createHash('sha256').update(text).digest('hex')

/** The query sorted and encoded as the signature wants it, from what was decoded. */
const canonicalQuery = (query: URLSearchParams): string => {
  const encode = (text: string): string =>
    [...Buffer.from(text, 'utf8')]
      .map(byte => {
        const char = String.fromCharCode(byte)
        return /[A-Za-z0-9\-_.~]/.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
      })
      .join('')
  return [...query]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .join('&')
}

const AUTHORIZATION =
  /^ACS3-HMAC-SHA256 Credential=([^,]+),SignedHeaders=([a-z0-9;-]+),Signature=([0-9a-f]{64})$/

/** Checks the signature from its description: https://www.alibabacloud.com/help/en/sdk/product-overview/v3-request-structure-and-signature */
function gate(options: AlidnsOptions, nonces: Set<string>, call: Call): Answer | null {
  const { accessKeyId, accessKeySecret, securityToken, now = Date.now } = options
  const { method, path, query, headers, body } = call
  const [, id, signed = '', signature] = AUTHORIZATION.exec(headers.authorization ?? '') ?? []
  if (id === undefined) return failed(400, 'IncompleteSignature', 'The request signature does not conform.')
  if (id !== accessKeyId)
    return failed(404, 'InvalidAccessKeyId.NotFound', 'Specified access key is not found.')
  if (headers['x-acs-security-token'] !== securityToken)
    return failed(400, 'InvalidSecurityToken.Malformed', 'The specified SecurityToken is malformed.')
  const date = headers['x-acs-date'] ?? ''
  const at = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(date) ? Date.parse(date) : Number.NaN
  if (!(Math.abs(at - now()) <= SKEW_MS))
    return failed(400, 'InvalidTimeStamp.Expired', 'Specified time stamp or date value is expired.')
  const names = signed.split(';')
  const wanted = Object.keys(headers).filter(name => name.startsWith('x-acs-') || name === 'host')
  const complete = wanted.every(name => names.includes(name)) && headers['x-acs-content-sha256'] === hex(body)
  const lines = names.map(name => `${name}:${(headers[name] ?? '').trim()}\n`).join('')
  const request = [method, path, canonicalQuery(query), lines, signed, hex(body)].join('\n')
  const right = createHmac('sha256', accessKeySecret)
    .update(`ACS3-HMAC-SHA256\n${hex(request)}`)
    .digest('hex')
  if (!complete || signature !== right)
    return failed(
      400,
      'SignatureDoesNotMatch',
      `Specified signature does not match. server string to sign is:ACS3-HMAC-SHA256\n${hex(request)}`,
    )
  const nonce = headers['x-acs-signature-nonce'] ?? ''
  if (nonce === '' || nonces.has(nonce))
    return failed(400, 'SignatureNonceUsed', 'Specified nonce was used already.')
  nonces.add(nonce)
  if (headers['x-acs-version'] !== '2015-01-09') return failed(404, 'InvalidVersion', 'The version is wrong.')
  return null
}

const rrOf = ({ name, zone }: Entry): string =>
  name === zone.name ? '@' : name.slice(0, -zone.name.length - 1)

const recordBody = (entry: Entry) => ({
  RecordId: String(numberOf(entry)),
  RR: rrOf(entry),
  Type: entry.type,
  Value: entry.value,
  TTL: entry.ttl,
  DomainName: entry.zone.name,
  Line: 'default',
  Status: 'ENABLE',
  Locked: false,
  Weight: 1,
})

function paged<T>(items: readonly T[], query: URLSearchParams, most: number, largest: number) {
  const page = Number(query.get('PageNumber') ?? 1)
  const size = Number(query.get('PageSize') ?? 20)
  if (!(page >= 1) || !(size >= 1 && size <= most)) return null
  const used = Math.min(size, largest)
  const shown = items.slice((page - 1) * used, page * used)
  return { shown, head: { TotalCount: items.length, PageNumber: page, PageSize: used } }
}

const badPage = failed(400, 'InvalidPageSize', 'The parameter PageNumber or PageSize is invalid.')

const REFUSALS: Readonly<Record<Exclude<Added['kind'], 'added'>, readonly [string, string]>> = {
  duplicate: ['DomainRecordDuplicate', 'The DNS record already exists.'],
  conflict: ['DomainRecordConflict', 'The DNS record conflicts with other records.'],
  'bad-name': ['SubDomainInvalid.RR', 'The RR is invalid.'],
  quota: ['QuotaExceeded.Record', 'The number of DNS records exceeds the upper limit.'],
}

function actionsOf({
  dns,
  pageSize = 500,
  quota,
}: AlidnsOptions): Readonly<Record<string, (q: URLSearchParams) => Answer>> {
  const entries: Entries = createEntries(dns.zones, quota)
  const zoneOf = (name: string | null): Zone | undefined =>
    dns.zones.list.find(zone => zone.name === normalizeName(name ?? ''))
  const noZone = failed(400, 'InvalidDomainName.NoExist', 'The specified domain name does not exist.')
  return {
    DescribeDomains: query => {
      const key = (query.get('KeyWord') ?? '').toLowerCase()
      const isExact = query.get('SearchMode') === 'EXACT'
      const found = dns.zones.list.filter(({ name }) => (isExact ? name === key : name.includes(key)))
      const page = paged(found, query, 100, pageSize)
      const bodyOf = ({ name }: Zone) => ({
        DomainId: name,
        DomainName: name,
        PunyCode: name,
        AliDomain: true,
      })
      return page ? succeeded({ ...page.head, Domains: { Domain: page.shown.map(bodyOf) } }) : badPage
    },
    DescribeSubDomainRecords: query => {
      const zone = zoneOf(query.get('DomainName'))
      const name = normalizeName(query.get('SubDomain') ?? '')
      if (!zone || !isWithin(name, zone.name)) return noZone
      const type = query.get('Type')
      const fits = (it: Entry): boolean => it.name === name && (type === null || it.type === type)
      const page = paged(entries.list(zone).filter(fits), query, 100, pageSize)
      return page
        ? succeeded({ ...page.head, DomainRecords: { Record: page.shown.map(recordBody) } })
        : badPage
    },
    AddDomainRecord: query => {
      const zone = zoneOf(query.get('DomainName'))
      const [rr, type, value, ttl] = ['RR', 'Type', 'Value', 'TTL'].map(key => query.get(key) ?? '') as [
        string,
        string,
        string,
        string,
      ]
      if (!zone) return noZone
      if (type !== 'TXT' || rr === '' || value === '')
        return failed(400, 'MissingParameter', 'RR, Type or Value is missing.')
      if (Number(ttl) < 600 || Number(ttl) > 86_400)
        return failed(400, 'InvalidTTL', 'The TTL is not supported by the edition.')
      const name = rr === '@' ? zone.name : `${rr}.${zone.name}`
      const added = entries.add({ zone, name, type: 'TXT', value, ttl: Number(ttl) })
      if (added.kind === 'added') return succeeded({ RecordId: String(numberOf(added.entry)) })
      return failed(400, ...REFUSALS[added.kind])
    },
    DeleteDomainRecord: query => {
      const id = query.get('RecordId')
      const entry = dns.zones.list.flatMap(entries.list).find(it => String(numberOf(it)) === id)
      if (!entry)
        return failed(400, 'DomainRecordNotBelongToUser', 'The domain record does not belong to this user.')
      entries.remove(entry)
      return succeeded({ RecordId: id })
    },
  }
}

/** Alibaba Cloud DNS, API 2015-01-09, over the zones of a DNS; operations `alidns.*`: https://www.alibabacloud.com/help/en/dns/api-alidns-2015-01-09-overview */
export function createAlidns(options: AlidnsOptions): Promise<Served> {
  const nonces = new Set<string>()
  return serve({
    service: 'alidns',
    faults: options.faults,
    routes: Object.entries(actionsOf(options)).map(([operation, act]) => ({
      method: 'POST',
      path: '/',
      header: ['x-acs-action', operation] as const,
      operation,
      handle: ({ query }: Call) => act(query),
    })),
    admin: dnsAdmin(options.dns),
    before: call => gate(options, nonces, call),
    notFound: () => failed(404, 'InvalidAction.NotFound', 'Specified api is not found.'),
  })
}
