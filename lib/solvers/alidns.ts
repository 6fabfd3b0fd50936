import { createHash, createHmac, randomUUID } from 'node:crypto'
import * as v from 'valibot'
import { secretField } from '../base/fields.ts'
import type { Secret } from '../base/secret.ts'
import { iso, SECOND_MS } from '../base/time.ts'
import { type DriverContext, defineSolver, type Run } from '../contracts.ts'
import { bareName } from '../dns/name.ts'
import { codeOfStatus, type Refusal } from '../http/api-call.ts'
import type { HttpRequest, HttpResponse } from '../http/http.ts'
import { createService, type Service } from '../http/service.ts'
import { serviceFields, ttlField } from './shared/fields.ts'
import { type Meanings, meaningOf } from './shared/meaning.ts'
import { everyItem, type Page } from './shared/pages.ts'
import { createRecordSolver, type TxtEntry } from './shared/records.ts'
import { longestZone, relativeName } from './shared/zone.ts'

const settings = v.strictObject({
  /** Of a RAM user with the actions alidns:DescribeDomains, DescribeSubDomainRecords, AddDomainRecord, DeleteDomainRecord. */
  accessKeyId: secretField(),
  /** With `accessKeyId`. @example "env:ALICLOUD_SECRET_KEY" */
  accessKeySecret: secretField(),
  /** With temporary keys of STS. */
  securityToken: v.optional(v.nullable(secretField()), null),
  /** Seconds; the free edition takes 600 and more. */
  ttl: ttlField(600),
  ...serviceFields('https://alidns.aliyuncs.com'),
})
type Settings = v.InferOutput<typeof settings>

const ALGORITHM = 'ACS3-HMAC-SHA256'
const VERSION = '2015-01-09'
const PAGE_SIZE = 100
const DONE = {
  added: new Set(['DomainRecordDuplicate']),
  removed: new Set(['DomainRecordNotBelongToUser', 'InvalidRR.NoExist']),
}

const zoneShape = v.object({ DomainName: v.string(), PunyCode: v.nullish(v.string()) })
type Zone = v.InferOutput<typeof zoneShape>
const recordShape = v.object({ RecordId: v.string(), RR: v.string(), Type: v.string(), Value: v.string() })
const zonesShape = v.pipe(
  v.object({ TotalCount: v.number(), Domains: v.object({ Domain: v.array(zoneShape) }) }),
  v.transform(({ TotalCount, Domains }) => ({ total: TotalCount, items: Domains.Domain })),
)
const recordsShape = v.pipe(
  v.object({ TotalCount: v.number(), DomainRecords: v.object({ Record: v.array(recordShape) }) }),
  v.transform(({ TotalCount, DomainRecords }) => ({ total: TotalCount, items: DomainRecords.Record })),
)
const changedShape = v.object({ RecordId: v.string() })

// --- signing -----------------------------------------------------------------------------------------------

export interface AcsRequest {
  readonly action: string
  readonly version: string
  readonly host: string
  readonly query: Readonly<Record<string, string>>
  readonly at: number
  readonly nonce: string
}

export interface AcsKeys {
  readonly accessKeyId: Secret
  readonly accessKeySecret: Secret
  readonly securityToken: Secret | null
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

/** RFC 3986: everything but letters, digits and `-_.~`. */
const percent = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, it => `%${it.charCodeAt(0).toString(16).toUpperCase()}`)

const queryText = (query: Readonly<Record<string, string>>): string =>
  Object.entries(query)
    .map(([name, value]) => `${percent(name)}=${percent(value)}`)
    .toSorted()
    .join('&')

/** The headers of a signed POST without a body. https://www.alibabacloud.com/help/en/sdk/product-overview/v3-request-structure-and-signature */
export function signAcs(request: AcsRequest, keys: AcsKeys): Readonly<Record<string, string>> {
  const { action, version, host, query, at, nonce } = request
  const headers: Record<string, string> = {
    host,
    'x-acs-action': action,
    'x-acs-content-sha256': sha256(''),
    'x-acs-date': iso(at - (at % SECOND_MS)),
    'x-acs-signature-nonce': nonce,
    'x-acs-version': version,
    ...(keys.securityToken && { 'x-acs-security-token': keys.securityToken.reveal() }),
  }
  const names = Object.keys(headers).toSorted()
  const signed = names.join(';')
  const lines = names.map(name => `${name}:${headers[name]}\n`).join('')
  const canonical = ['POST', '/', queryText(query), lines, signed, sha256('')].join('\n')
  const signature = createHmac('sha256', keys.accessKeySecret.reveal())
    .update(`${ALGORITHM}\n${sha256(canonical)}`)
    .digest('hex')
  const credential = `Credential=${keys.accessKeyId.reveal()}`
  return {
    ...headers,
    authorization: `${ALGORITHM} ${credential},SignedHeaders=${signed},Signature=${signature}`,
  }
}

