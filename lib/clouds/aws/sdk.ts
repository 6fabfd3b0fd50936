import { asRotationError, type Retry, RotationError } from '../../base/rotation-error.ts'
import type { Secret } from '../../base/secret.ts'
import { parseRetryAfter } from '../../base/time.ts'
import type { Http, HttpRequest } from '../../http/http.ts'
import type { ErrorCode } from '../../model/errors.ts'
import { shown } from './answer.ts'

/** What the clients of the AWS SDK share here: they make their calls over our HTTP client, and end in our errors. */

/** What the settings say of the way to a service. */
interface SdkSettings {
  readonly accessKeyId: Secret | null
  readonly secretAccessKey: Secret | null
  readonly sessionToken: Secret | null
  readonly endpoint: string | null
}

/** A package of the SDK, and how a client is made of it. */
interface SdkPackage<Sdk, Client> {
  /** Begins every message. */
  readonly driver: string
  readonly name: string
  readonly load: () => Promise<Sdk & { readonly default?: Sdk }>
  readonly make: (sdk: Sdk, options: ReturnType<typeof optionsOf>) => Client
}

const optionsOf = ({ accessKeyId, secretAccessKey, sessionToken, endpoint }: SdkSettings, http: Http) => ({
  maxAttempts: 1,
  requestHandler: overHttp(http),
  ...(accessKeyId &&
    secretAccessKey && {
      credentials: async () => ({
        accessKeyId: accessKeyId.reveal(),
        secretAccessKey: secretAccessKey.reveal(),
        ...(sessionToken && { sessionToken: sessionToken.reveal() }),
      }),
    }),
  ...(endpoint !== null && { endpoint }),
})

/** A client that is loaded and built with the first call, and what must not come back in a message. */
export function openSdk<Sdk extends object, Client>(
  settings: SdkSettings,
  http: Http,
  { driver, name, load, make }: SdkPackage<Sdk, Client>,
) {
  const build = async () => {
    const loaded = await load().catch(cause => {
      throw new RotationError('settings-invalid', `${driver}: the package ${name} cannot be loaded`, {
        cause,
        retry: 'never',
        hint: `Install it: npm install ${name}`,
      })
    })
    const sdk: Sdk = exportsOf(loaded)
    return { sdk, client: make(sdk, optionsOf(settings, http)) }
  }
  let opened: ReturnType<typeof build> | null = null
  const { accessKeyId, secretAccessKey, sessionToken } = settings
  const secrets = [accessKeyId, secretAccessKey, sessionToken].flatMap(it => it?.reveal() ?? [])
  const open = () => {
    opened ??= build()
    return opened
  }
  return { secrets, open }
}

/** What a package exports: bundled into an ES module, a CommonJS one has it under `default` alone. */
const exportsOf = <T extends object>(loaded: T & { readonly default?: T }): T => loaded.default ?? loaded

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
const overHttp = (http: Http) => ({
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

/** How every service of AWS says these. */
const CODES: Readonly<Record<string, ErrorCode>> = {
  Throttling: 'throttled',
  ThrottlingException: 'throttled',
  TooManyRequestsException: 'throttled',
  AccessDenied: 'forbidden',
  AccessDeniedException: 'forbidden',
  SignatureDoesNotMatch: 'unauthorized',
  InvalidClientTokenId: 'unauthorized',
  UnrecognizedClientException: 'unauthorized',
  IncompleteSignature: 'unauthorized',
  IncompleteSignatureException: 'unauthorized',
  InvalidSignatureException: 'unauthorized',
  MissingAuthenticationToken: 'unauthorized',
  MissingAuthenticationTokenException: 'unauthorized',
  ExpiredToken: 'unauthorized',
  ExpiredTokenException: 'unauthorized',
  RequestExpired: 'unauthorized',
}

/** What a service says in its own way, and what to do about it. */
export interface SdkTerms {
  /** Codes of its own, by the name of the exception. */
  readonly codes: Readonly<Record<string, ErrorCode>>
  readonly hints: Readonly<Partial<Record<ErrorCode, string>>>
  /** A refusal that the same call may not meet again. */
  readonly isPassing?: (name: string, message: string) => boolean
  /** When an answer cannot be read. */
  readonly checkEndpoint: string
}

/** What was asked, as far as messages need it. */
export interface SdkAsked {
  /** Driver and operation. */
  readonly call: string
  /** What must not come back in a message. */
  readonly secrets: readonly string[]
  readonly now: number
}

interface AwsError extends Error {
  readonly $metadata?: { readonly httpStatusCode?: number }
  readonly $response?: { readonly headers?: Readonly<Record<string, string>> }
}

/** Deserialization that failed: the answer is none of the service's. */
const NOT_READ: readonly string[] = ['Error', 'Unknown', 'SyntaxError', 'TypeError', 'UnknownError']

/** The error for what the SDK threw after an answer, or instead of sending anything. */
export function sdkError(thrown: unknown, { call, secrets, now }: SdkAsked, terms: SdkTerms): RotationError {
  const { name, message, $metadata, $response } = thrown as AwsError
  const status = $metadata?.httpStatusCode
  if (thrown instanceof Outage)
    return new RotationError('unavailable', `${call} ${message}`, { cause: thrown, retry: 'now' })
  // A mistake of ours, and not in the settings.
  if (status === undefined && thrown instanceof TypeError) return asRotationError(thrown)
  if (status === undefined)
    return new RotationError(
      'unauthorized',
      `${call} could not be signed: ${name}: ${shown(message, secrets)}`,
      {
        cause: { name },
        retry: 'never',
        hint: 'Give accessKeyId and secretAccessKey, or the environment, profile or role the AWS SDK looks for.',
      },
    )
  if (NOT_READ.includes(name))
    return new RotationError(
      'unavailable',
      `${call} answered HTTP ${status} with a body that cannot be read`,
      {
        retry: 'later',
        hint: terms.checkEndpoint,
      },
    )
  const code = terms.codes[name] ?? CODES[name] ?? (status === 403 ? 'forbidden' : 'service-refused')
  const retryAt = parseRetryAfter($response?.headers?.['retry-after'], now)
  const isPassing = terms.isPassing?.(name, message) ?? false
  const retry: Retry =
    code === 'throttled' ? (retryAt === null ? 'now' : 'later') : isPassing ? 'now' : 'never'
  return new RotationError(code, `${call} answered HTTP ${status} ${name}: ${shown(message, secrets)}`, {
    cause: { name, status },
    retry,
    ...(terms.hints[code] && { hint: terms.hints[code] }),
    ...(retryAt === null ? {} : { retryAt }),
  })
}
