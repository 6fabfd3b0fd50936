import { type ClientRequest, Agent as HttpAgent, type IncomingMessage, request as sendHttp } from 'node:http'
import { Agent as HttpsAgent, request as sendHttps } from 'node:https'
import { abortAfter, SECOND_MS } from './time.ts'

export interface HttpRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE' | 'PATCH'
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
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

/** Less than any server keeps a connection open: one that it has closed must not carry a request. */
const IDLE_MS = 4 * SECOND_MS
const MAX_BODY_BYTES = 4 * 1024 * 1024
const NOT_SENT = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
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

const readBody = async (body: AsyncIterable<Uint8Array>): Promise<string> => {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    if (size > MAX_BODY_BYTES) throw new HttpFailure('too-large', 'the answer is larger than 4 MiB', true)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** Node keeps the first of some repeated headers only; here none is lost. */
const headersOf = ({ rawHeaders }: IncomingMessage): Record<string, string> => {
  const headers: Record<string, string> = {}
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] ?? '').toLowerCase()
    const value = rawHeaders[i + 1] ?? ''
    headers[name] = Object.hasOwn(headers, name) ? `${headers[name]}, ${value}` : value
  }
  return headers
}

/** Gives up a connection, its TLS handshake included, that is not made in time. */
const limitConnecting = (request: ClientRequest, connectTimeoutMs: number): void => {
  request.once('socket', socket => {
    if (request.reusedSocket) return
    const late = (): void =>
      void request.destroy(Object.assign(new Error('not connected in time'), { code: 'ETIMEDOUT' }))
    const timer = setTimeout(late, connectTimeoutMs)
    const done = (): void => clearTimeout(timer)
    socket.once('encrypted' in socket ? 'secureConnect' : 'connect', done).once('close', done)
  })
}

/**
 * An HTTP client on Node's own, whose parser is in every process already: undici, even without its fetch, was
 * nearly half of the code that an idle check loads, and compiled a parser of its own before the first request.
 */
export function createHttp(options: HttpOptions = {}): Http {
  const connectTimeoutMs = options.connectTimeoutMs ?? 10 * SECOND_MS
  const keeping = { keepAlive: true, timeout: IDLE_MS }
  const plain = new HttpAgent(keeping)
  const secure = new HttpsAgent({
    ...keeping,
    // Said aloud, so that NODE_TLS_REJECT_UNAUTHORIZED in the environment switches nothing off.
    rejectUnauthorized: true,
    ...(options.caCertificates ? { ca: options.caCertificates } : {}),
  })
  const answerTo = ({ url, method, headers, body }: HttpRequest, signal: AbortSignal) =>
    new Promise<IncomingMessage>((resolve, reject) => {
      const isSecure = new URL(url).protocol === 'https:'
      const settings = { method, headers: { ...headers }, signal, agent: isSecure ? secure : plain }
      const request = (isSecure ? sendHttps : sendHttp)(url, settings)
      limitConnecting(request, connectTimeoutMs)
      request.once('response', resolve).on('error', reject).end(body)
    })
  return {
    request: async request => {
      const { url, timeoutMs = 30 * SECOND_MS, signal } = request
      if (signal?.aborted)
        throw new HttpFailure(
          'aborted',
          `the request to ${new URL(url).host} was given up`,
          false,
          signal.reason,
        )
      const { signal: either, clear } = abortAfter(timeoutMs, signal)
      try {
        const answer = await answerTo(request, either)
        return { status: answer.statusCode ?? 0, headers: headersOf(answer), text: await readBody(answer) }
      } catch (thrown) {
        throw asFailure(thrown, either.aborted, signal?.aborted ?? false, url)
      } finally {
        clear()
      }
    },
    close: async () => {
      plain.destroy()
      secure.destroy()
    },
  }
}