// --- answers -----------------------------------------------------------------------------------------------

const UNAUTHORIZED =
  /^(InvalidAccessKeyId|SignatureDoesNotMatch|IncompleteSignature|MissingAccessKeyId|InvalidSecurityToken|InvalidTimeStamp|MissingSecurityToken)/
const FORBIDDEN = /^(Forb|NoPermission|UserForbidden|AccessDenied)/
const ZONE_MISSING = /^(InvalidDomainName\.NoExist|IncorrectDomainUser)$/

const MEANINGS: Meanings = {
  codes: [
    [UNAUTHORIZED, 'unauthorized'],
    [/^(Throttling|FlowLimit)/, 'throttled'],
    [FORBIDDEN, 'forbidden'],
    [ZONE_MISSING, 'solver-zone-missing'],
    [/^(ServiceUnavailable|InternalError|LastOperationNotFinished)/, 'unavailable'],
  ],
  hints: [
    [/^InvalidTimeStamp/, 'Check the clock of this machine: a signature may be 15 minutes off at most.'],
    [UNAUTHORIZED, 'Check accessKeyId, accessKeySecret and securityToken, and that the key is enabled.'],
    [
      FORBIDDEN,
      'Grant the RAM user alidns:DescribeDomains, DescribeSubDomainRecords, AddDomainRecord and DeleteDomainRecord.',
    ],
    [
      /^QuotaExceeded/,
      'The edition of Alibaba Cloud DNS allows no more records: delete some, or upgrade it.',
    ],
    [
      /^InvalidTTL|^InvalidTtl|TTL/,
      'The edition of Alibaba Cloud DNS takes no such ttl: the free one wants 600.',
    ],
    [/Conflict/, 'The name has another record, e.g. a CNAME, that allows no TXT record beside it.'],
    [/^(SubDomainInvalid|InvalidRR)/, 'The name is not one Alibaba Cloud DNS accepts.'],
    [ZONE_MISSING, 'The domain is not in this Alibaba Cloud account.'],
  ],
}

const errorShape = v.object({ Code: v.string(), Message: v.optional(v.string(), '') })

/** https://www.alibabacloud.com/help/en/dns/api-alidns-2015-01-09-errorcodes */
const refusalOf = ({ status }: HttpResponse, json: unknown): Refusal | null => {
  if (status < 300) return null
  const body = v.safeParse(errorShape, json)
  if (!body.success) return { code: codeOfStatus(status) }
  return meaningOf(body.output.Code, body.output.Message, MEANINGS, codeOfStatus(status))
}

// --- calls -------------------------------------------------------------------------------------------------

interface Api {
  readonly service: Service
  readonly endpoint: string
  readonly keys: AcsKeys
}

interface Given<T> {
  readonly query: Readonly<Record<string, string>>
  readonly changes: boolean
  readonly expect: v.GenericSchema<unknown, T>
}

async function call<T>(api: Api, operation: string, given: Given<T>, run: Run): Promise<T> {
  const { query, changes, expect } = given
  const { origin, host } = new URL(api.endpoint)
  const request = (at: number): Omit<HttpRequest, 'signal'> => {
    const acs = { action: operation, version: VERSION, host, query, at, nonce: randomUUID() }
    return { method: 'POST', url: `${origin}/?${queryText(query)}`, headers: signAcs(acs, api.keys) }
  }
  return api.service.call({ operation, request, changes, expect }, run)
}

/** Every item of a list. */
const listAll = <T>(
  api: Api,
  operation: string,
  query: Readonly<Record<string, string>>,
  expect: v.GenericSchema<unknown, Page<T>>,
  run: Run,
): Promise<readonly T[]> =>
  everyItem(`${api.service.driver}: ${operation}`, page => {
    const paged = { ...query, PageNumber: String(page), PageSize: String(PAGE_SIZE) }
    return call(api, operation, { query: paged, changes: false, expect }, run)
  })

