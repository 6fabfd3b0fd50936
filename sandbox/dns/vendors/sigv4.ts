/** Checks AWS Signature Version 4 from its description: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html */
import { createHash, createHmac } from 'node:crypto'
import type { Call } from '../../kit/http.ts'

export interface SigV4Key {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken?: string
}

export type SigV4Verdict =
  | { readonly ok: true }
  | { readonly ok: false; readonly code: string; readonly message: string }

const SKEW_MS = 15 * 60_000
const AUTHORIZATION =
  /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([a-z0-9-]+)\/([a-z0-9-]+)\/aws4_request, ?SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})$/

const hex = (text: string): string => createHash('sha256').update(text).digest('hex')

const encoded = (text: string): string =>
  [...Buffer.from(text, 'utf8')]
    .map(byte => {
      const char = String.fromCharCode(byte)
      return /[A-Za-z0-9\-_.~]/.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
    })
    .join('')

const refuse = (code: string, message: string): SigV4Verdict => ({ ok: false, code, message })

/** For services other than S3. */
export function verifySigV4(call: Call, key: SigV4Key, service: string, now: number): SigV4Verdict {
  const { method, path, query, headers, body } = call
  const [, id, date = '', region = '', named, signed = '', signature] =
    AUTHORIZATION.exec(headers.authorization ?? '') ?? []
  if (id === undefined) return refuse('MissingAuthenticationToken', 'Request is missing Authentication Token')
  if (id !== key.accessKeyId || headers['x-amz-security-token'] !== key.sessionToken)
    return refuse('InvalidClientTokenId', 'The security token included in the request is invalid.')
  const stamp = headers['x-amz-date'] ?? ''
  const at = Date.parse(stamp.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'))
  if (!(Math.abs(at - now) <= SKEW_MS) || !stamp.startsWith(date))
    return refuse('SignatureDoesNotMatch', `Signature expired: ${stamp}`)
  const names = signed.split(';')
  const pairs = [...query].map(([name, value]) => `${encoded(name)}=${encoded(value)}`).sort()
  const lines = names.map(name => `${name}:${(headers[name] ?? '').trim().replace(/ +/g, ' ')}\n`).join('')
  const canonicalPath = path.split('/').map(encoded).join('/')
  const request = [method, canonicalPath, pairs.join('&'), lines, signed, hex(body)].join('\n')
  const scope = `${date}/${region}/${service}/aws4_request`
  const text = ['AWS4-HMAC-SHA256', stamp, scope, hex(request)].join('\n')
  let derived: Buffer = Buffer.from(`AWS4${key.secretAccessKey}`)
  for (const part of [date, region, service, 'aws4_request', text])
    derived = createHmac('sha256', derived).update(part).digest()
  const complete = names.includes('host') && names.includes('x-amz-date') && named === service
  return complete && derived.toString('hex') === signature
    ? { ok: true }
    : refuse(
        'SignatureDoesNotMatch',
        'The request signature we calculated does not match the signature you provided.',
      )
}
