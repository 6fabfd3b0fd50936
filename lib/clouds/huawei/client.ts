import * as v from 'valibot'
import { asRotationError, RotationError } from '../../base/rotation-error.ts'
import { type Clock, SECOND_MS } from '../../base/time.ts'
import type { HuaweiKeys } from '../../contracts.ts'
import { CHECK_PROXY, type Http, HttpFailure, type HttpResponse } from '../../http/http.ts'
import { type Asked, type Refusal, readAnswer, refused, settingName, succeeded, UNCERTAIN } from './answer.ts'
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
  /** `safe`: tried up to three times after a passing failure. Default for GET; everything else `never`. */
  readonly retry?: 'safe' | 'never'
  /** The IAM action to name when the call is forbidden. */
  readonly iamAction?: string
  readonly signal?: AbortSignal | undefined
}

/**
 * Signed JSON calls to one service of Huawei Cloud. Any 2xx is success, unless its body has an `error_code`.
 *
 * Throws RotationError: `unauthorized`, `forbidden`, `service-refused` (retry never, but for a locked
 * resource), `throttled`, `unreachable` (it was not sent), `unavailable` (it is unknown whether it took effect),
 * `out-of-time` or the signal's own RotationError when aborted. {@link serviceCodeOf} reads the service's code.
 */
export interface HuaweiClient {
  readonly projectId: string | null
  /** The answer checked by a schema; one that does not fit, or an empty one, is `unavailable`. */
  call<T>(request: HuaweiCall & { readonly expect: v.GenericSchema<unknown, T> }): Promise<T>
  /** The parsed JSON as it came; null for an empty answer. */
  call<T = unknown>(request: HuaweiCall): Promise<T | null>
}

/** Status and error code of the answer behind an error of this client; null when no answer is behind it. */
export function serviceCodeOf(
  error: unknown,
): { readonly status: number; readonly code: string | null } | null {
  const cause = error instanceof RotationError ? (error.cause as Partial<Refusal> | null | undefined) : null
  return typeof cause?.status === 'number' ? { status: cause.status, code: cause.serviceCode ?? null } : null
}

const MAX_ATTEMPTS = 3
const BACK_OFF_MS = [500, 1_500] as const
const MAX_WAIT_MS = 10 * SECOND_MS

/** The run was told to stop: its own reason, if that says why. */
const stopped = (request: HuaweiCall, { driver }: HuaweiClientOptions, sent: boolean): RotationError => {
  const reason: unknown = request.signal?.reason
  if (reason instanceof RotationError) return reason
  const uncertain = sent && request.method !== 'GET' ? UNCERTAIN : ''
  return new RotationError('out-of-time', `${driver}: ${request.operation} was given up${uncertain}`, {
    cause: reason,
  })
}

const unanswered = (thrown: unknown, request: HuaweiCall, options: HuaweiClientOptions): RotationError => {
  if (!(thrown instanceof HttpFailure)) return asRotationError(thrown)
  if (thrown.reason === 'aborted') return stopped(request, options, true)
  const what = `${options.driver}: ${request.operation}`
  if (!thrown.sent)
    return new RotationError('unreachable', `${what} could not be sent: ${thrown.message}`, {
      cause: thrown,
      hint:
        thrown.reason === 'proxy'
          ? CHECK_PROXY
          : `Check ${settingName(options.driver, 'endpoint')}, and that it can be reached ${thrown.reason === 'tls' ? 'with a certificate that is trusted here' : 'from here'}.`,
    })
  const uncertain = request.method === 'GET' ? '' : UNCERTAIN
  return new RotationError('unavailable', `${what} got no answer: ${thrown.message}${uncertain}`, {
    cause: thrown,
  })
}

// --- calling -----------------------------------------------------------------------------------------------

const urlOf = (endpoint: string, { path, query = {} }: HuaweiCall): string => {
  // encodeURIComponent: URLSearchParams would write a space as `+`, which the signature takes literally.
  const pairs = Object.entries(query).map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
  return `${endpoint.replace(/\/+$/, '')}${path}${pairs.length === 0 ? '' : `?${pairs.join('&')}`}`
}

const attempt = async (request: HuaweiCall, options: HuaweiClientOptions): Promise<unknown> => {
  const { http, clock, driver, endpoint, region, projectId, instanceId } = options
  const { operation, method, signal, iamAction = null } = request
  const keys = await options.keys()
  if (signal?.aborted) throw stopped(request, options, false)
  const url = urlOf(endpoint, request)
  const body = request.body === undefined ? '' : JSON.stringify(request.body)
  const headers = {
    'Content-Type': 'application/json',
    ...(projectId ? { 'X-Project-Id': projectId } : {}),
    ...(instanceId ? { 'Instance-Id': instanceId } : {}),
  }
  const algorithm = algorithmFor(endpoint, region, options.signing)
  const signed = sign({ method, url, headers, body }, { keys, algorithm, region, at: clock.now() })
  let response: HttpResponse
  try {
    response = await http.request({
      method,
      url,
      headers: signed,
      ...(body === '' ? {} : { body }),
      ...(signal ? { signal } : {}),
    })
  } catch (thrown) {
    throw unanswered(thrown, request, options)
  }
  const answer = readAnswer(response, clock.now())
  if (succeeded(answer)) return answer.json
  const derived = algorithm === 'V11-HMAC-SHA256'
  const asked: Asked = {
    driver,
    operation,
    changes: method !== 'GET',
    derived,
    iamAction,
    keys,
    body: request.body ?? null,
  }
  throw refused(answer, asked)
}

const persist = async (request: HuaweiCall, options: HuaweiClientOptions): Promise<unknown> => {
  const { clock } = options
  const safe = (request.retry ?? (request.method === 'GET' ? 'safe' : 'never')) === 'safe'
  for (let tried = 1; ; tried += 1) {
    try {
      return await attempt(request, options)
    } catch (thrown) {
      const error = asRotationError(thrown)
      const waitMs = Math.max(BACK_OFF_MS[tried - 1] ?? 0, (error.retryAt ?? 0) - clock.now())
      const passing = error.code === 'throttled' || error.code === 'unavailable'
      if (!safe || !passing || tried >= MAX_ATTEMPTS || waitMs > MAX_WAIT_MS) throw error
      await clock.sleep(waitMs, request.signal).catch(() => {
        throw stopped(request, options, false)
      })
    }
  }
}

/** A client for one service; every attempt is signed anew. https://support.huaweicloud.com/intl/en-us/api-iothub/iot_06_v5_0091.html */
export function createHuaweiClient(options: HuaweiClientOptions): HuaweiClient {
  const call = async (
    request: HuaweiCall & { readonly expect?: v.GenericSchema<unknown, unknown> },
  ): Promise<unknown> => {
    const json = await persist(request, options)
    if (request.expect === undefined) return json
    const checked = v.safeParse(request.expect, json, { abortEarly: true })
    if (checked.success) return checked.output
    const field = v.getDotPath(checked.issues[0]) ?? 'its body'
    throw new RotationError(
      'unavailable',
      `${options.driver}: ${request.operation} gave an answer that cannot be used: ${field} is not as documented`,
    )
  }
  return { projectId: options.projectId ?? null, call: call as HuaweiClient['call'] }
}
