import * as v from 'valibot'
import { environmentReference } from '../base/fields.ts'
import { RotationError } from '../base/rotation-error.ts'
import { createAwsClient } from '../clouds/aws/client.ts'
import { allow, prefixOf, textOf } from '../clouds/aws/policy.ts'
import { isAbsentObject, objectUrl, readPermission } from '../clouds/aws/s3.ts'
import { type AwsSettings, awsSettings } from '../clouds/aws/settings.ts'
import { type DriverContext, defineStore, type RawEntry, type StateStore } from '../contracts.ts'
import { serviceErrorOf } from '../http/api-call.ts'
import type { HttpResponse } from '../http/http.ts'
import { conditionalStore, type DocumentService, type Kept } from './shared/conditional-store.ts'
import { enclose, open } from './shared/envelope.ts'
import { movingStore } from './shared/moving-store.ts'

/**
 * One object for each document, written with `If-Match` or `If-None-Match: *`; the revision is its ETag. Every
 * write leaves other bytes (shared/envelope.ts), so that the same text written twice has two ETags.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
 *
 * No object's name is the folder of another's: a service that keeps objects as files could not hold both.
 *
 * Another S3-compatible service must honour both conditions. One that ignores them, as Huawei OBS does, is found
 * out when the first lease is taken, and refused.
 */

const PREFIX = 'iotda-cert/'

const own = {
  /** Default: what IOTDA_CERT_STATE_BUCKET says, as the deployment to AWS sets it. @example "my-state" */
  bucket: v.pipe(
    v.optional(
      v.nullable(
        v.pipe(
          v.string('must be the name of a bucket'),
          v.regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'must be the name of a bucket'),
        ),
      ),
      null,
    ),
    v.transform(
      name =>
        name ??
        (environmentReference('IOTDA_CERT_STATE_BUCKET', {
          secret: false,
          optional: false,
        }) as unknown as string),
    ),
  ),
  /** What every object's key begins with. */
  prefix: v.optional(
    v.pipe(
      v.string('must be a text'),
      v.regex(/^([\w.-]+\/)*[\w.-]*$/, 'must be letters, digits, . _ - and single slashes'),
    ),
    PREFIX,
  ),
}
interface Settings extends AwsSettings {
  readonly bucket: string
  readonly prefix: string
}

const DRIVER = 's3 store'

