import * as v from 'valibot'
import { secretField } from '../base/fields.ts'
import type { Secret } from '../base/secret.ts'
import { type DriverContext, defineSolver, type Run } from '../contracts.ts'
import { bareName } from '../dns/name.ts'
import { codeOfStatus, type Refusal } from '../http/api-call.ts'
import type { HttpRequest, HttpResponse } from '../http/http.ts'
import { createService, type Service } from '../http/service.ts'
import type { ErrorCode } from '../model/errors.ts'
import { serviceFields, ttlField } from './shared/fields.ts'
import { everyItem } from './shared/pages.ts'
import { createRecordSolver, type TxtEntry } from './shared/records.ts'
import { quotedTxt, textOfTxt } from './shared/txt.ts'
import { longestZone } from './shared/zone.ts'

const settings = v.strictObject({
  /** An API token with `Zone: Read` and `DNS: Edit` for the zones; no global API key. */
  apiToken: secretField(),
  /** Seconds; 1 lets Cloudflare choose. */
  ttl: ttlField(120),
  ...serviceFields('https://api.cloudflare.com/client/v4'),
})
type Settings = v.InferOutput<typeof settings>

const serversShape = v.nullish(v.array(v.string()))
const zoneShape = v.object({
  id: v.string(),
  name: v.string(),
  status: v.nullish(v.string()),
  name_servers: serversShape,
  vanity_name_servers: serversShape,
})
type Zone = v.InferOutput<typeof zoneShape>
const recordShape = v.object({ id: v.string(), type: v.string(), name: v.string(), content: v.string() })
const createdShape = v.object({ result: v.object({ id: v.string() }) })

const PAGE_SIZE = 50
const DONE = { added: new Set(['81057', '81058']), removed: new Set(['81044']) }

// https://developers.cloudflare.com/fundamentals/api/troubleshooting/ and the errors of the operations.
const CODES: Readonly<Record<string, ErrorCode>> = {
  1000: 'unauthorized',
  6003: 'unauthorized',
  6103: 'unauthorized',
  6111: 'unauthorized',
  10001: 'unauthorized',
  // Too many failed authentications, which locks out a token that is right as well.
  10502: 'throttled',
  971: 'throttled',
}
const HINTS: Readonly<Record<string, string>> = {
  81045: 'The zone holds as many records as its plan allows: delete some, or choose a larger plan.',
  81053: 'The name has other records that allow no TXT record beside them.',
  81054: 'The name is an alias (CNAME): delegate it on purpose, or delete that record.',
  9000: 'The name does not fit into the zone.',
  9005: 'The name or value is not one Cloudflare accepts.',
}
const HINT_BY_CODE: Readonly<Partial<Record<ErrorCode, string>>> = {
  unauthorized: 'Check apiToken: it must be an API token (not a global API key) that is active.',
  forbidden:
    'Give the token the permissions "Zone: Read" and "DNS: Edit" for this zone, and allow the address of this machine.',
}

const errorsShape = v.object({ errors: v.array(v.object({ code: v.number(), message: v.string() })) })

const refusalOf = ({ status }: HttpResponse, json: unknown): Refusal | null => {
  const body = v.safeParse(errorsShape, json)
  const success = (json as { success?: unknown } | null | undefined)?.success
  if (status < 300 && success !== false) return null
  const [first] = body.success ? body.output.errors : []
  if (!first) return { code: codeOfStatus(status) }
  const { message } = first
  const serviceCode = String(first.code)
  // 9109 is a wrong token as well as one without the permission; only the text tells.
  const isWrongToken = serviceCode === '9109' && /access token/i.test(message)
  const code = isWrongToken ? 'unauthorized' : (CODES[serviceCode] ?? codeOfStatus(status))
  return { code, serviceCode, message, hint: HINTS[serviceCode] ?? HINT_BY_CODE[code] ?? null }
}

interface Api {
  readonly service: Service
  readonly endpoint: string
  readonly apiToken: Secret
}

interface Given<T> {
  readonly method: HttpRequest['method']
  readonly path: string
  readonly body?: object
  readonly expect: v.GenericSchema<unknown, T>
}

/** https://developers.cloudflare.com/fundamentals/api/how-to/make-api-calls/ */
async function call<T>(api: Api, operation: string, given: Given<T>, run: Run): Promise<T> {
  const { method, path, body, expect } = given
  const request = (): Omit<HttpRequest, 'signal'> => ({
    method,
    url: `${api.endpoint.replace(/\/+$/, '')}${path}`,
    headers: {
      authorization: `Bearer ${api.apiToken.reveal()}`,
      ...(body && { 'content-type': 'application/json' }),
    },
    ...(body && { body: JSON.stringify(body) }),
  })
  return api.service.call({ operation, request, changes: method !== 'GET', expect }, run)
}

