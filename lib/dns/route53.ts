import type { Route53Client } from '@aws-sdk/client-route-53'
import { type Retry, RotationError } from '../base/errors.ts'
import { type Http, HttpFailure, type HttpRequest } from '../base/http.ts'
import { parseRetryAfter, SECOND_MS } from '../base/time.ts'
import type { Run } from '../contracts.ts'
import type { ErrorCode } from '../model.ts'
import { stopped } from './question.ts'
import { repeated } from './repeat.ts'
import { CHECK_ENDPOINT, excerpt, unanswered, unsure } from './service.ts'

const BUSY_ATTEMPTS = 6
const MAX_BUSY_MS = 16 * SECOND_MS

type Sdk = typeof import('@aws-sdk/client-route-53')

/** An answer that holds no word of the service itself. */
class Outage extends Error {
  override readonly name = 'Outage'
}

const queryText = (query: Readonly<Record<string, unknown>>): string =>
  Object.entries(query)
    .flatMap(([name, value]) =>
      (Array.isArray(value) ? value : [value]).map(it => [name, String(it)] as const),
    )
    .map(pair => pair.map(encodeURIComponent).join('='))
    .join('&')

/** A request handler that lets the SDK make its calls over our HTTP client. */
export const overHttp = (http: Http) => ({
  handle: async (
    request: {
      readonly method: string
      readonly protocol: string
      readonly hostname: string
      readonly port?: number
      readonly path: string
      readonly query?: object
      readonly headers: Record<string, string>
      readonly body?: unknown
    },
    { abortSignal }: { abortSignal?: unknown } = {},
  ) => {
    const { method, protocol, hostname, port, path, headers, body } = request
    const query = queryText({ ...request.query })
    const { status, ...answer } = await http.request({
      method: method as HttpRequest['method'],
      url: `${protocol}//${hostname}${port ? `:${port}` : ''}${path}${query === '' ? '' : `?${query}`}`,
      headers,
      ...(typeof body === 'string' || body instanceof Uint8Array ? { body } : {}),
      ...(abortSignal instanceof AbortSignal ? { signal: abortSignal } : {}),
    })
    if (status >= 500) throw new Outage(`answered HTTP ${status}`)
    return {
      response: { statusCode: status, headers: { ...answer.headers }, body: Buffer.from(answer.text) },
    }
  },
})

const CODES: Readonly<Record<string, ErrorCode>> = {
  Throttling: 'throttled',
  ThrottlingException: 'throttled',
  PriorRequestNotComplete: 'throttled',
  AccessDenied: 'forbidden',
  AccessDeniedException: 'forbidden',
  NoSuchHostedZone: 'solver-zone-missing',
  SignatureDoesNotMatch: 'unauthorized',
  InvalidClientTokenId: 'unauthorized',
  UnrecognizedClientException: 'unauthorized',
  IncompleteSignature: 'unauthorized',
  InvalidSignatureException: 'unauthorized',
  MissingAuthenticationToken: 'unauthorized',
  ExpiredToken: 'unauthorized',
  ExpiredTokenException: 'unauthorized',
  RequestExpired: 'unauthorized',
}
const HINTS: Readonly<Partial<Record<ErrorCode, string>>> = {
  unauthorized: 'Check accessKeyId, secretAccessKey and sessionToken, and the clock of this machine.',
  forbidden:
    'Grant route53:ListHostedZonesByName and route53:GetChange, and for the zone route53:ListResourceRecordSets and ' +
    'route53:ChangeResourceRecordSets.',
  'solver-zone-missing': 'Check hostedZoneId, and that the keys belong to the account of the zone.',
  'service-refused':
    'A name holds at most 400 values and allows no TXT record beside a CNAME; a zone has a quota of records.',
}
/** Another writer came between reading and writing. */
const CONFLICT = /Tried to (create|delete) .*(already exists|not found|do not match)/s

const retryOf = (code: ErrorCode, message: string, retryAt: number | null): Retry => {
  if (code === 'throttled') return retryAt === null ? 'now' : 'later'
  return CONFLICT.test(message) ? 'now' : 'never'
}

interface AwsError extends Error {
  readonly $metadata?: { readonly httpStatusCode?: number }
  readonly $response?: { readonly headers?: Readonly<Record<string, string>> }
}

