import { createHash } from 'node:crypto'
import aws4 from 'aws4'
import type { Secret } from '../../base/secret.ts'
import type { Clock } from '../../base/time.ts'
import { type ApiResponse, type ApiTerms, callApi, sentOrNot } from '../../http/api-call.ts'
import type { Http, HttpResponse } from '../../http/http.ts'
import { passesByItself, repeated } from '../../http/repeat.ts'
import { awsRefusal } from './refusal.ts'

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
  /** The body holds a secret: no text of an answer is shown. Default: no. */
  readonly isConfidential?: boolean
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
export type AwsClient = (call: AwsCall) => Promise<ApiResponse>

/** For calls that may be sent again. */
const REPEATED = { pausesMs: [200, 800], passes: passesByItself }

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

const TERMS: ApiTerms = {
  unanswered: sentOrNot,
  unansweredHint: ({ sent }) =>
    sent ? null : 'Check region and endpoint, and that the address can be reached from here.',
  stopped: ' was given up',
}

/**
 * Signs with AWS Signature Version 4 and sends through our own HTTP client, each attempt anew.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
export function createAwsClient({ http, clock, keys, region, service, driver }: AwsClientOptions): AwsClient {
  const signed = ({ method, url, headers, body }: AwsCall): Record<string, string> => {
    const { host, pathname, search } = new URL(url)
    const dated = new Date(clock.now()).toISOString().replaceAll(/[:-]|\.\d{3}/g, '')
    const own = {
      ...headers,
      'X-Amz-Date': dated,
      'X-Amz-Content-Sha256': sha256(body ?? ''),
    }
    const request = { method, host, path: `${pathname}${search}`, headers: own, service, region }
    const credentials = {
      accessKeyId: keys.accessKeyId.reveal(),
      secretAccessKey: keys.secretAccessKey.reveal(),
      ...(keys.sessionToken ? { sessionToken: keys.sessionToken.reveal() } : {}),
    }
    const { headers: all } = aws4.sign({ ...request, ...(body === undefined ? {} : { body }) }, credentials)
    return all as Record<string, string>
  }
  return async given => {
    const { operation, method, url, body, permission, changes = method !== 'GET' } = given
    const { isConfidential = false } = given
    const call = `${driver}: ${operation}`
    const secrets = [keys.secretAccessKey, keys.accessKeyId, keys.sessionToken].map(it => it?.reveal() ?? '')
    const once = async (): Promise<ApiResponse> => {
      const headers = signed(given)
      const request = { method, url, headers, ...(body === undefined ? {} : { body }) }
      const refusalOf = (answer: HttpResponse, json: unknown) => awsRefusal(answer, json, permission)
      const called = { call, terms: TERMS, changes, secrets, isConfidential }
      return callApi({ ...called, http, clock, request, refusalOf })
    }
    return given.retry === 'never' ? once() : repeated({ clock }, call, once, REPEATED)
  }
}