const create = (settings: Settings, context: DriverContext): StateStore => {
  const { bucket, prefix } = settings
  const { clock } = context
  const call = createAwsClient({
    http: context.http(settings.caCertificates),
    clock,
    keys: settings,
    region: settings.region,
    service: 's3',
    driver: DRIVER,
  })

  const permissionOf = (operation: string, name: string): string => `s3:${operation} on ${bucket}/${name}`
  /** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html */
  const put = (name: string, body: string, headers: Record<string, string>, retry: 'safe' | 'never') =>
    call({
      operation: 'PutObject',
      method: 'PUT',
      url: objectUrl(settings, name),
      headers,
      body,
      // Sealed keys are among the documents.
      isConfidential: true,
      retry,
      permission: permissionOf('PutObject', name),
    })
  const revisionOf = (
    { headers }: Pick<HttpResponse, 'headers'>,
    operation: string,
    name: string,
  ): string => {
    if (headers.etag !== undefined) return headers.etag
    const key = name.slice(prefix.length)
    throw new RotationError('unavailable', `${DRIVER}: ${operation} of ${key} answered without an ETag`)
  }

  const service: DocumentService<Kept> = {
    driver: DRIVER,
    place: `s3/${bucket}/${prefix}`,
    nameOf: key => `${prefix}${objectName(key)}`,
    /** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html */
    read: async name => {
      try {
        const answer = await call({
          operation: 'GetObject',
          method: 'GET',
          url: objectUrl(settings, name),
          retry: 'safe',
          permission: readPermission(bucket, name),
        })
        const revision = revisionOf(answer, 'GetObject', name)
        return { ...open(answer.text, `${DRIVER}: ${bucket}/${name}`), revision }
      } catch (error) {
        if (isAbsentObject(error)) return null
        throw error
      }
    },
    mark: enclose,
    write: async ({ name, text, token, expected }) => {
      const headers = {
        'Content-Type': 'text/plain; charset=utf-8',
        // For people who look at the object: the program finds the same in its first line.
        'X-Amz-Meta-Writer': token,
        ...(expected === null ? { 'If-None-Match': '*' } : { 'If-Match': expected }),
      }
      return revisionOf(await put(name, text, headers, 'never'), 'PutObject', name)
    },
    /** https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html */
    remove: async name => {
      await call({
        operation: 'DeleteObject',
        method: 'DELETE',
        url: objectUrl(settings, name),
        retry: 'safe',
        permission: permissionOf('DeleteObject', name),
      }).catch(error => {
        if (!isAbsentObject(error)) throw error
      })
    },
    // The object may be another one than expected: absent (404), changed (412), being written (409).
    isDisputed: error => isAbsentObject(error) || [409, 412].includes(serviceErrorOf(error)?.status ?? 0),
  }
  const earlier: DocumentService<Kept> = { ...service, nameOf: key => `${prefix}${key}` }
  const isMoved = (key: string): boolean => objectName(key) !== key
  return {
    ...movingStore(conditionalStore(service, clock), conditionalStore(earlier, clock), isMoved),
    /** Beside the documents, not among them, so that either may be given to read without the other. */
    publish: async page => {
      const name = pageKey(prefix)
      // The same page put twice is the same page.
      await put(
        name,
        page,
        { 'Content-Type': 'text/html; charset=utf-8', 'Cache-Control': 'no-cache' },
        'safe',
      )
      return `s3://${bucket}/${name}`
    },
  }
}

/** `a/b/c` is `a/b.c`, and `a` is `a.document`; until version 0.2 they were `a/b/c` and `a`. */
const objectName = (key: string): string => {
  const [first = '', ...rest] = key.split('/')
  return rest.length === 0 ? `${first}.document` : `${first}/${rest.join('.')}`
}

/** Where the page is put: beside the documents. */
const pageKey = (prefix: string): string => `${prefix.replace(/\/$/, '') || 'iotda-cert'}-page/status.html`

const bucketOf = (entry: RawEntry, partition: string): string =>
  `arn:${partition}:s3:::${textOf(entry, 'bucket', 'iotda-cert-*')}`

export default defineStore({
  canPublish: true,
  settings: awsSettings(own, 'S3'),
  create,
  docs: {
    link: 'https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html',
    says: 'a bucket of S3, or of an S3-compatible service by `endpoint`: `bucket` (default: IOTDA_CERT_STATE_BUCKET); `prefix`, `region`, keys',
  },
  permissions: {
    aws: ([entry = {}], { partition, isPublished }) => {
      const bucket = bucketOf(entry, partition)
      const prefix = prefixOf(entry, PREFIX)
      return [
        allow('State', ['s3:GetObject', 's3:PutObject', 's3:DeleteObject'], [`${bucket}/${prefix}*`]),
        // Without it S3 answers 403 for a document that is not there yet.
        allow('StateAbsent', ['s3:ListBucket'], [bucket], { StringLike: { 's3:prefix': [`${prefix}*`] } }),
        ...(isPublished ? [allow('StatusPage', ['s3:PutObject'], [`${bucket}/${pageKey(prefix)}`])] : []),
      ]
    },
    awsRead: (entry, key, { partition }) => {
      const bucket = bucketOf(entry, partition)
      const document = `${prefixOf(entry, PREFIX)}${objectName(key)}`
      return [
        allow('LastRun', ['s3:GetObject'], [`${bucket}/${document}`]),
        allow('LastRunAbsent', ['s3:ListBucket'], [bucket], { StringLike: { 's3:prefix': [document] } }),
      ]
    },
  },
})
