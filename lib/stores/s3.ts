import * as v from 'valibot'
import { asRotationError, RotationError } from '../base/rotation-error.ts'
import { awsRefusalOf } from '../clouds/aws/answer.ts'
import { BACK_OFF_MS, createAwsClient } from '../clouds/aws/client.ts'
import { allow, prefixOf, textOf } from '../clouds/aws/policy.ts'
import { isAbsentObject, objectUrl, readPermission } from '../clouds/aws/s3.ts'
import { type AwsSettings, awsSettings } from '../clouds/aws/settings.ts'
import { type DriverContext, defineStore, type RawEntry, type StateStore } from '../contracts.ts'
import { enclose, newToken, open } from './shared/envelope.ts'
import { newWriter } from './shared/writer.ts'

/**
 * One object for each document, written with `If-Match` or `If-None-Match: *`; the revision is its ETag. Every
 * write leaves other bytes (base/envelope.ts), so that the same text written twice has two ETags.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
 *
 * Another S3-compatible service must honour both conditions. One that ignores them, as Huawei OBS does, is found
 * out when the first lease is taken, and refused.
 */

const own = {
  bucket: v.pipe(
    v.string('must be the name of a bucket'),
    v.regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'must be the name of a bucket'),
  ),
  /** What every object's key begins with. */
  prefix: v.optional(
    v.pipe(
      v.string('must be a text'),
      v.regex(/^([\w.-]+\/)*[\w.-]*$/, 'must be letters, digits, . _ - and single slashes'),
    ),
    'iotda-cert/',
  ),
}
interface Settings extends AwsSettings {
  readonly bucket: string
  readonly prefix: string
}

/** An object as read: its ETag is the revision. */
interface Stored {
  readonly body: string
  readonly token: string
  readonly revision: string
}

const conflict = (key: string, cause?: unknown): RotationError =>
  new RotationError('store-conflict', `s3 store: another writer changed ${key}`, { cause, retry: 'now' })

/** The object may be another one than expected: absent (404), changed (412), being written (409). */
const isDisputed = (error: RotationError): boolean =>
  isAbsentObject(error) || [409, 412].includes(awsRefusalOf(error)?.status ?? 0)

const openDocuments = (settings: Settings, context: DriverContext) => {
  const { bucket, prefix } = settings
  const { clock } = context
  const call = createAwsClient({
    http: context.http(settings.caCertificates),
    clock,
    keys: settings,
    region: settings.region,
    service: 's3',
    driver: 's3 store',
  })
  const nameOf = (key: string): string => {
    if (!/^[a-z0-9-]+(\/[a-z0-9-]+)*$/.test(key))
      throw new RotationError('internal', `s3 store: ${JSON.stringify(key)} is no document key`)
    return `${prefix}${key}`
  }

  /** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html */
  const read = async (key: string): Promise<Stored | null> => {
    const name = nameOf(key)
    try {
      const { text, headers } = await call({
        operation: 'GetObject',
        method: 'GET',
        url: objectUrl(settings, name),
        retry: 'safe',
        permission: readPermission(bucket, name),
      })
      const revision = headers.etag
      if (revision === undefined)
        throw new RotationError('unavailable', `s3 store: GetObject of ${key} answered without an ETag`)
      return { ...open(text, `s3 store: ${bucket}/${name}`), revision }
    } catch (error) {
      if (isAbsentObject(error)) return null
      throw error
    }
  }

  /** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html */
  const put = async (
    name: string,
    text: string,
    token: string,
    expected: string | null,
  ): Promise<string | null> => {
    const { headers } = await call({
      operation: 'PutObject',
      method: 'PUT',
      url: objectUrl(settings, name),
      headers: {
        'Content-Type': 'text/plain; charset=utf-8',
        // For people who look at the object: the program finds the same in its first line.
        'X-Amz-Meta-Writer': token,
        ...(expected === null ? { 'If-None-Match': '*' } : { 'If-Match': expected }),
      },
      body: text,
      retry: 'never',
      permission: `s3:PutObject on ${bucket}/${name}`,
    })
    return headers.etag ?? null
  }

  /** Beside the documents, not among them, so that either may be given to read without the other. */
  const publish = async (page: string): Promise<string> => {
    const name = pageKey(prefix)
    await call({
      operation: 'PutObject',
      method: 'PUT',
      url: objectUrl(settings, name),
      headers: { 'Content-Type': 'text/html; charset=utf-8', 'Cache-Control': 'no-cache' },
      body: page,
      // The same page put twice is the same page.
      retry: 'safe',
      permission: `s3:PutObject on ${bucket}/${name}`,
    })
    return `s3://${bucket}/${name}`
  }
  return { read, put, nameOf, call, publish }
}

