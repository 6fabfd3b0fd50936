import { RotationError } from '../../base/rotation-error.ts'
import type { Clock } from '../../base/time.ts'
import { serviceErrorOf } from '../../http/api-call.ts'
import type { Http } from '../../http/http.ts'
import { type AwsKeys, createAwsClient } from './client.ts'

/** Where a bucket is. */
export interface Bucket {
  readonly bucket: string
  readonly region: string
  /** Address of an S3-compatible service, which is asked in path style; null: AWS. */
  readonly endpoint: string | null
}

/** The domain of AWS in a region: China has its own. */
export const awsDomain = (region: string): string =>
  region.startsWith('cn-') ? 'amazonaws.com.cn' : 'amazonaws.com'

/** A bucket whose name has a dot fits no certificate as a host, so it stands in the path. */
export function objectUrl({ bucket, region, endpoint }: Bucket, key: string): string {
  const path = key.split('/').map(encodeURIComponent).join('/')
  if (endpoint !== null) return `${endpoint.replace(/\/+$/, '')}/${bucket}/${path}`
  const host = `s3.${region}.${awsDomain(region)}`
  return bucket.includes('.') ? `https://${host}/${bucket}/${path}` : `https://${bucket}.${host}/${path}`
}

/** What to allow for an object. Without `s3:ListBucket` S3 answers 403 for an object that is not there. */
export const readPermission = (bucket: string, key: string): string =>
  `s3:GetObject on ${bucket}/${key}, and s3:ListBucket on ${bucket} in case the object is not there yet,`

/** Whether S3 says that the object is not there. */
export const isAbsentObject = (error: unknown): boolean => {
  const said = serviceErrorOf(error)
  return said?.status === 404 && (said.code ?? 'NoSuchKey') === 'NoSuchKey'
}

export interface AwsAccess {
  readonly http: Http
  readonly clock: Clock
  readonly keys: AwsKeys
  readonly region: string
  readonly endpoint: string | null
}

/**
 * The text of one object, named `bucket/key`. https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
 * @throws RotationError
 */
export async function readObject(name: string, access: AwsAccess): Promise<string> {
  const [, bucket = '', key = ''] = /^([^/]+)\/(.+)$/s.exec(name) ?? []
  if (bucket === '' || key === '')
    throw new RotationError('settings-invalid', 's3: a reference must be s3://bucket/key', { retry: 'never' })
  const driver = `s3://${name}`
  const { text } = await createAwsClient({ ...access, service: 's3', driver })({
    operation: 'GetObject',
    method: 'GET',
    url: objectUrl({ ...access, bucket }, key),
    retry: 'safe',
    permission: readPermission(bucket, key),
  })
  return text
}
