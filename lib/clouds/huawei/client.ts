import type * as v from 'valibot'
import type { Clock } from '../../base/time.ts'
import type { HuaweiKeys } from '../../contracts.ts'
import { type ApiTerms, callApi, expected, sentOrNot } from '../../http/api-call.ts'
import type { Http } from '../../http/http.ts'
import { passesByItself, repeated } from '../../http/repeat.ts'
import { huaweiRefusal, secretsOf, settingName } from './refusal.ts'
import { algorithmFor, sign } from './signer.ts'

export interface HuaweiClientOptions {
  readonly http: Http
  readonly clock: Clock
  /** Asked again for each attempt, since keys may be temporary. */
  readonly keys: () => Promise<HuaweiKeys>
  /** Origin of the service, e.g. `https://dns.cn-north-4.myhuaweicloud.com`. */
  readonly endpoint: string
  readonly region: string
  readonly signing: 'auto' | 'standard' | 'derived'
  /** Sent as `X-Project-Id`. */
  readonly projectId?: string | null
  /** Sent as `Instance-Id`. */
  readonly instanceId?: string | null
  /** Begins every message, e.g. `iotda` or `solver dns (huaweicloud)`. */
  readonly driver: string
}

export interface HuaweiCall {
  /** Name of the operation in messages, e.g. `CreateServerCertificate`. */
  readonly operation: string
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE' | 'PATCH'
  /** Absolute path; the caller has percent-encoded its variable segments. */
  readonly path: string
  readonly query?: Readonly<Record<string, string | number>>
  /** Sent as JSON. Never shown in a message. */
  readonly body?: object
  /** The body holds a secret: no text of an answer is shown. Default: no. */
  readonly isConfidential?: boolean
  /** `safe`: tried up to three times after a passing failure. Default for GET; everything else `never`. */
  readonly retry?: 'safe' | 'never'
  /** The IAM action to name when the call is forbidden. */
  readonly iamAction?: string
  /** Devices wait for it: it is sent although the service wants to be left alone. Default: no. */
  readonly isUrgent?: boolean
  readonly signal?: AbortSignal | undefined
}

/**
 * Signed JSON calls to one service of Huawei Cloud. Any 2xx is success, unless its body has an `error_code`.
 *
 * Throws RotationError: `unauthorized`, `forbidden`, `service-refused` (retry never, but for a locked
 * resource), `throttled`, `unreachable` (it was not sent), `unavailable` (it is unknown whether it took effect),
 * `out-of-time` or the signal's own RotationError when aborted. `serviceErrorOf` (http/api-call.ts) tells what the
 * service said.
 */
export interface HuaweiClient {
  readonly projectId: string | null
  /** The answer checked by a schema; one that does not fit, or an empty one, is `unavailable`. */
  call<T>(request: HuaweiCall & { readonly expect: v.GenericSchema<unknown, T> }): Promise<T>
  /** The parsed JSON as it came; null for an empty answer. */
  call<T = unknown>(request: HuaweiCall): Promise<T | null>
}

const REPEATED = { pausesMs: [500, 1_500], passes: passesByItself }

const termsOf = (driver: string): ApiTerms => ({
  unanswered: sentOrNot,
  unansweredHint: ({ sent, reason }) => {
    if (sent) return null
    const how = reason === 'tls' ? 'with a certificate that is trusted here' : 'from here'
    return `Check ${settingName(driver, 'endpoint')}, and that it can be reached ${how}.`
  },
  stopped: ' was given up',
})

const urlOf = (endpoint: string, { path, query = {} }: HuaweiCall): string => {
  // encodeURIComponent: URLSearchParams would write a space as `+`, which the signature takes literally.
  const pairs = Object.entries(query).map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
  return `${endpoint.replace(/\/+$/, '')}${path}${pairs.length === 0 ? '' : `?${pairs.join('&')}`}`
}

/** One attempt, signed for its moment with the keys of its moment. */
const attempt = async (
  request: HuaweiCall,
  options: HuaweiClientOptions,
  terms: ApiTerms,
): Promise<unknown> => {
  const { http, clock, driver, endpoint, region, projectId, instanceId } = options
  const { operation, method, signal, iamAction = null, isConfidential = false, isUrgent = false } = request
  const call = `${driver}: ${operation}`
  const keys = await options.keys()
  const url = urlOf(endpoint, request)
  const body = request.body === undefined ? '' : JSON.stringify(request.body)
  const headers = {
    'Content-Type': 'application/json',
    ...(projectId ? { 'X-Project-Id': projectId } : {}),
    ...(instanceId ? { 'Instance-Id': instanceId } : {}),
  }
  const algorithm = algorithmFor(endpoint, region, options.signing)
  const signed = sign({ method, url, headers, body }, { keys, algorithm, region, at: clock.now() })
  const derived = algorithm === 'V11-HMAC-SHA256'
  const { json } = await callApi({
    call,
    terms,
    changes: method !== 'GET',
    secrets: secretsOf(keys),
    isConfidential,
    signal,
    http,
    clock,
    request: { method, url, headers: signed, isUrgent, ...(body === '' ? {} : { body }) },
    refusalOf: (answer, json) => huaweiRefusal(answer, json, { driver, operation, derived, iamAction }),
  })
  return json
}

/** A client for one service; every attempt is signed anew. https://support.huaweicloud.com/intl/en-us/api-iothub/iot_06_v5_0091.html */
export function createHuaweiClient(options: HuaweiClientOptions): HuaweiClient {
  const terms = termsOf(options.driver)
  const call = async (
    request: HuaweiCall & { readonly expect?: v.GenericSchema<unknown, unknown> },
  ): Promise<unknown> => {
    const { clock } = options
    const { method, operation, signal, retry = method === 'GET' ? 'safe' : 'never', expect } = request
    const name = `${options.driver}: ${operation}`
    const once = (): Promise<unknown> => attempt(request, options, terms)
    const json =
      retry === 'never'
        ? await once()
        : await repeated({ clock, signal }, name, once, { ...REPEATED, stopped: terms.stopped })
    return expect === undefined ? json : expected(json, expect, name)
  }
  return { projectId: options.projectId ?? null, call: call as HuaweiClient['call'] }
}