const create = (settings: Settings, context: DriverContext): StateStore => {
  const { clock } = context
  const { read, put, nameOf, call, publish } = openDocuments(settings, context)
  const writer = newWriter()

  /**
   * Tells an unclear answer from what is there now: our own write by its token, another writer's, or the expected
   * revision still, so that the write is sent again. Both attempts leave the same bytes.
   */
  const write = async (key: string, body: string, expected: string | null): Promise<string> => {
    const name = nameOf(key)
    const token = newToken(writer)
    const text = enclose(body, token)
    for (let tried = 0; ; tried += 1) {
      try {
        const revision = await put(name, text, token, expected)
        if (revision !== null) return revision
        throw new RotationError('unavailable', `s3 store: PutObject of ${key} answered without an ETag`)
      } catch (thrown) {
        const error = asRotationError(thrown)
        const unclear = isDisputed(error) || error.code === 'unavailable' || error.code === 'throttled'
        if (!unclear) throw error
        const now = await read(key)
        if (now?.token === token) return now.revision
        if ((now?.revision ?? null) !== expected) throw conflict(key, error)
        const pauseMs = BACK_OFF_MS[tried]
        if (pauseMs === undefined) throw error
        await clock.sleep(pauseMs)
      }
    }
  }

  return {
    writer,
    read: async key => {
      const stored = await read(key)
      return stored && { body: stored.body, revision: stored.revision }
    },
    write,
    /** https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html */
    remove: async key => {
      const name = nameOf(key)
      const { bucket } = settings
      await call({
        operation: 'DeleteObject',
        method: 'DELETE',
        url: objectUrl(settings, name),
        retry: 'safe',
        permission: `s3:DeleteObject on ${bucket}/${name}`,
      }).catch(error => {
        if (!isAbsentObject(error)) throw error
      })
    },
    // The processes of two functions look alike from outside: nobody can tell that one has ended.
    isGone: async () => false,
    ownSealKey: async () => null,
    publish,
  }
}

/** Where the page is put: beside the documents. */
const pageKey = (prefix: string): string => `${prefix.replace(/\/$/, '') || 'iotda-cert'}-page/status.html`

const bucketOf = (entry: RawEntry, partition: string): string =>
  `arn:${partition}:s3:::${textOf(entry, 'bucket')}`

export default defineStore({
  canPublish: true,
  settings: awsSettings(own),
  create,
  docs: {
    link: 'https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html',
    says: 'a bucket of S3, or of an S3-compatible service by `endpoint`: `bucket`; `prefix`, `region`, keys',
  },
  permissions: {
    aws: ([entry = {}], { partition, isPublished }) => {
      const bucket = bucketOf(entry, partition)
      const prefix = prefixOf(entry)
      return [
        allow('State', ['s3:GetObject', 's3:PutObject', 's3:DeleteObject'], [`${bucket}/${prefix}*`]),
        // Without it S3 answers 403 for a document that is not there yet.
        allow('StateAbsent', ['s3:ListBucket'], [bucket], { StringLike: { 's3:prefix': [`${prefix}*`] } }),
        ...(isPublished ? [allow('StatusPage', ['s3:PutObject'], [`${bucket}/${pageKey(prefix)}`])] : []),
      ]
    },
    awsRead: (entry, key, { partition }) => {
      const bucket = bucketOf(entry, partition)
      const document = `${prefixOf(entry)}${key}`
      return [
        allow('LastRun', ['s3:GetObject'], [`${bucket}/${document}`]),
        allow('LastRunAbsent', ['s3:ListBucket'], [bucket], { StringLike: { 's3:prefix': [document] } }),
      ]
    },
  },
})
