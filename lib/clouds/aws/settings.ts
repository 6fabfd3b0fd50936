import * as v from 'valibot'
import { environmentReference, pemField, secretField, urlField } from '../../base/fields.ts'
import type { Secret } from '../../base/secret.ts'

/** Where a service of AWS is, and with which keys; for every driver that talks to one. */
const entries = {
  /** Default: what AWS_REGION or AWS_DEFAULT_REGION says; inside Lambda the former does. */
  region: v.optional(
    v.nullable(
      v.pipe(
        v.string('must be a region such as "eu-central-1"'),
        v.regex(/^[a-z0-9-]{1,64}$/, 'must be a region such as "eu-central-1"'),
      ),
    ),
    null,
  ),
  /**
   * Another address of the service, e.g. of a compatible one or of a VPC endpoint. Default:
   * AWS_ENDPOINT_URL_<SERVICE>, AWS_ENDPOINT_URL. @example "https://vpce-1a2b3c4d.example.com"
   */
  endpoint: v.optional(v.nullable(urlField()), null),
  /** Default: what AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN say, as they do inside Lambda; on the command line else profile, SSO, web identity, container or instance. */
  accessKeyId: v.optional(v.nullable(secretField()), null),
  /** With `accessKeyId`. @example "env:AWS_SECRET_ACCESS_KEY" */
  secretAccessKey: v.optional(v.nullable(secretField()), null),
  /** With temporary keys. @example "env:AWS_SESSION_TOKEN" */
  sessionToken: v.optional(v.nullable(secretField()), null),
  /** Roots for the service's HTTPS instead of Node's. Default, on the command line: the file that AWS_CA_BUNDLE names. */
  caCertificates: v.optional(v.nullable(pemField()), null),
}

/** After loading: everything is there. */
export interface AwsSettings {
  readonly region: string
  readonly endpoint: string | null
  readonly accessKeyId: Secret
  readonly secretAccessKey: Secret
  readonly sessionToken: Secret | null
  readonly caCertificates: string | null
}

const secretOf = (name: string, optional = false): Secret =>
  environmentReference(name, { secret: true, optional }) as unknown as Secret
const textOf = (name: string, as: Parameters<typeof environmentReference>[1]): string =>
  environmentReference(name, as) as unknown as string

type Given = { readonly [K in keyof AwsSettings]: AwsSettings[K] | null }

/**
 * Keys are taken together from one place: a session token of the environment fits no key of the settings.
 * https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
 */
const complete = <T extends Given>(given: T, service: string): Omit<T, keyof AwsSettings> & AwsSettings => ({
  ...given,
  region:
    given.region ?? textOf('AWS_REGION', { secret: false, optional: false, or: ['AWS_DEFAULT_REGION'] }),
  endpoint:
    given.endpoint ??
    textOf(`AWS_ENDPOINT_URL_${service}`, {
      ...{ secret: false, optional: true, or: ['AWS_ENDPOINT_URL'], says: 'url' },
    }),
  caCertificates:
    given.caCertificates ?? textOf('AWS_CA_BUNDLE', { secret: false, optional: true, says: 'file' }),
  accessKeyId: given.accessKeyId ?? secretOf('AWS_ACCESS_KEY_ID'),
  secretAccessKey: given.secretAccessKey ?? secretOf('AWS_SECRET_ACCESS_KEY'),
  sessionToken: given.accessKeyId === null ? secretOf('AWS_SESSION_TOKEN', true) : given.sessionToken,
})

/** Settings of a driver that talks to AWS: its own keys, and those of {@link AwsSettings}; `service` as in AWS_ENDPOINT_URL_S3. */
export const awsSettings = <const Own extends v.ObjectEntries>(
  own: Own,
  service: 'S3' | 'SECRETS_MANAGER' | 'SNS' | 'SQS',
) =>
  v.pipe(
    v.strictObject({ ...own, ...entries }),
    v.check(given => {
      const { accessKeyId, secretAccessKey, sessionToken } = given as Given
      const both = (accessKeyId === null) === (secretAccessKey === null)
      return both && (sessionToken === null || accessKeyId !== null)
    }, 'must have both accessKeyId and secretAccessKey or neither, and sessionToken only with them'),
    v.transform(given =>
      complete(given as Given & v.InferOutput<v.StrictObjectSchema<Own, undefined>>, service),
    ),
  )
