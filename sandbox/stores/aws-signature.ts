import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import type { Call } from '../kit/http.ts'

/** An access key; with `sessionToken` it is a temporary one. */
export interface AwsKey {
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

export interface AwsVerifyOptions {
  readonly keys: ReadonlyMap<string, AwsKey>
  readonly region: string
  /** `s3` encodes the path once and wants the hash of the body in a header. */
  readonly service: string
  readonly now: number
}

export type AwsRejection =
  | 'missing'
  | 'malformed'
  | 'unknown-key'
  | 'wrong-region'
  | 'skew'
  | 'token'
  | 'body'
  | 'signature'

const SKEW_MS = 15 * 60_000

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()

const encode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, c => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)

const canonicalQuery = (target: string): string => {
  const [, search = ''] = target.split('?', 2)
  return search
    .split('&')
    .filter(pair => pair !== '')
    .map(pair => {
      const [name = '', value = ''] = pair.split('=', 2)
      return [encode(decodeURIComponent(name)), encode(decodeURIComponent(value))] as const
    })
    .sort(([a, x], [b, y]) => (a === b ? (x < y ? -1 : 1) : a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${value}`)
    .join('&')
}

const canonicalPath = (path: string, service: string): string => {
  const once = (part: string) => encode(decodeURIComponent(part))
  return path
    .split('/')
    .map(part => (service === 's3' ? once(part) : encode(once(part))))
    .join('/')
}

const instantOf = (date: string): number =>
  Date.parse(date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'))

/**
 * What is wrong with the signature of a received request; null when nothing is. AWS Signature Version 4:
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
export function verifyAws(
  call: Omit<Call, 'params' | 'bytes'>,
  options: AwsVerifyOptions,
): AwsRejection | null {
  const { headers } = call
  if (headers.authorization === undefined) return 'missing'
  const found =
    /^AWS4-HMAC-SHA256 Credential=([^/,]+)\/(\d{8})\/([^/,]+)\/([^/,]+)\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(
      headers.authorization,
    )
  if (!found) return 'malformed'
  const [, accessKeyId = '', day = '', region = '', service = '', names = '', signature = ''] = found
  const key = options.keys.get(accessKeyId)
  if (!key) return 'unknown-key'
  if (region !== options.region || service !== options.service) return 'wrong-region'
  const date = headers['x-amz-date'] ?? ''
  const at = instantOf(date)
  if (!date.startsWith(day) || !(Math.abs(at - options.now) <= SKEW_MS)) return 'skew'
  if ((headers['x-amz-security-token'] ?? '') !== (key.sessionToken ?? '')) return 'token'
  const bodyHash = sha256(call.body)
  const said = headers['x-amz-content-sha256'] ?? (service === 's3' ? null : bodyHash)
  if (said === null || (said !== bodyHash && said !== 'UNSIGNED-PAYLOAD')) return 'body'
  const signed = names.split(';')
  // Everything that says what is meant must be signed, or a relay could change it.
  const must = Object.keys(headers).filter(name => name.startsWith('x-amz-') || name === 'host')
  if (must.some(name => !signed.includes(name))) return 'signature'
  const canonical = [
    call.method,
    canonicalPath(call.path, service),
    canonicalQuery(call.target),
    ...signed.map(name => `${name}:${(headers[name] ?? '').trim().replace(/ +/g, ' ')}`),
    '',
    names,
    said,
  ].join('\n')
  const scope = `${day}/${region}/${service}/aws4_request`
  const signingKey = [day, region, service, 'aws4_request'].reduce<string | Buffer>(
    hmac,
    `AWS4${key.secretAccessKey}`,
  )
  const right = hmac(signingKey, ['AWS4-HMAC-SHA256', date, scope, sha256(canonical)].join('\n'))
  return timingSafeEqual(right, Buffer.from(signature, 'hex')) ? null : 'signature'
}
