import { createHash, createHmac } from 'node:crypto'
import * as v from 'valibot'
import { secretField } from '../base/fields.ts'
import type { Secret } from '../base/secret.ts'
import { iso, SECOND_MS } from '../base/time.ts'
import { type DriverContext, defineSolver, type Run } from '../contracts.ts'
import { bareName } from '../dns/name.ts'
import { codeOfStatus, type Refusal, serviceErrorOf } from '../http/api-call.ts'
import type { HttpRequest, HttpResponse } from '../http/http.ts'
import { createService, type Service } from '../http/service.ts'
import { serviceFields, ttlField } from './shared/fields.ts'
import { type Meanings, meaningOf } from './shared/meaning.ts'
import { everyItem, type Page } from './shared/pages.ts'
import { createRecordSolver, type TxtEntry } from './shared/records.ts'
import { longestZone, relativeName } from './shared/zone.ts'

const settings = v.strictObject({
  /** Of a CAM user with dnspod:DescribeDomainList, DescribeRecordList, CreateRecord and DeleteRecord. */
  secretId: secretField(),
  /** With `secretId`. @example "env:TENCENTCLOUD_SECRET_KEY" */
  secretKey: secretField(),
  /** With temporary keys of STS. */
  token: v.optional(v.nullable(secretField()), null),
  /** Seconds; the free plan takes 600 and more. */
  ttl: ttlField(600),
  ...serviceFields('https://dnspod.tencentcloudapi.com'),
})
type Settings = v.InferOutput<typeof settings>

const ALGORITHM = 'TC3-HMAC-SHA256'
const SERVICE = 'dnspod'
const VERSION = '2021-03-23'
const CONTENT_TYPE = 'application/json; charset=utf-8'
const PAGE_SIZE = 1000
/** The line every plan has; its name exists in Chinese only, so the id decides. */
const DEFAULT_LINE = { RecordLine: '默认', RecordLineId: '0' }
const DONE = {
  added: new Set(['InvalidParameter.DomainRecordExist']),
  removed: new Set(['InvalidParameter.RecordIdInvalid', 'ResourceNotFound.NoDataOfRecord']),
}
/** How the service says that a list is empty. */
const EMPTY = new Set(['ResourceNotFound.NoDataOfRecord', 'ResourceNotFound.NoDataOfDomain'])

const zoneShape = v.object({ DomainId: v.number(), Name: v.string(), Punycode: v.nullish(v.string()) })
type Zone = v.InferOutput<typeof zoneShape>
const recordShape = v.object({ RecordId: v.number(), Name: v.string(), Type: v.string(), Value: v.string() })
const zonesShape = v.pipe(
  v.object({
    DomainCountInfo: v.object({ DomainTotal: v.number() }),
    DomainList: v.nullish(v.array(zoneShape)),
  }),
  v.transform(it => ({ total: it.DomainCountInfo.DomainTotal, items: it.DomainList ?? [] })),
)
const recordsShape = v.pipe(
  v.object({
    RecordCountInfo: v.object({ TotalCount: v.number() }),
    RecordList: v.nullish(v.array(recordShape)),
  }),
  v.transform(it => ({ total: it.RecordCountInfo.TotalCount, items: it.RecordList ?? [] })),
)
const createdShape = v.object({ RecordId: v.number() })

// --- signing -----------------------------------------------------------------------------------------------

