import { createHash, createHmac, randomUUID } from 'node:crypto'
import type { Faults } from '../../kit/faults.ts'
import { type Answer, type Call, type Served, serve } from '../../kit/http.ts'
import { dnsAdmin } from '../admin.ts'
import type { Dns } from '../server.ts'
import type { Zone } from '../zones.ts'
import { type Added, createEntries, type Entry, numberOf } from './entries.ts'

export interface TencentCloudOptions {
  readonly dns: Dns
  readonly faults: Faults
  readonly secretId: string
  readonly secretKey: string
  /** Wanted in `X-TC-Token` when given. */
  readonly token?: string
  readonly pageSize?: number
  readonly quota?: number
  /** How long DescribeRecordList does not know a new record. */
  readonly indexLagMs?: number
  readonly now?: () => number
}

const SKEW_SECONDS = 300

/** Errors have status 200: https://cloud.tencent.com/document/api/1427/56192 */
const failed = (Code: string, Message: string): Answer => ({
  status: 200,
  body: { Response: { Error: { Code, Message }, RequestId: randomUUID() } },
})
const succeeded = (body: object): Answer => ({
  status: 200,
  body: { Response: { ...body, RequestId: randomUUID() } },
})

const hex = (text: string): string => createHash('sha256').update(text).digest('hex')
const AUTHORIZATION =
  /^TC3-HMAC-SHA256 Credential=([^/]+)\/(\d{4}-\d\d-\d\d)\/dnspod\/tc3_request, SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})$/

/** Checks the signature from its description: https://cloud.tencent.com/document/api/1427/56189 */
function gate(
  { secretId, secretKey, token, now = Date.now }: TencentCloudOptions,
  call: Call,
): Answer | null {
  const { method, path, headers, body } = call
  const [, id, date = '', signed = '', signature] = AUTHORIZATION.exec(headers.authorization ?? '') ?? []
  if (id === undefined) return failed('AuthFailure.InvalidAuthorization', 'Authorization is malformed.')
  if (id !== secretId) return failed('AuthFailure.SecretIdNotFound', 'The SecretId is not found.')
  if (headers['x-tc-token'] !== token) return failed('AuthFailure.TokenFailure', 'The token is wrong.')
  const stamp = Number(headers['x-tc-timestamp'])
  if (!(Math.abs(stamp - now() / 1000) <= SKEW_SECONDS))
    return failed('AuthFailure.SignatureExpire', 'The signature has expired.')
  const names = signed.split(';')
  const lines = names
    .map(name => {
      const value = (headers[name] ?? '').trim()
      return `${name}:${name === 'x-tc-action' ? value.toLowerCase() : value}\n`
    })
    .join('')
  const request = [method, path, '', lines, signed, hex(body)].join('\n')
  const text = `TC3-HMAC-SHA256\n${stamp}\n${date}/dnspod/tc3_request\n${hex(request)}`
  let key: Buffer = Buffer.from(`TC3${secretKey}`)
  for (const part of [date, 'dnspod', 'tc3_request', text])
    key = createHmac('sha256', key).update(part).digest()
  const dated = date === new Date(stamp * 1000).toISOString().slice(0, 10)
  const complete = names.includes('content-type') && names.includes('host')
  if (!dated || !complete || key.toString('hex') !== signature)
    return failed('AuthFailure.SignatureFailure', 'The provided credentials could not be validated.')
  return headers['x-tc-version'] === '2021-03-23'
    ? null
    : failed('NoSuchVersion', 'The version does not exist.')
}

const subdomainOf = ({ name, zone }: Entry): string =>
  name === zone.name ? '@' : name.slice(0, -zone.name.length - 1)

const recordBody = (entry: Entry) => ({
  RecordId: numberOf(entry),
  Value: entry.value,
  Status: 'ENABLE',
  UpdatedOn: '2026-01-01 00:00:00',
  Name: subdomainOf(entry),
  Line: '默认',
  LineId: '0',
  Type: entry.type,
  TTL: entry.ttl,
  Remark: '',
})

const REFUSALS: Readonly<Record<Exclude<Added['kind'], 'added'>, readonly [string, string]>> = {
  duplicate: ['InvalidParameter.DomainRecordExist', 'The record already exists.'],
  conflict: ['FailedOperation.ConflictRecord', 'The record conflicts with a CNAME record.'],
  'bad-name': ['InvalidParameter.SubdomainInvalid', 'The host record is invalid.'],
  quota: ['LimitExceeded.DomainRecordLimit', 'The number of records exceeds the limit of the plan.'],
}

type Body = Readonly<Record<string, unknown>>

interface World {
  readonly zoneOf: (body: Body) => Zone | undefined
  readonly list: (zone: Zone) => readonly Entry[]
  readonly page: <T>(items: readonly T[], body: Body) => readonly T[]
}

