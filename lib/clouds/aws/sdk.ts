import { asRotationError, RotationError } from '../../base/rotation-error.ts'
import type { Secret } from '../../base/secret.ts'
import { stopped } from '../../base/stopped.ts'
import { parseRetryAfter } from '../../base/time.ts'
import { USER_AGENT } from '../../base/user-agent.ts'
import type { Run } from '../../contracts.ts'
import { type Called, parseJson, quote, type Refusal, refused, unanswered } from '../../http/api-call.ts'
import { type Http, HttpFailure, type HttpRequest, type HttpResponse } from '../../http/http.ts'
import { serviceTerms } from '../../http/service.ts'
import type { ErrorCode } from '../../model/errors.ts'
import { awsRefusal, codeOf } from './refusal.ts'

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
  readonly terms: SdkTerms
  readonly load: () => Promise<Sdk & { readonly default?: Sdk }>
  readonly make: (sdk: Sdk, options: ReturnType<typeof optionsOf>) => Client
}

const optionsOf = ({ accessKeyId, secretAccessKey, sessionToken, endpoint }: SdkSettings, http: Http) => ({
  maxAttempts: 1,
  customUserAgent: USER_AGENT,
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

/** One service, as the SDK's client for it is asked. */
export interface SdkApi<Sdk, Client> {
  readonly driver: string
  readonly terms: SdkTerms
  /** What must not come back in a message. */
  readonly secrets: readonly string[]
  /** Loaded and built with the first call. */
  readonly open: () => Promise<{ readonly sdk: Sdk; readonly client: Client }>
}

/** A client that is loaded and built with the first call. */
export function openSdk<Sdk extends object, Client>(
  settings: SdkSettings,
  http: Http,
  { driver, name, terms, load, make }: SdkPackage<Sdk, Client>,
): SdkApi<Sdk, Client> {
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
  return { driver, terms, secrets, open }
}

/** What a package exports: bundled into an ES module, a CommonJS one has it under `default` alone. */
const exportsOf = <T extends object>(loaded: T & { readonly default?: T }): T => loaded.default ?? loaded

/** An answer that holds no word of the service itself. */
class Outage extends Error {
  override readonly name = 'Outage'
  readonly answer: HttpResponse

  constructor(answer: HttpResponse) {
    super(`answered HTTP ${answer.status}`)
    this.answer = answer
  }
}

const queryText = (query: Readonly<Record<string, unknown>>): string =>
  Object.entries(query)
    .flatMap(([name, value]) => [value].flat().map(it => [name, String(it)]))
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
    const answer = await http.request({
      method: method as HttpRequest['method'],
      url: `${protocol}//${hostname}${port ? `:${port}` : ''}${path}${query === '' ? '' : `?${query}`}`,
      headers,
      ...(typeof body === 'string' || body instanceof Uint8Array ? { body } : {}),
      ...(abortSignal instanceof AbortSignal ? { signal: abortSignal } : {}),
    })
    const { status, text } = answer
    const isTooFast = status >= 400 && awsRefusal(answer, parseJson(text), '')?.code === 'throttled'
    if (isTooFast) http.tooMany?.(answer, Math.max(0, parseRetryAfter(answer.headers['retry-after'], 0) ?? 0))
    if (status >= 500) throw new Outage(answer)
    return { response: { statusCode: status, headers: { ...answer.headers }, body: Buffer.from(text) } }
  },
})

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

interface AwsError extends Error {
  readonly $metadata?: { readonly httpStatusCode?: number; readonly requestId?: string }
  readonly $response?: { readonly headers?: Readonly<Record<string, string>> }
}

/** Deserialization that failed: the answer is none of the service's. */
const NOT_READ: readonly string[] = ['Error', 'Unknown', 'SyntaxError', 'TypeError', 'UnknownError']

const sdkRefusal = (
  { name, message, $metadata, $response }: AwsError,
  status: number,
  terms: SdkTerms,
): Refusal => {
  if (NOT_READ.includes(name)) {
    const note = ' with a body that cannot be read'
    return { code: 'unavailable', retry: 'later', hint: terms.checkEndpoint, note }
  }
  const code = terms.codes[name] ?? codeOf(status, name)
  const isToWait = parseRetryAfter($response?.headers?.['retry-after'], 0) !== null
  const passes = code === 'throttled' ? !isToWait : (terms.isPassing?.(name, message) ?? false)
  const retry = passes ? 'now' : code === 'throttled' ? 'later' : 'never'
  const requestId = $metadata?.requestId ?? null
  return { code, retry, hint: terms.hints[code] ?? null, serviceCode: name, message, requestId }
}

/** The error for what the SDK threw after an answer, or instead of sending anything. */
function sdkError(thrown: unknown, terms: SdkTerms, called: Called, now: number): RotationError {
  if (thrown instanceof Outage) return refused(thrown.answer, { code: 'unavailable' }, called, now)
  const { name, message, $metadata, $response } = thrown as AwsError
  const status = $metadata?.httpStatusCode
  if (status !== undefined) {
    const answer = { status, headers: $response?.headers ?? {}, text: '' }
    return refused(answer, sdkRefusal(thrown as AwsError, status, terms), called, now)
  }
  // A mistake of ours, and not in the settings.
  if (thrown instanceof TypeError) return asRotationError(thrown)
  const why = called.isConfidential ? '' : `: ${quote(message, called.secrets ?? [])}`
  return new RotationError('unauthorized', `${called.call} could not be signed: ${name}${why}`, {
    cause: { name },
    retry: 'never',
    hint: 'Give accessKeyId and secretAccessKey, or the environment, profile or role the AWS SDK looks for.',
  })
}

/** Sends one command with the client, which gets `options` with it. */
export type SdkSend<Sdk, Client, T> = (
  sdk: Sdk,
  client: Client,
  options: { readonly abortSignal: AbortSignal },
) => Promise<T>

/** A call by the SDK, once. @throws RotationError that names the driver and the operation */
export async function sdkCall<Sdk, Client, T>(
  { driver, terms, secrets, open }: SdkApi<Sdk, Client>,
  operation: string,
  run: Run,
  given: {
    readonly changes: boolean
    /** What is sent or answered holds a secret: no text of an answer is shown. */
    readonly isConfidential?: boolean
    readonly send: SdkSend<Sdk, Client, T>
  },
): Promise<T> {
  const call = `${driver}: ${operation}`
  const { signal } = run
  if (signal.aborted) throw stopped(run, call)
  try {
    const { sdk, client } = await open()
    return await given.send(sdk, client, { abortSignal: signal })
  } catch (thrown) {
    const words = { ...serviceTerms(terms.checkEndpoint), quotedChars: 300, cutOff: '' }
    const { changes, isConfidential = false } = given
    const called = { call, terms: words, changes, isConfidential, secrets, signal }
    const isSilence = signal.aborted || thrown instanceof RotationError || thrown instanceof HttpFailure
    throw isSilence ? unanswered(thrown, called) : sdkError(thrown, terms, called, run.clock.now())
  }
}
