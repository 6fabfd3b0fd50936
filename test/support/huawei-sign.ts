import { createHash, createHmac } from 'node:crypto'

export interface HuaweiKey {
  readonly accessKey: string
  readonly secretKey: string
  readonly securityToken?: string
}

export interface HuaweiRequest {
  readonly method: string
  /** Scheme, host and path, without a query. */
  readonly url: string
  readonly query?: Readonly<Record<string, string>>
  /** Sent and signed besides `host` and `x-sdk-date`. */
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly at: Date
}

export interface SignedRequest {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly signature: string
}

const percentEncode = (text: string): string => {
  let out = ''
  for (const byte of Buffer.from(text, 'utf8')) {
    const char = String.fromCharCode(byte)
    out += /[A-Za-z0-9._~-]/.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return out
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

/**
 * Signs a request by SDK-HMAC-SHA256, written apart from the code under test.
 * https://support.huaweicloud.com/intl/en-us/api-iothub/iot_06_v5_0091.html
 */
export function signHuawei(request: HuaweiRequest, key: HuaweiKey): SignedRequest {
  const url = new URL(request.url)
  const date = `${request.at.toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`
  const pairs = Object.entries(request.query ?? {}).map(([name, value]) => [
    percentEncode(name),
    percentEncode(value),
  ])
  const query = pairs
    .map(pair => pair.join('='))
    .sort()
    .join('&')
  const token = key.securityToken ? { 'x-security-token': key.securityToken } : {}
  const headers: Record<string, string> = { host: url.host, 'x-sdk-date': date, ...token }
  for (const [name, value] of Object.entries(request.headers ?? {})) headers[name.toLowerCase()] = value
  const names = Object.keys(headers).sort()
  const path = url.pathname
    .split('/')
    .map(segment => percentEncode(decodeURIComponent(segment)))
    .join('/')
  const canonical = [
    request.method,
    path.endsWith('/') ? path : `${path}/`,
    query,
    names.map(name => `${name}:${headers[name]}\n`).join(''),
    names.join(';'),
    sha256(request.body ?? ''),
  ].join('\n')
  const text = `SDK-HMAC-SHA256\n${date}\n${sha256(canonical)}`
  const signature = createHmac('sha256', key.secretKey).update(text).digest('hex')
  const authorization = `SDK-HMAC-SHA256 Access=${key.accessKey}, SignedHeaders=${names.join(';')}, Signature=${signature}`
  return {
    url: query === '' ? request.url : `${request.url}?${query}`,
    headers: { ...headers, authorization },
    signature,
  }
}