/** Every item of a list. */
async function listAll<T>(
  api: Api,
  operation: string,
  list: {
    readonly path: string
    readonly query: Readonly<Record<string, string>>
    readonly shape: v.GenericSchema<unknown, T>
  },
  run: Run,
): Promise<readonly T[]> {
  const total_pages = v.optional(v.number(), 1)
  const expect = v.object({
    result: v.array(list.shape),
    result_info: v.optional(v.object({ total_pages }), {}),
  })
  return everyItem(`${api.service.driver}: ${operation}`, async page => {
    const query = { ...list.query, per_page: String(PAGE_SIZE), page: String(page) }
    const path = `${list.path}?${new URLSearchParams(query)}`
    const { result, result_info } = await call(api, operation, { method: 'GET', path, expect }, run)
    return { items: result, total: page < result_info.total_pages ? Infinity : 0 }
  })
}

/** https://developers.cloudflare.com/api/resources/zones/methods/list/ */
const findZone = (api: Api, fqdn: string, run: Run): Promise<Zone> =>
  longestZone(fqdn, {
    run,
    driver: api.service.driver,
    operation: 'ListZones',
    hint: 'Add the zone to this Cloudflare account, or give the token "Zone: Read" for it: others are not listed.',
    find: async name => {
      const list = { path: '/zones', query: { name }, shape: zoneShape }
      const found = await listAll(api, 'ListZones', list, run)
      const zones = found.filter(zone => bareName(zone.name) === name)
      return zones.find(({ status }) => status === 'active') ?? zones[0] ?? null
    },
  })

const recordsPath = (zone: Zone): string => `/zones/${encodeURIComponent(zone.id)}/dns_records`

/** https://developers.cloudflare.com/api/resources/dns/subresources/records/methods/list/ */
async function listTxt(api: Api, zone: Zone, fqdn: string, run: Run): Promise<readonly TxtEntry[]> {
  const name = bareName(fqdn)
  const query = { type: 'TXT', 'name.exact': name }
  const list = { path: recordsPath(zone), query, shape: recordShape }
  return (await listAll(api, 'ListDnsRecords', list, run))
    .filter(record => record.type === 'TXT' && bareName(record.name) === name)
    .map(({ id, content }) => ({ id, text: textOfTxt(content) }))
}

/** 1,200 requests in five minutes for a user. https://developers.cloudflare.com/fundamentals/api/reference/limits/ */
const LIMIT = { perSecond: 4, burst: 60 }

const create = (config: Settings, context: DriverContext) => {
  const { apiToken, endpoint, ttl, propagation } = config
  const driver = `solver ${context.name} (cloudflare)`
  const http = context.http(config.caCertificates, LIMIT)
  const service = createService({ driver, http, secrets: [apiToken.reveal()], refusalOf })
  const api = { service, endpoint, apiToken }
  return createRecordSolver<Zone>({
    driver,
    endpoint,
    propagation,
    findZone: (fqdn, run) => findZone(api, fqdn, run),
    // An active zone is one whose delegation Cloudflare has found to lead to it, under whatever names.
    describe: ({ name, status, name_servers, vanity_name_servers }) => ({
      name,
      nameServers: status === 'active' ? [] : [...(name_servers ?? []), ...(vanity_name_servers ?? [])],
    }),
    list: (zone, fqdn, run) => listTxt(api, zone, fqdn, run),
    // https://developers.cloudflare.com/api/resources/dns/subresources/records/methods/create/
    add: async (zone, fqdn, value, run) => {
      const content = quotedTxt(value)
      const body = { type: 'TXT', name: bareName(fqdn), content, ttl, comment: 'ACME challenge' }
      const given = { method: 'POST', path: recordsPath(zone), body, expect: createdShape } as const
      return (await call(api, 'CreateDnsRecord', given, run)).result.id
    },
    // https://developers.cloudflare.com/api/resources/dns/subresources/records/methods/delete/
    remove: (zone, id, run) => {
      const path = `${recordsPath(zone)}/${encodeURIComponent(id)}`
      return call(api, 'DeleteDnsRecord', { method: 'DELETE', path, expect: v.object({}) }, run)
    },
    done: DONE,
  })
}

/**
 * Cloudflare, API v4, by an API token. Each value is a record of its own.
 * https://developers.cloudflare.com/api/resources/dns/subresources/records/
 * @throws RotationError `solver-zone-missing`, `unauthorized`, `forbidden`, `throttled`, `unreachable`,
 *   `unavailable`, `service-refused`, `out-of-time`
 */
export default defineSolver({
  settings,
  create,
  docs: {
    link: 'https://developers.cloudflare.com/api/resources/dns/subresources/records/',
    says: '`apiToken` with Zone: Read and DNS: Edit',
  },
})
