import type { Agent, Dispatcher } from 'undici'
import DispatcherAgent from 'undici/lib/dispatcher/agent.js'
import { abortAfter, SECOND_MS } from './time.ts'

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE' | 'PATCH'
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  /** How the answer's bytes become its text; `latin1` keeps each byte. Default `utf8`. */
  readonly encoding?: 'utf8' | 'latin1'
  /** From the call to the last byte of the answer. Default 30 s. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

export interface HttpResponse {
  readonly status: number
  /** Lower-case names; repeated headers are joined with `, `. */
  readonly headers: Readonly<Record<string, string>>
  readonly text: string
}

/** Why no answer came. `sent` false: the request cannot have taken effect. */
export class HttpFailure extends Error {
  override readonly name = 'HttpFailure'
  readonly reason: 'connect' | 'tls' | 'timeout' | 'dropped' | 'aborted' | 'too-large'
  readonly sent: boolean

  constructor(reason: HttpFailure['reason'], message: string, sent: boolean, cause?: unknown) {
    super(message, { cause })
    this.reason = reason
    this.sent = sent
  }
}

/** An HTTP client: any status is an answer, never an exception; redirects are not followed. */
export interface Http {
  /** @throws HttpFailure when there is no complete answer */
  request(request: HttpRequest): Promise<HttpResponse>
  /** Closes idle connections, so that a process can end. */
  close(): Promise<void>
}

export interface HttpOptions {
  /** PEM of the roots to trust instead of Node's. */
  readonly caCertificates?: string | null
  readonly connectTimeoutMs?: number
}

const MAX_BODY_BYTES = 4 * 1024 * 1024
const NOT_SENT = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
  'ETIMEDOUT',
])
/** Refusals of the server's certificate, which come before the request. */
const isUntrustedCode = (code: string): boolean =>
  /^(ERR_TLS_CERT|CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|HOSTNAME_MISMATCH|INVALID_|PATH_LENGTH)/.test(code)
const isTlsCode = (code: string): boolean => isUntrustedCode(code) || /^(ERR_TLS|ERR_SSL|EPROTO)/.test(code)

const asFailure = (thrown: unknown, timedOut: boolean, aborted: boolean, url: string): HttpFailure => {
  if (thrown instanceof HttpFailure) return thrown
  const error = thrown as Error & { code?: unknown }
  const code = typeof error?.code === 'string' ? error.code : ''
  const { host } = new URL(url)
  if (NOT_SENT.has(code))
    return new HttpFailure('connect', `no connection to ${host} (${code})`, false, thrown)
  if (isTlsCode(code))
    return new HttpFailure('tls', `TLS with ${host} failed (${code})`, !isUntrustedCode(code), thrown)
  // Not by the error's name: it is whatever the signal was aborted with.
  if (aborted) return new HttpFailure('aborted', `the request to ${host} was given up`, true, thrown)
  if (timedOut) return new HttpFailure('timeout', `no complete answer from ${host} in time`, true, thrown)
  return new HttpFailure(
    'dropped',
    `the connection to ${host} broke (${code || error.message})`,
    true,
    thrown,
  )
}

/** Undici hands names and values over in turns; repeated ones are joined. */
const headersOf = (raw: readonly Buffer[]): Record<string, string> => {
  const headers: Record<string, string> = {}
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = String(raw[i]).toLowerCase()
    const value = raw[i + 1]?.toString('latin1') ?? ''
    headers[name] = Object.hasOwn(headers, name) ? `${headers[name]}, ${value}` : value
  }
  return headers
}

/** One request by undici's lowest interface, which needs none of its streams. */
const exchange = (
  agent: Agent,
  options: Dispatcher.DispatchOptions,
  encoding: 'utf8' | 'latin1',
  signal: AbortSignal,
): Promise<HttpResponse> =>
  new Promise((resolve, reject) => {
    let status = 0
    let headers: Record<string, string> = {}
    const chunks: Uint8Array[] = []
    let size = 0
    let stop: (reason?: Error) => void = () => {}
    const onAbort = (): void => {
      stop(signal.reason)
      reject(signal.reason)
    }
    const settled = (): void => signal.removeEventListener('abort', onAbort)
    signal.addEventListener('abort', onAbort)
    agent.dispatch(options, {
      onConnect: abort => {
        stop = abort
        if (signal.aborted) abort(signal.reason)
      },
      onHeaders: (code, raw) => {
        // 1xx: the answer is still to come.
        if (code >= 200) [status, headers] = [code, headersOf(raw)]
        return true
      },
      onData: chunk => {
        size += chunk.length
        if (size > MAX_BODY_BYTES) stop(new HttpFailure('too-large', 'the answer is larger than 4 MiB', true))
        else chunks.push(chunk)
        return true
      },
      onComplete: () => {
        settled()
        resolve({ status, headers, text: Buffer.concat(chunks).toString(encoding) })
      },
      onError: error => {
        settled()
        reject(error)
      },
    })
  })

/** An HTTP client on undici's dispatcher alone: its index would load four times as much code. */
export function createHttp(options: HttpOptions = {}): Http {
  const connectTimeoutMs = options.connectTimeoutMs ?? 10 * SECOND_MS
  const agent = new DispatcherAgent({
    connect: {
      timeout: connectTimeoutMs,
      // Said aloud, so that NODE_TLS_REJECT_UNAUTHORIZED in the environment switches nothing off.
      rejectUnauthorized: true,
      ...(options.caCertificates ? { ca: options.caCertificates } : {}),
    },
    keepAliveTimeout: 10 * SECOND_MS,
  })
  return {
    request: async ({ method, url, headers = {}, body, encoding = 'utf8', timeoutMs = 30_000, signal }) => {
      const { signal: either, clear } = abortAfter(timeoutMs, signal)
      const { origin, host, pathname, search } = new URL(url)
      if (signal?.aborted)
        throw new HttpFailure('aborted', `the request to ${host} was given up`, false, signal.reason)
      try {
        const path = pathname + search
        const options = { origin, path, method, headers, body: body ?? null }
        return await exchange(agent, options, encoding, either)
      } catch (thrown) {
        throw asFailure(thrown, either.aborted, signal?.aborted ?? false, url)
      } finally {
        clear()
      }
    },
    close: () => agent.close(),
  }
}
