import { createHash, createHmac, hkdfSync } from 'node:crypto'

export type SigningAlgorithm = 'SDK-HMAC-SHA256' | 'V11-HMAC-SHA256'

/** A request as it was received; header names in lower case. */
export interface ReceivedRequest {
  readonly method: string
  /** Path and query exactly as on the wire. */
  readonly target: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** An access key; with `securityToken` it is a temporary one. */
export interface AccessKey {
  readonly secretKey: string
  readonly securityToken?: string
}

export interface VerifyOptions {
  readonly keys: ReadonlyMap<string, AccessKey>
  /** What this host wants. */
  readonly algorithm: SigningAlgorithm
  readonly region: string
  /** Last part of the V11 credential scope. Default `iotdm`. */
  readonly service?: string
  readonly now: number
  /** An `X-Auth-Token` that is accepted instead of a signature. */
  readonly token?: string
}

export type RejectionCode =
  | 'wrong-algorithm'
  | 'skew'
  | 'unknown-key'
  | 'signature'
  | 'missing-token'
  | 'missing'

export interface Rejection {
  readonly ok: false
  readonly code: RejectionCode
  readonly message: string
}

export type Verdict = { readonly ok: true } | Rejection

const maxSkewMs = 15 * 60_000

const sha256 = (text: string): string => createHash('sha256').update(text, 'utf8').digest('hex')
const hmac = (key: string, text: string): string =>
  createHmac('sha256', key).update(text, 'utf8').digest('hex')

const encode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, char => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
const recode = (part: string): string => encode(decodeURIComponent(part))

const canonicalPath = (path: string): string => {
  const encoded = path.split('/').map(recode).join('/')
  return encoded.endsWith('/') ? encoded : `${encoded}/`
}

/** A literal `+` stays a plus sign: only percent-encoding is undone before it is done again. */
const canonicalQuery = (query: string): string =>
  query
    .split('&')
    .filter(pair => pair !== '')
    .map(pair => {
      const equals = pair.indexOf('=')
      return equals < 0
        ? ([recode(pair), ''] as const)
        : ([recode(pair.slice(0, equals)), recode(pair.slice(equals + 1))] as const)
    })
    .sort(([aName, aValue], [bName, bValue]) =>
      aName === bName ? (aValue < bValue ? -1 : 1) : aName < bName ? -1 : 1,
    )
    .map(([name, value]) => `${name}=${value}`)
    .join('&')

/**
 * The canonical request both algorithms sign.
 * https://support.huaweicloud.com/intl/en-us/api-iothub/iot_06_v5_0091.html
 */
export function canonicalRequest(request: ReceivedRequest, signedHeaders: readonly string[]): string {
  const { target } = request
  const question = target.indexOf('?')
  const path = question < 0 ? target : target.slice(0, question)
  return [
    request.method.toUpperCase(),
    canonicalPath(path),
    canonicalQuery(question < 0 ? '' : target.slice(question + 1)),
    ...signedHeaders.map(name => `${name}:${(request.headers[name] ?? '').trim()}`),
    '',
    signedHeaders.join(';'),
    request.headers['x-sdk-content-sha256'] ?? sha256(request.body),
  ].join('\n')
}

/** The key of V11: the hexadecimal text of an HKDF, not its bytes. */
export function derivedKey(accessKey: string, secretKey: string, scope: string): string {
  return Buffer.from(hkdfSync('sha256', secretKey, accessKey, scope, 32)).toString('hex')
}

/** The signature a request should carry; `scope` (`date/region/service`) is for V11 only. */
export function signatureOf(
  algorithm: SigningAlgorithm,
  canonical: string,
  options: {
    readonly accessKey: string
    readonly secretKey: string
    readonly date: string
    readonly scope: string
  },
): string {
  const { accessKey, secretKey, date, scope } = options
  if (algorithm === 'SDK-HMAC-SHA256') return hmac(secretKey, [algorithm, date, sha256(canonical)].join('\n'))
  return hmac(derivedKey(accessKey, secretKey, scope), [algorithm, date, scope, sha256(canonical)].join('\n'))
}

interface Parsed {
  readonly accessKey: string
  readonly scope: string
  readonly signedHeaders: readonly string[]
  readonly signature: string
}

const parseAuthorization = (algorithm: SigningAlgorithm, value: string): Parsed | null => {
  const found = /^\S+ (Access|Credential)=([^,\s]+), SignedHeaders=([^,\s]+), Signature=([0-9a-f]{64})$/.exec(
    value,
  )
  if (!found) return null
  const [, field, credential = '', names = '', signature = ''] = found
  if (field !== (algorithm === 'SDK-HMAC-SHA256' ? 'Access' : 'Credential')) return null
  const slash = credential.indexOf('/')
  return {
    accessKey: slash < 0 ? credential : credential.slice(0, slash),
    scope: slash < 0 ? '' : credential.slice(slash + 1),
    signedHeaders: names.split(';'),
    signature,
  }
}

const parseDate = (text: string): number => {
  const found = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(text)
  if (!found) return Number.NaN
  const [, year, month, day, hour, minute, second] = found.map(Number)
  return Date.UTC(year ?? 0, (month ?? 0) - 1, day, hour, minute, second)
}

const reject = (code: RejectionCode, message: string): Rejection => ({ ok: false, code, message })
const badSignature = (why: string): Rejection => reject('signature', `verify aksk signature fail: ${why}`)

const badHeaders = (request: ReceivedRequest, names: readonly string[]): string | null => {
  const sorted = [...new Set(names.map(name => name.toLowerCase()))].sort()
  if (sorted.join(';') !== names.join(';')) return 'SignedHeaders are not sorted lower-case names'
  // The date is all that has to be: Huawei's Go SDK and Terraform provider never sign `host`.
  if (!names.includes('x-sdk-date')) return 'header x-sdk-date is not signed'
  for (const name of names)
    if (request.headers[name] === undefined) return `signed header ${name} was not received`
  return null
}

const badToken = (request: ReceivedRequest, names: readonly string[], key: AccessKey): Rejection | null => {
  if (key.securityToken === undefined) return null
  const token = request.headers['x-security-token']
  if (token === undefined) return reject('missing-token', 'X-Security-Token of the temporary key is missing')
  if (!names.includes('x-security-token')) return reject('missing-token', 'X-Security-Token is not signed')
  return token === key.securityToken ? null : reject('missing-token', 'X-Security-Token is invalid')
}

const compare = (
  request: ReceivedRequest,
  options: VerifyOptions,
  parsed: Parsed,
  secretKey: string,
): Verdict => {
  const date = request.headers['x-sdk-date'] ?? ''
  const scope = `${date.slice(0, 8)}/${options.region}/${options.service ?? 'iotdm'}`
  if (options.algorithm === 'V11-HMAC-SHA256' && parsed.scope !== scope)
    return badSignature(`the credential scope must be ${scope}`)
  let canonical: string
  try {
    canonical = canonicalRequest(request, parsed.signedHeaders)
  } catch {
    return badSignature('the request target is not valid percent-encoding')
  }
  const { accessKey } = parsed
  const expected = signatureOf(options.algorithm, canonical, { accessKey, secretKey, date, scope })
  return expected === parsed.signature ? { ok: true } : badSignature('signatures differ')
}

/**
 * Judges the credentials of a request as received.
 * https://support.huaweicloud.com/intl/en-us/api-iothub/iot_06_v5_0091.html
 */
export function verifySignature(request: ReceivedRequest, options: VerifyOptions): Verdict {
  const token = request.headers['x-auth-token']
  if (token !== undefined && options.token !== undefined)
    return token === options.token ? { ok: true } : reject('missing', 'X-Auth-Token is invalid')
  const authorization = request.headers.authorization
  if (authorization === undefined) return reject('missing', 'Authorization is missing')
  const [scheme] = authorization.split(' ', 1)
  if (scheme !== options.algorithm)
    return /^(SDK|V11)-HMAC-SHA256$/.test(scheme ?? '')
      ? reject('wrong-algorithm', `this host wants ${options.algorithm}`)
      : reject('missing', 'Authorization has an unknown scheme')
  const parsed = parseAuthorization(options.algorithm, authorization)
  if (!parsed) return badSignature('Authorization is malformed')
  const signedAt = parseDate(request.headers['x-sdk-date'] ?? '')
  if (Number.isNaN(signedAt)) return badSignature('X-Sdk-Date is missing or malformed')
  if (Math.abs(options.now - signedAt) > maxSkewMs)
    return reject('skew', 'X-Sdk-Date is more than 15 minutes off')
  const key = options.keys.get(parsed.accessKey)
  if (!key) return reject('unknown-key', `no such access key: ${parsed.accessKey}`)
  const headers = badHeaders(request, parsed.signedHeaders)
  return (
    badToken(request, parsed.signedHeaders, key) ??
    (headers ? badSignature(headers) : compare(request, options, parsed, key.secretKey))
  )
}