export interface Tc3Request {
  readonly service: string
  readonly host: string
  readonly action: string
  readonly body: string
  readonly at: number
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()

/** The value of `Authorization` of a POST to `/`. https://cloud.tencent.com/document/api/1427/56189 */
export function signTc3(request: Tc3Request, secretId: Secret, secretKey: Secret): string {
  const { service, host, action, body, at } = request
  const date = iso(at).slice(0, 10)
  const signed = { 'content-type': CONTENT_TYPE, host, 'x-tc-action': action.toLowerCase() }
  const names = Object.keys(signed).join(';')
  const lines = Object.entries(signed).map(([name, value]) => `${name}:${value}\n`)
  const canonical = ['POST', '/', '', lines.join(''), names, sha256(body)].join('\n')
  const scope = `${date}/${service}/tc3_request`
  const toSign = [ALGORITHM, Math.floor(at / SECOND_MS), scope, sha256(canonical)].join('\n')
  const key = hmac(hmac(hmac(`TC3${secretKey.reveal()}`, date), service), 'tc3_request')
  const signature = hmac(key, toSign).toString('hex')
  return `${ALGORITHM} Credential=${secretId.reveal()}/${scope}, SignedHeaders=${names}, Signature=${signature}`
}

// --- answers -----------------------------------------------------------------------------------------------

const FORBIDDEN = /UnauthorizedOperation|^OperationDenied|^IpNotInWhitelist|^IpInBlacklist|NotDomainOwner/
const UNAUTHORIZED = /^AuthFailure/
const ZONE_MISSING = /DomainNotExists|DomainIdInvalid|DomainInvalid|NoDataOfDomain/

const MEANINGS: Meanings = {
  codes: [
    [FORBIDDEN, 'forbidden'],
    [UNAUTHORIZED, 'unauthorized'],
    [/RequestLimitExceeded|^LimitExceeded\.(FailedLoginLimit|Frequency)/, 'throttled'],
    [ZONE_MISSING, 'solver-zone-missing'],
    [
      /^(InternalError|ResourceUnavailable|ServiceUnavailable|FailedOperation\.DomainIsUpdating)/,
      'unavailable',
    ],
  ],
  hints: [
    [/SignatureExpire/, 'Check the clock of this machine: a signature may be five minutes off at most.'],
    [
      FORBIDDEN,
      'Grant the CAM user dnspod:DescribeDomainList, DescribeRecordList, CreateRecord and DeleteRecord.',
    ],
    [UNAUTHORIZED, 'Check secretId, secretKey and token, and that the key is enabled.'],
    [/RecordTtlLimit/, 'The plan of the domain takes no such ttl: the free one wants 600.'],
    [/^LimitExceeded/, 'The plan of the domain allows no more: delete some records, or upgrade it.'],
    [
      /SubdomainInvalid|SubdomainLevel/i,
      'The name is not one that DNSPod accepts in the plan of the domain.',
    ],
    [
      /Conflict|RecordLineConflict/i,
      'The name has another record, e.g. a CNAME, that allows no TXT beside it.',
    ],
    [ZONE_MISSING, 'The domain is not in this Tencent Cloud account.'],
  ],
}

const errorShape = v.object({
  Response: v.object({ Error: v.object({ Code: v.string(), Message: v.string() }) }),
})

/** Errors come with status 200. https://cloud.tencent.com/document/api/1427/56192 */
const refusalOf = ({ status }: HttpResponse, json: unknown): Refusal | null => {
  const body = v.safeParse(errorShape, json)
  if (!body.success) return status < 300 ? null : { code: codeOfStatus(status) }
  const { Code, Message } = body.output.Response.Error
  return meaningOf(Code, Message, MEANINGS, 'service-refused')
}

// --- calls -------------------------------------------------------------------------------------------------

interface Api {
  readonly service: Service
  readonly endpoint: string
  readonly keys: Pick<Settings, 'secretId' | 'secretKey' | 'token'>
}

async function call<T>(
  { service, endpoint, keys }: Api,
  operation: string,
  given: { readonly body: object; readonly changes: boolean; readonly expect: v.GenericSchema<unknown, T> },
  run: Run,
): Promise<T> {
  const body = JSON.stringify(given.body)
  const { origin, host } = new URL(endpoint)
  const { token, secretId, secretKey } = keys
  const request = (at: number): Omit<HttpRequest, 'signal'> => {
    const signed = { service: SERVICE, host, action: operation, body, at }
    const headers = {
      host,
      'content-type': CONTENT_TYPE,
      'x-tc-action': operation,
      'x-tc-version': VERSION,
      'x-tc-timestamp': String(Math.floor(at / SECOND_MS)),
      ...(token && { 'x-tc-token': token.reveal() }),
      authorization: signTc3(signed, secretId, secretKey),
    }
    return { method: 'POST', url: `${origin}/`, headers, body }
  }
  const expect = v.object({ Response: given.expect })
  const answer = await service.call({ operation, request, changes: given.changes, expect }, run)
  return answer.Response
}

/** Every item of a list. */
const listAll = <T>(
  api: Api,
  operation: string,
  query: object,
  expect: v.GenericSchema<unknown, Page<T>>,
  run: Run,
): Promise<readonly T[]> =>
  everyItem(`${api.service.driver}: ${operation}`, (_, offset) => {
    const body = { ...query, Offset: offset, Limit: PAGE_SIZE }
    return call(api, operation, { body, changes: false, expect }, run).catch(error => {
      if (EMPTY.has(serviceErrorOf(error)?.code ?? '')) return { total: 0, items: [] }
      throw error
    })
  })

/** https://cloud.tencent.com/document/api/1427/56172 */
const findZone = (api: Api, fqdn: string, run: Run): Promise<Zone> =>
  longestZone(fqdn, {
    run,
    driver: api.service.driver,
    operation: 'DescribeDomainList',
    hint: 'Add the domain to DNSPod of the account of this key.',
    find: async name => {
      const zones = await listAll(api, 'DescribeDomainList', { Keyword: name }, zonesShape, run)
      return zones.find(zone => [zone.Name, zone.Punycode ?? ''].map(bareName).includes(name)) ?? null
    },
  })

const placeOf = ({ Name, DomainId }: Zone) => ({ Domain: Name, DomainId })

const subdomainOf = ({ Name, Punycode }: Zone, fqdn: string): string => relativeName(fqdn, Punycode || Name)

/** https://cloud.tencent.com/document/api/1427/56166 */
async function listTxt(api: Api, zone: Zone, fqdn: string, run: Run): Promise<readonly TxtEntry[]> {
  const Subdomain = subdomainOf(zone, fqdn)
  const query = { ...placeOf(zone), Subdomain, RecordType: 'TXT', ErrorOnEmpty: 'no' }
  return (await listAll(api, 'DescribeRecordList', query, recordsShape, run))
    .filter(record => record.Type === 'TXT' && record.Name.toLowerCase() === Subdomain)
    .map(({ RecordId, Value }) => ({ id: String(RecordId), text: Value }))
}

/** Of the slowest operation. https://www.tencentcloud.com/document/api/1157/49025 */
const LIMIT = { perSecond: 100, burst: 100 }

const create = (config: Settings, context: DriverContext) => {
  const { secretId, secretKey, token, endpoint, ttl, propagation } = config
  const driver = `solver ${context.name} (tencentcloud)`
  const secrets = [secretId, secretKey, token].flatMap(it => it?.reveal() ?? [])
  const service = createService({
    driver,
    http: context.http(config.caCertificates, LIMIT),
    secrets,
    refusalOf,
  })
  const api = { service, endpoint, keys: { secretId, secretKey, token } }
  return createRecordSolver<Zone>({
    driver,
    endpoint,
    propagation,
    findZone: (fqdn, run) => findZone(api, fqdn, run),
    describe: ({ Name, Punycode }) => ({ name: Punycode || Name, nameServers: [] }),
    list: (zone, fqdn, run) => listTxt(api, zone, fqdn, run),
    // https://cloud.tencent.com/document/api/1427/56180
    add: async (zone, fqdn, value, run) => {
      const record = { SubDomain: subdomainOf(zone, fqdn), RecordType: 'TXT', Value: value, TTL: ttl }
      const body = { ...placeOf(zone), ...record, ...DEFAULT_LINE }
      const given = { body, changes: true, expect: createdShape }
      return String((await call(api, 'CreateRecord', given, run)).RecordId)
    },
    // https://cloud.tencent.com/document/api/1427/56176
    remove: (zone, id, run) => {
      const body = { ...placeOf(zone), RecordId: Number(id) }
      return call(api, 'DeleteRecord', { body, changes: true, expect: v.object({}) }, run)
    },
    done: DONE,
  })
}

/**
 * Tencent Cloud DNSPod, API 2021-03-23, signed with TC3-HMAC-SHA256. Each value is a record of its own.
 * https://cloud.tencent.com/document/api/1427/56193
 * @throws RotationError `solver-zone-missing`, `unauthorized`, `forbidden`, `throttled`, `unreachable`,
 *   `unavailable`, `service-refused`, `out-of-time`
 */
export default defineSolver({
  settings,
  create,
  docs: {
    link: 'https://cloud.tencent.com/document/api/1427/56193',
    says: 'DNSPod of Tencent Cloud: `secretId`, `secretKey`; `token`',
  },
})
