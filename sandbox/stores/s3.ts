import { createHash, randomUUID } from 'node:crypto'
import type { Faults } from '../kit/faults.ts'
import { type Answer, type Call, type Route, type Served, serve } from '../kit/http.ts'
import { type AwsKey, type AwsRejection, verifyAws } from './aws-signature.ts'

/** What the simulator does differently from S3, or as S3 does it at times. */
export interface S3Switches {
  /** As an S3-compatible service that never heard of conditional writes. */
  ignoreConditions: boolean
  /** Every n-th conditional write is answered with 409 ConditionalRequestConflict; 0: none. */
  conflictEvery: number
  /** As a service that keeps objects as files (Versity's gateway): none is held whose name is the folder of another. */
  asFiles: boolean
  /** Actions that the key may not do, e.g. `s3:PutObject`. Without `s3:ListBucket`, 404 becomes 403. */
  denied: readonly string[]
  /** Keys that begin so are answered with this status, whatever is asked. */
  failing: { readonly prefix: string; readonly status: number } | null
}

export interface S3Object {
  readonly body: string
  readonly etag: string
  readonly metadata: Readonly<Record<string, string>>
  readonly contentType?: string
  /** The canned ACL that was asked for; null: none, so that the object is the owner's alone. */
  readonly acl?: string | null
}

export interface S3Options {
  readonly faults: Faults
  readonly keys: ReadonlyMap<string, AwsKey>
  readonly bucket: string
  readonly region?: string
  readonly now?: () => number
  readonly switches?: Partial<S3Switches>
}

export interface S3 extends Served {
  readonly switches: S3Switches
  /** By key. */
  readonly objects: Map<string, S3Object>
}

const DEPTH_AT_MOST = 8

const xml = (text: string): string =>
  text.replace(/[<>&]/g, c => ({ '<': '&lt;', '>': '&gt;', '&': '&amp;' })[c] ?? c)

/** https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html */
const problem = (
  status: number,
  code: string,
  message: string,
  more: Readonly<Record<string, string>> = {},
): Answer => ({
  status,
  headers: { 'content-type': 'application/xml' },
  body: `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${xml(message)}</Message>${Object.entries(
    more,
  )
    .map(([name, value]) => `<${name}>${xml(value)}</${name}>`)
    .join('')}<RequestId>${randomUUID()}</RequestId></Error>`,
})

const noSuchKey = (key: string): Answer =>
  problem(404, 'NoSuchKey', 'The specified key does not exist.', { Key: key })

const rejected = (why: AwsRejection, region: string): Answer => {
  if (why === 'missing') return problem(403, 'AccessDenied', 'Access Denied')
  if (why === 'unknown-key')
    return problem(
      403,
      'InvalidAccessKeyId',
      'The AWS Access Key Id you provided does not exist in our records.',
    )
  if (why === 'skew')
    return problem(
      403,
      'RequestTimeTooSkewed',
      'The difference between the request time and the current time is too large.',
    )
  if (why === 'token')
    return problem(400, 'InvalidToken', 'The provided token is malformed or otherwise invalid.')
  if (why === 'body')
    return problem(400, 'XAmzContentSHA256Mismatch', 'The provided header does not match what was computed.')
  if (why === 'wrong-region')
    return problem(
      400,
      'AuthorizationHeaderMalformed',
      `The authorization header is malformed; the region is wrong; expecting '${region}'`,
      { Region: region },
    )
  return problem(
    403,
    'SignatureDoesNotMatch',
    'The request signature we calculated does not match the signature you provided.',
  )
}