const numberOfZone = (zone: Zone): number => Number.parseInt(hex(zone.name).slice(0, 7), 16)
const noDomain = failed('InvalidParameterValue.DomainNotExists', 'The domain does not exist.')

const readsOf = (
  dns: Dns,
  { zoneOf, list, page }: World,
): Readonly<Record<string, (body: Body) => Answer>> => ({
  DescribeDomainList: body => {
    const key = String(body.Keyword ?? '').toLowerCase()
    const found = dns.zones.list.filter(({ name }) => name.includes(key))
    const shown = page(found, body).map(zone => ({
      DomainId: numberOfZone(zone),
      Name: zone.name,
      Punycode: zone.name,
      Status: 'ENABLE',
      Grade: 'DP_FREE',
    }))
    return succeeded({ DomainCountInfo: { DomainTotal: found.length, AllTotal: 9 }, DomainList: shown })
  },
  DescribeRecordList: body => {
    const zone = zoneOf(body)
    if (!zone) return noDomain
    const wanted = (it: Entry): boolean =>
      (body.Subdomain === undefined || subdomainOf(it) === body.Subdomain) &&
      (body.RecordType === undefined || it.type === body.RecordType)
    const found = list(zone).filter(wanted)
    if (found.length === 0 && body.ErrorOnEmpty !== 'no')
      return failed('ResourceNotFound.NoDataOfRecord', 'The list of records is empty.')
    const shown = page(found, body).map(recordBody)
    const counts = { SubdomainCount: 1, ListCount: shown.length, TotalCount: found.length }
    return succeeded({ RecordCountInfo: counts, RecordList: shown })
  },
})

function actionsOf(options: TencentCloudOptions): Readonly<Record<string, (body: Body) => Answer>> {
  const { dns, pageSize = 3000, quota, indexLagMs = 0, now = Date.now } = options
  const entries = createEntries(dns.zones, quota)
  const born = new Map<string, number>()
  const zoneOf = (body: Body): Zone | undefined =>
    dns.zones.list.find(it =>
      body.DomainId === undefined ? it.name === body.Domain : numberOfZone(it) === body.DomainId,
    )
  const list = (zone: Zone): readonly Entry[] =>
    entries.list(zone).filter(({ id }) => (born.get(id) ?? 0) <= now())
  const page = <T>(items: readonly T[], { Offset = 0, Limit = 100 }: Body): readonly T[] =>
    items.slice(Number(Offset), Number(Offset) + Math.min(Number(Limit), pageSize))
  return {
    ...readsOf(dns, { zoneOf, list, page }),
    CreateRecord: body => {
      const zone = zoneOf(body)
      const { SubDomain = '@', RecordType, RecordLine, Value, TTL = 600 } = body
      if (!zone) return noDomain
      if (RecordType !== 'TXT' || typeof Value !== 'string' || Value === '')
        return failed('InvalidParameter.RecordValueInvalid', 'The record value is invalid.')
      if (RecordLine !== '默认')
        return failed('InvalidParameter.RecordLineInvalid', 'The split zone is invalid.')
      if (typeof TTL !== 'number' || TTL < 600)
        return failed('LimitExceeded.RecordTtlLimit', 'The TTL is below the limit.')
      const name = SubDomain === '@' ? zone.name : `${SubDomain}.${zone.name}`
      const added = entries.add({ zone, name, type: 'TXT', value: Value, ttl: TTL })
      if (added.kind !== 'added') return failed(...REFUSALS[added.kind])
      born.set(added.entry.id, now() + indexLagMs)
      return succeeded({ RecordId: numberOf(added.entry) })
    },
    DeleteRecord: body => {
      const zone = zoneOf(body)
      if (!zone) return noDomain
      const entry = entries.list(zone).find(it => numberOf(it) === body.RecordId)
      if (!entry) return failed('InvalidParameter.RecordIdInvalid', 'The record ID is invalid.')
      entries.remove(entry)
      return succeeded({})
    },
  }
}

/** Tencent Cloud DNSPod, API 2021-03-23, over the zones of a DNS; operations `dnspod.*`: https://cloud.tencent.com/document/api/1427/56193 */
export function createTencentCloud(options: TencentCloudOptions): Promise<Served> {
  return serve({
    service: 'dnspod',
    faults: options.faults,
    routes: Object.entries(actionsOf(options)).map(([operation, act]) => ({
      method: 'POST',
      path: '/',
      header: ['x-tc-action', operation] as const,
      operation,
      handle: ({ body }: Call) => act(JSON.parse(body) as Body),
    })),
    admin: dnsAdmin(options.dns),
    before: call => gate(options, call),
    notFound: () => failed('InvalidAction', 'The action does not exist.'),
  })
}
