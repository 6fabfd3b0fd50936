import { isLoopbackUrl } from '../base/fields.ts'
import { RotationError } from '../base/rotation-error.ts'
import { type Secret, secret } from '../base/secret.ts'
import type { AwsKeyLookup } from './aws-keys.ts'

/** Values that stand in a cloud service: settings as a whole, or single secrets. */
export type RemoteScheme = 's3' | 'awssm' | 'csms'

/** What to read, and with which access; everything but the name comes from the environment. */
export type RemoteQuestion =
  | {
      readonly scheme: 's3' | 'awssm'
      readonly name: string
      readonly region: string
      /** Null: the service's own address. */
      readonly endpoint: string | null
      /** PEM of the roots to trust; null: Node's. */
      readonly caCertificates: string | null
      readonly keys: {
        readonly accessKeyId: Secret
        readonly secretAccessKey: Secret
        readonly sessionToken: Secret | null
      }
    }
  | {
      readonly scheme: 'csms'
      readonly name: string
      readonly region: string
      readonly endpoint: string | null
      readonly projectId: string
      readonly keys: {
        readonly accessKey: Secret
        readonly secretKey: Secret
        readonly securityToken: Secret | null
      }
    }

/** Reads such a value; given by the app, since settings know no cloud. @throws RotationError */
export type Remote = (question: RemoteQuestion) => Promise<string>

type Env = Readonly<Record<string, string | undefined>>

interface Around {
  readonly env: Env
  /** Why a variable is not set, where there is more to say of it. */
  readonly absent?: (name: string) => string | undefined
  readonly awsKey?: AwsKeyLookup
  /** Null in a function, which has no such file. */
  readonly read?: ((path: string) => Promise<string>) | null
}

/** Reads each value once, however often it is referred to. */
export function createRemoteReader(remote: Remote, around: Around) {
  const known = new Map<string, Promise<string>>()
  return (scheme: RemoteScheme, name: string): Promise<string> => {
    const id = `${scheme}:${name}`
    const reading = known.get(id) ?? ask(remote, around, scheme, name)
    known.set(id, reading)
    return reading
  }
}

async function ask(remote: Remote, around: Around, scheme: RemoteScheme, name: string): Promise<string> {
  const env = scheme === 'csms' ? around.env : await withAwsKeys(around)
  const need = needFrom({ ...around, env }, scheme)
  const question =
    scheme === 'csms'
      ? huaweiQuestion(name, env, need)
      : { ...awsQuestion(scheme, name, env, need), caCertificates: await caBundle(around) }
  need.check()
  return remote(question)
}

const KEYS = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN']

/** The environment, with keys of AWS that it does not hold itself. */
async function withAwsKeys({ env, awsKey }: Around): Promise<Env> {
  if (!awsKey || env.AWS_ACCESS_KEY_ID || env.AWS_SECRET_ACCESS_KEY) return env
  const keys = await Promise.all(KEYS.map(async name => [name, await awsKey(name)] as const))
  const known = new Map(keys)
  return new Proxy(env, { get: (_, name) => known.get(String(name)) ?? env[String(name)] })
}

/** https://docs.aws.amazon.com/sdkref/latest/guide/feature-gen-config.html */
async function caBundle({ env, read }: Around): Promise<string | null> {
  const file = env.AWS_CA_BUNDLE
  if (!file || !read) return null
  return read(file).catch(cause => {
    throw new RotationError('settings-invalid', `the file of AWS_CA_BUNDLE cannot be read (${cause.code})`, {
      cause,
      retry: 'never',
    })
  })
}

interface Need {
  /** The first of these variables that is set. */
  (...names: readonly string[]): string
  check(): void
}

const needFrom = ({ env, absent }: Around, scheme: RemoteScheme): Need => {
  const missing: string[] = []
  const need = (...names: readonly string[]): string => {
    const found = names.map(name => env[name]).find(value => value)
    if (found === undefined) missing.push(names.join(' or '))
    return found ?? ''
  }
  const check = (): void => {
    if (missing.length === 0) return
    const [why] = missing.flatMap(name => absent?.(name) ?? [])
    const are = missing.length === 1 ? 'is' : 'are'
    throw new RotationError(
      'settings-invalid',
      why ?? `environment variable ${missing.join(', ')} ${are} not set, which ${scheme}: needs`,
      { retry: 'never' },
    )
  }
  return Object.assign(need, { check })
}

/** An address that keys may be sent to. */
const endpointIn = (env: Env, ...names: readonly string[]): string | null => {
  const name = names.find(it => env[it])
  const url = env[name ?? ''] ?? null
  if (url === null || isLoopbackUrl(url) || (URL.canParse(url) && new URL(url).protocol === 'https:'))
    return url
  throw new RotationError('settings-invalid', `environment variable ${name} must be an https URL`, {
    retry: 'never',
  })
}

const optional = (value: string | undefined): Secret | null => (value ? secret(value) : null)

/** The variables of AWS's own SDKs. https://docs.aws.amazon.com/sdkref/latest/guide/environment-variables.html */
function awsQuestion(scheme: 's3' | 'awssm', name: string, env: Env, need: Need) {
  const service = scheme === 's3' ? 'S3' : 'SECRETS_MANAGER'
  // The ARN of a secret says its region.
  const [, own] = /^arn:[\w-]+:secretsmanager:([a-z0-9-]+):/.exec(name) ?? []
  return {
    scheme,
    name,
    region: own ?? need('AWS_REGION', 'AWS_DEFAULT_REGION'),
    endpoint: endpointIn(env, `AWS_ENDPOINT_URL_${service}`, 'AWS_ENDPOINT_URL'),
    keys: {
      accessKeyId: secret(need('AWS_ACCESS_KEY_ID')),
      secretAccessKey: secret(need('AWS_SECRET_ACCESS_KEY')),
      sessionToken: optional(env.AWS_SESSION_TOKEN),
    },
  }
}

/**
 * The variables of Huawei Cloud's SDKs; inside FunctionGraph the project is known.
 * https://github.com/huaweicloud/huaweicloud-sdk-java-v3#3322-environment-variable-top
 */
function huaweiQuestion(name: string, env: Env, need: Need): RemoteQuestion {
  const region = need('HUAWEICLOUD_SDK_REGION')
  const own = `HUAWEICLOUD_SDK_REGION_CSMS_${region.toUpperCase().replaceAll('-', '_')}`
  return {
    scheme: 'csms',
    name,
    region,
    endpoint: endpointIn(env, own),
    projectId: need('HUAWEICLOUD_SDK_PROJECT_ID', 'RUNTIME_PROJECT_ID'),
    keys: {
      accessKey: secret(need('HUAWEICLOUD_SDK_AK')),
      secretKey: secret(need('HUAWEICLOUD_SDK_SK')),
      securityToken: optional(env.HUAWEICLOUD_SDK_SECURITY_TOKEN),
    },
  }
}
