import { createHash, createHmac, hkdfSync } from 'node:crypto'
import type { HuaweiKeys } from '../../contracts.ts'

/** `SDK-HMAC-SHA256` signs with the SK itself, `V11-HMAC-SHA256` with a key derived for day, region and service. */
export type SigningAlgorithm = 'SDK-HMAC-SHA256' | 'V11-HMAC-SHA256'

/** A request as it goes on the wire; `body` is empty for none. */
export interface SignableRequest {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export interface SignOptions {
  readonly keys: HuaweiKeys
  readonly algorithm: SigningAlgorithm
  /** Part of the scope of V11. */
  readonly region: string
  /** The instant of the request, milliseconds since the epoch. */
  readonly at: number
  /** Part of the scope of V11. Default `iotdm`, IoTDA's name there. */
  readonly service?: string
}

/** Proxies and HTTP clients rewrite these, which would break the signature. */
const UNSIGNED_HEADERS = new Set(['authorization', 'connection', 'content-length', 'user-agent'])

const hexSha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

const encode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, c => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
const recode = (text: string): string => encode(decodeURIComponent(text))
const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

const canonicalPath = (pathname: string): string => {
  const path = pathname.split('/').map(recode).join('/')
  return path.endsWith('/') ? path : `${path}/`
}

/** Pairs are sorted apart: `a=…` and `a-b=…` joined first would sort the wrong way round. */
const canonicalQuery = (search: string): string =>
  search
    .replace(/^\?/, '')
    .split('&')
    .filter(pair => pair !== '')
    .map(pair => {
      const [name = '', ...value] = pair.split('=')
      return [recode(name), recode(value.join('='))] as const
    })
    .sort(([aName, aValue], [bName, bValue]) => byText(aName, bName) || byText(aValue, bValue))
    .map(([name, value]) => `${name}=${value}`)
    .join('&')

/**
 * The text both algorithms sign. `headers` are exactly those to be signed, `host` and `x-sdk-date` among them.
 * https://support.huaweicloud.com/intl/en-us/api-iothub/iot_06_v5_0091.html
 */
export function canonicalRequest({ method, url, headers, body }: SignableRequest): string {
  const { pathname, search } = new URL(url)
  const lines = Object.entries(headers)
    .map(([name, value]) => [name.toLowerCase(), value.trim()] as const)
    .sort(([a], [b]) => byText(a, b))
  return [
    method.toUpperCase(),
    canonicalPath(pathname),
    canonicalQuery(search),
    ...lines.map(([name, value]) => `${name}:${value}`),
    '',
    lines.map(([name]) => name).join(';'),
    hexSha256(body),
  ].join('\n')
}

/** The key of V11: the hexadecimal text of an HKDF, not its bytes. `scope` is `yyyymmdd/region/service`. */
export function derivedKey(keys: HuaweiKeys, scope: string): string {
  const bytes = hkdfSync('sha256', keys.secretKey.reveal(), keys.accessKey.reveal(), scope, 32)
  return Buffer.from(bytes).toString('hex')
}

/**
 * Signs a request: the headers to send, those of the request included. `Host` is signed and left to the HTTP
 * client, which sends the same. A request is good for 15 minutes, so each attempt is signed anew.
 * https://support.huaweicloud.com/intl/en-us/api-iothub/iot_06_v5_0091.html
 */
export function sign(request: SignableRequest, options: SignOptions): Record<string, string> {
  const { keys, algorithm, region, service = 'iotdm' } = options
  const date = `${new Date(options.at).toISOString().replace(/[-:]|\.\d+Z$/g, '')}Z`
  const sent: Record<string, string> = { ...request.headers, 'X-Sdk-Date': date }
  if (keys.securityToken) sent['X-Security-Token'] = keys.securityToken.reveal()
  const signed = Object.entries({ ...sent, Host: new URL(request.url).host })
    .map(([name, value]) => [name.toLowerCase(), value] as const)
    .filter(([name]) => !UNSIGNED_HEADERS.has(name))
  const names = signed.map(([name]) => name).sort(byText)
  const hash = hexSha256(canonicalRequest({ ...request, headers: Object.fromEntries(signed) }))
  const derived = algorithm === 'V11-HMAC-SHA256'
  const scope = `${date.slice(0, 8)}/${region}/${service}`
  const text = [algorithm, date, ...(derived ? [scope] : []), hash].join('\n')
  const key = derived ? derivedKey(keys, scope) : keys.secretKey.reveal()
  const signature = createHmac('sha256', key).update(text).digest('hex')
  const accessKey = keys.accessKey.reveal()
  const who = derived ? `Credential=${accessKey}/${scope}` : `Access=${accessKey}`
  return {
    ...sent,
    Authorization: `${algorithm} ${who}, SignedHeaders=${names.join(';')}, Signature=${signature}`,
  }
}

/**
 * The algorithm an endpoint wants; `auto` is the rule of Huawei's Terraform provider: hosts of standard and
 * enterprise instances want the derived key.
 * https://github.com/huaweicloud/terraform-provider-huaweicloud/blob/master/huaweicloud/services/iotda/derived.go
 */
export function algorithmFor(
  endpoint: string,
  region: string,
  signing: 'auto' | 'standard' | 'derived',
): SigningAlgorithm {
  const derived =
    signing === 'auto' ? new URL(endpoint).hostname.includes(`.iotda-app.${region}.`) : signing === 'derived'
  return derived ? 'V11-HMAC-SHA256' : 'SDK-HMAC-SHA256'
}