/** https://www.alibabacloud.com/help/en/dns/api-alidns-2015-01-09-describedomains */
const findZone = (api: Api, fqdn: string, run: Run): Promise<Zone> =>
  longestZone(fqdn, {
    run,
    driver: api.service.driver,
    operation: 'DescribeDomains',
    hint: 'Add the domain to Alibaba Cloud DNS of the account of this access key.',
    find: async name => {
      const query = { KeyWord: name, SearchMode: 'EXACT' }
      const zones = await listAll(api, 'DescribeDomains', query, zonesShape, run)
      return zones.find(zone => [zone.DomainName, zone.PunyCode ?? ''].map(bareName).includes(name)) ?? null
    },
  })

/** https://www.alibabacloud.com/help/en/dns/api-alidns-2015-01-09-describesubdomainrecords */
async function listTxt(api: Api, zone: Zone, fqdn: string, run: Run): Promise<readonly TxtEntry[]> {
  const query = { SubDomain: bareName(fqdn), DomainName: zone.DomainName, Type: 'TXT' }
  const rr = rrOf(zone, fqdn)
  return (await listAll(api, 'DescribeSubDomainRecords', query, recordsShape, run))
    .filter(record => record.Type === 'TXT' && record.RR.toLowerCase() === rr)
    .map(({ RecordId, Value }) => ({ id: RecordId, text: Value }))
}

const rrOf = ({ DomainName, PunyCode }: Zone, fqdn: string): string =>
  relativeName(fqdn, PunyCode || DomainName)

/** Of the slowest operation. https://help.aliyun.com/zh/dns/api-alidns-2015-01-09-quota */
const LIMIT = { perSecond: 60, burst: 60 }

const create = (config: Settings, context: DriverContext) => {
  const { accessKeyId, accessKeySecret, securityToken, endpoint, ttl, propagation } = config
  const driver = `solver ${context.name} (alidns)`
  const secrets = [accessKeyId, accessKeySecret, securityToken].flatMap(it => it?.reveal() ?? [])
  const service = createService({
    driver,
    http: context.http(config.caCertificates, LIMIT),
    secrets,
    refusalOf,
  })
  const api = { service, endpoint, keys: { accessKeyId, accessKeySecret, securityToken } }
  return createRecordSolver<Zone>({
    driver,
    endpoint,
    propagation,
    findZone: (fqdn, run) => findZone(api, fqdn, run),
    describe: ({ DomainName, PunyCode }) => ({ name: PunyCode || DomainName, nameServers: [] }),
    list: (zone, fqdn, run) => listTxt(api, zone, fqdn, run),
    // https://www.alibabacloud.com/help/en/dns/api-alidns-2015-01-09-adddomainrecord
    add: async (zone, fqdn, value, run) => {
      const where = { DomainName: zone.DomainName, RR: rrOf(zone, fqdn) }
      const query = { ...where, Type: 'TXT', Value: value, TTL: String(ttl) }
      const given = { query, changes: true, expect: changedShape }
      return (await call(api, 'AddDomainRecord', given, run)).RecordId
    },
    // https://www.alibabacloud.com/help/en/dns/api-alidns-2015-01-09-deletedomainrecord
    remove: (_, id, run) => {
      const given = { query: { RecordId: id }, changes: true, expect: changedShape }
      return call(api, 'DeleteDomainRecord', given, run)
    },
    done: DONE,
  })
}

/**
 * Alibaba Cloud DNS (Alidns), API 2015-01-09, signed with ACS3-HMAC-SHA256. Each value is a record of its own.
 * https://www.alibabacloud.com/help/en/dns/api-alidns-2015-01-09-overview
 * @throws RotationError `solver-zone-missing`, `unauthorized`, `forbidden`, `throttled`, `unreachable`,
 *   `unavailable`, `service-refused`, `out-of-time`
 */
export default defineSolver({
  settings,
  create,
  docs: {
    link: 'https://www.alibabacloud.com/help/en/dns/api-alidns-2015-01-09-overview',
    says: 'Alibaba Cloud DNS: `accessKeyId`, `accessKeySecret`; `securityToken`',
  },
})
