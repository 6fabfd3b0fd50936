import { createHash } from 'node:crypto'
import { AwsV4Signer } from 'aws4fetch'
import { asRotationError, RotationError } from '../../base/rotation-error.ts'
import type { Secret } from '../../base/secret.ts'
import type { Clock } from '../../base/time.ts'
import { CHECK_PROXY, type Http, HttpFailure, type HttpResponse } from '../../http/http.ts'
import { awsRefused, UNCERTAIN } from './answer.ts'

/** An access key of AWS, with the session token of a temporary one. */
export interface AwsKeys {
  readonly accessKeyId: Secret
  readonly secretAccessKey: Secret
  readonly sessionToken: Secret | null
}

export interface AwsClientOptions {
  readonly http: Http
  readonly clock: Clock
  readonly keys: AwsKeys
  readonly region: string
  /** Name of the service in the signature, e.g. `s3`. */
  readonly service: string
  /** Begins every message, e.g. `s3 store`. */
  readonly driver: string
}

export interface AwsCall {
  /** Name of the operation in messages, e.g. `PutObject`. */
  readonly operation: string
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE'
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** `safe`: tried up to three times after a passing failure. */
  readonly retry: 'safe' | 'never'
  /** Permissions to name when the call is forbidden. */
  readonly permission: string
  /** Whether it may change something. Default: every method but GET. */
  readonly changes?: boolean
}

/**
 * Signed calls to one service of AWS. Resolves for a 2xx answer only; throws RotationError: `unauthorized`,
 * `forbidden`, `settings-invalid` (wrong region, no such bucket), `service-refused`, `throttled`, `unreachable`
 * (it was not sent), `unavailable` (it is unknown whether it took effect).
 */
export type AwsClient = (call: AwsCall) => Promise<HttpResponse>

const MAX_ATTEMPTS = 3
/** Pauses between attempts, here and where a driver tries again by itself. */
export const BACK_OFF_MS = [200, 800, 2_000] as const

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

const unanswered = (thrown: unknown, call: AwsCall, driver: string): RotationError => {
  if (!(thrown instanceof HttpFailure)) return asRotationError(thrown)
  const what = `${driver}: ${call.operation}`
  if (!thrown.sent)
    return new RotationError('unreachable', `${what} could not be sent: ${thrown.message}`, {
      cause: thrown,
      hint:
        thrown.reason === 'proxy'
          ? CHECK_PROXY
          : 'Check region and endpoint, and that the address can be reached from here.',
    })
  const uncertain = (call.changes ?? call.method !== 'GET') ? UNCERTAIN : ''
  return new RotationError('unavailable', `${what} got no answer: ${thrown.message}${uncertain}`, {
    cause: thrown,
  })
}

/**
 * Signs with AWS Signature Version 4 and sends through our own HTTP client, each attempt anew.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
export function createAwsClient({ http, clock, keys, region, service, driver }: AwsClientOptions): AwsClient {
  const sign = async ({ method, url, headers = {}, body }: AwsCall): Promise<Record<string, string>> => {
    const signer = new AwsV4Signer({
      method,
      url,
      headers: { ...headers, 'X-Amz-Content-Sha256': sha256(body ?? '') },
      accessKeyId: keys.accessKeyId.reveal(),
      secretAccessKey: keys.secretAccessKey.reveal(),
      ...(keys.sessionToken ? { sessionToken: keys.sessionToken.reveal() } : {}),
      service,
      region,
      datetime: new Date(clock.now()).toISOString().replaceAll(/[:-]|\.\d{3}/g, ''),
    })
    return Object.fromEntries((await signer.sign()).headers)
  }
  const attempt = async (call: AwsCall): Promise<HttpResponse> => {
    const { method, url, body } = call
    let response: HttpResponse
    try {
      const headers = await sign(call)
      response = await http.request({ method, url, headers, ...(body === undefined ? {} : { body }) })
    } catch (thrown) {
      throw unanswered(thrown, call, driver)
    }
    if (response.status >= 200 && response.status < 300) return response
    const secrets = [
      keys.secretAccessKey,
      keys.accessKeyId,
      ...(keys.sessionToken ? [keys.sessionToken] : []),
    ]
    const { operation, permission, changes = method !== 'GET' } = call
    const asked = { driver, operation, permission, changes, secrets: secrets.map(it => it.reveal()) }
    throw awsRefused(response, asked, clock.now())
  }
  return async call => {
    for (let tried = 1; ; tried += 1) {
      try {
        return await attempt(call)
      } catch (thrown) {
        const error = asRotationError(thrown)
        const passing = error.code === 'throttled' || error.code === 'unavailable'
        if (call.retry === 'never' || !passing || tried >= MAX_ATTEMPTS) throw error
        await clock.sleep(BACK_OFF_MS[tried - 1] ?? 0)
      }
    }
  }
}