/** Amazon S3 in path style: objects of one bucket, with conditional writes. */
export async function createS3(options: S3Options): Promise<S3> {
  const { faults, keys, bucket, region = 'eu-central-1', now = Date.now } = options
  const objects = new Map<string, S3Object>()
  const switches: S3Switches = {
    ignoreConditions: false,
    conflictEvery: 0,
    asFiles: false,
    denied: [],
    failing: null,
    ...options.switches,
  }
  let conditional = 0

  const keyOf = (call: Call): string => decodeURIComponent(call.path.split('/').slice(2).join('/'))
  const may = (action: string): boolean => !switches.denied.includes(action)
  const absent = (key: string): Answer =>
    may('s3:ListBucket') ? noSuchKey(key) : problem(403, 'AccessDenied', 'Access Denied')

  const get = (call: Call): Answer => {
    const object = objects.get(keyOf(call))
    if (!object) return absent(keyOf(call))
    const metadata = Object.entries(object.metadata).map(([name, value]) => [`x-amz-meta-${name}`, value])
    return {
      status: 200,
      headers: {
        etag: object.etag,
        'content-type': object.contentType ?? 'text/plain',
        ...Object.fromEntries(metadata),
      },
      body: object.body,
    }
  }

  /** https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html */
  const unmet = (call: Call): Answer | null => {
    const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = call.headers
    if (switches.ignoreConditions || (ifMatch ?? ifNoneMatch) === undefined) return null
    conditional += 1
    if (switches.conflictEvery > 0 && conditional % switches.conflictEvery === 0)
      return problem(409, 'ConditionalRequestConflict', 'A conflicting conditional operation is in progress.')
    const there = objects.get(keyOf(call))
    if (ifNoneMatch !== undefined && ifNoneMatch !== '*')
      return problem(501, 'NotImplemented', 'A header you provided implies functionality not implemented')
    if (ifMatch !== undefined && !there) return noSuchKey(keyOf(call))
    const met = ifMatch === undefined ? !there : there?.etag === ifMatch || ifMatch === '*'
    return met
      ? null
      : problem(412, 'PreconditionFailed', 'At least one of the pre-conditions you specified did not hold')
  }

  const inTheWay = (key: string): Answer | null => {
    const names = switches.asFiles ? [...objects.keys()] : []
    if (names.some(name => name.startsWith(`${key}/`)))
      return problem(409, 'ExistingObjectIsDirectory', 'Existing Object is a directory.')
    return names.some(name => key.startsWith(`${name}/`))
      ? problem(409, 'ObjectParentIsFile', 'Object parent already exists as a file.')
      : null
  }

  const put = (call: Call): Answer => {
    const refusal = unmet(call) ?? inTheWay(keyOf(call))
    if (refusal) return refusal
    const etag = `"${createHash('md5').update(call.body).digest('hex')}"`
    const metadata = Object.entries(call.headers)
      .filter(([name]) => name.startsWith('x-amz-meta-'))
      .map(([name, value]) => [name.replace('x-amz-meta-', ''), value] as const)
    objects.set(keyOf(call), {
      ...{ body: call.body, etag, metadata: Object.fromEntries(metadata) },
      contentType: call.headers['content-type'] ?? 'binary/octet-stream',
      acl: call.headers['x-amz-acl'] ?? null,
    })
    return { status: 200, headers: { etag } }
  }

  const remove = (call: Call): Answer => {
    objects.delete(keyOf(call))
    return { status: 204 }
  }

  const guarded =
    (action: string, handle: (call: Call) => Answer) =>
    (call: Call): Answer => {
      if (call.params.bucket !== bucket)
        return problem(404, 'NoSuchBucket', 'The specified bucket does not exist')
      const { failing } = switches
      if (failing !== null && keyOf(call).startsWith(failing.prefix))
        return failing.status === 403
          ? problem(403, 'AccessDenied', 'Access Denied')
          : problem(failing.status, 'InternalError', 'We encountered an internal error. Please try again.')
      return may(action) ? handle(call) : problem(403, 'AccessDenied', 'Access Denied')
    }
  const operations = [
    ['GET', 'GetObject', get],
    ['PUT', 'PutObject', put],
    ['DELETE', 'DeleteObject', remove],
  ] as const
  const routes: Route[] = Array.from({ length: DEPTH_AT_MOST }, (_, depth) =>
    operations.map(([method, operation, handle]) => ({
      method,
      operation,
      path: `/:bucket${Array.from({ length: depth + 1 }, (_, i) => `/:part${i}`).join('')}`,
      handle: guarded(`s3:${operation}`, handle),
    })),
  ).flat()

  const served = await serve({
    service: 's3',
    faults,
    routes,
    before: call => {
      const why = verifyAws(call, { keys, region, service: 's3', now: now() })
      return why === null ? null : rejected(why, region)
    },
    headers: () => ({ 'x-amz-request-id': randomUUID() }),
  })
  return { ...served, switches, objects }
}