const asError = (call: string, thrown: unknown, secrets: readonly string[], run: Run): RotationError => {
  if (run.signal.aborted) return stopped(run, call)
  if (thrown instanceof RotationError) return thrown
  if (thrown instanceof HttpFailure) return unanswered(call, thrown, CHECK_ENDPOINT)
  const { name, message, $metadata, $response } = thrown as AwsError
  const status = $metadata?.httpStatusCode
  if (thrown instanceof Outage)
    return new RotationError('unavailable', `${call} ${message}`, { cause: thrown, retry: 'now' })
  if (status === undefined)
    return new RotationError(
      'unauthorized',
      `${call} could not be signed: ${name}: ${excerpt(message, secrets)}`,
      {
        cause: { name },
        retry: 'never',
        hint: 'Give accessKeyId and secretAccessKey, or the environment, profile or role the AWS SDK looks for.',
      },
    )
  if (name === 'Error' || name === 'Unknown')
    return new RotationError(
      'unavailable',
      `${call} answered HTTP ${status} with a body that cannot be read`,
      {
        retry: 'later',
        hint: CHECK_ENDPOINT,
      },
    )
  const code = CODES[name] ?? (status === 403 ? 'forbidden' : 'service-refused')
  const retryAt = parseRetryAfter($response?.headers?.['retry-after'], run.clock.now())
  return new RotationError(code, `${call} answered HTTP ${status} ${name}: ${excerpt(message, secrets)}`, {
    cause: { name, status },
    retry: retryOf(code, message, retryAt),
    ...(HINTS[code] && { hint: HINTS[code] }),
    ...(retryAt === null ? {} : { retryAt }),
  })
}

/** What the calls of one solver share. */
export interface Route53 {
  readonly driver: string
  readonly secrets: readonly string[]
  /** Loaded and built with the first call. */
  readonly open: () => Promise<{ readonly sdk: Sdk; readonly client: Route53Client }>
}

type Send<T> = (sdk: Sdk, client: Route53Client, options: { readonly abortSignal: AbortSignal }) => Promise<T>

const once = async <T>(api: Route53, operation: string, run: Run, send: Send<T>): Promise<T> => {
  const call = `${api.driver}: ${operation}`
  try {
    if (run.signal.aborted) throw stopped(run, call)
    const { sdk, client } = await api.open()
    return await send(sdk, client, { abortSignal: run.signal })
  } catch (thrown) {
    throw asError(call, thrown, api.secrets, run)
  }
}

/** A call that changes nothing, up to three times. @throws RotationError that names the driver and the call */
export const read = <T>(api: Route53, operation: string, run: Run, send: Send<T>): Promise<T> =>
  repeated(run, `${api.driver}: ${operation}`, () => once(api, operation, run, send))

/** Waits. @throws RotationError `out-of-time` when the run has no time for it */
export const pause = async (durationMs: number, call: string, run: Run): Promise<void> => {
  if (run.clock.now() + durationMs >= run.deadline)
    throw new RotationError('out-of-time', `${call}: not finished when the run's time was over`)
  await run.clock.sleep(durationMs, run.signal).catch(cause => {
    throw run.signal.aborted ? stopped(run, call) : cause
  })
}

/** A change that is refused because others come too fast was not made: it is sent again, ever more slowly. */
export async function change<T>(api: Route53, operation: string, run: Run, send: Send<T>): Promise<T> {
  const call = `${api.driver}: ${operation}`
  for (let tried = 1; ; tried += 1) {
    try {
      return await once(api, operation, run, send)
    } catch (thrown) {
      const error = thrown as RotationError
      if (error.code !== 'throttled') throw unsure(error)
      const waitMs = Math.min(2 ** (tried - 1) * SECOND_MS, MAX_BUSY_MS)
      const isHopeless = error.retry !== 'now' || tried === BUSY_ATTEMPTS
      if (!isHopeless && run.clock.now() + waitMs < run.deadline) await pause(waitMs, call, run)
      else
        throw new RotationError('throttled', error.message, {
          cause: error,
          ...(error.retryAt && { retryAt: error.retryAt }),
        })
    }
  }
}
