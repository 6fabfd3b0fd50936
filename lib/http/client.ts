import { abortAfter, SECOND_MS } from '../base/time.ts'
import { USER_AGENT } from '../base/user-agent.ts'
import { openDirect } from './direct.ts'
import {
  type Http,
  HttpFailure,
  type HttpOptions,
  type HttpProxy,
  MAX_BODY_BYTES,
  TLS_FAILED,
  type Way,
} from './http.ts'

/** What stood in the way; `ready`: the request can have been sent. */
const asFailure = (
  thrown: unknown,
  host: string,
  { ready, aborted, late }: { readonly ready: boolean; readonly aborted: boolean; readonly late: boolean },
): HttpFailure => {
  if (thrown instanceof HttpFailure) return thrown
  const { code, message } = thrown as { readonly code?: unknown; readonly message?: string }
  const why = typeof code === 'string' ? code : message
  const failure = (reason: HttpFailure['reason'], text: string) =>
    new HttpFailure(reason, text, ready, thrown)
  // Not by the error's name: it is whatever the signal was aborted with.
  if (aborted) return failure('aborted', `the request to ${host} was given up`)
  if (late) return failure('timeout', `no complete answer from ${host} in time`)
  if (code === 'ERR_INVALID_CHAR')
    return failure('connect', `nothing can be sent to ${host}: a header has a character that none may have`)
  if (TLS_FAILED.test(String(code))) return failure('tls', `TLS with ${host} failed (${why})`)
  if (!ready) return failure('connect', `no connection to ${host} (${why})`)
  return failure('dropped', `the connection to ${host} broke (${why})`)
}

/** An HTTP client: over TLS 1.2 at least where the URL says https, through a proxy where one is given. It names us. */
export function createHttp(options: HttpOptions = {}): Http {
  const { caCertificates, connectTimeoutMs = 10 * SECOND_MS, proxy = null } = options
  const tls = { rejectUnauthorized: true, ...(caCertificates ? { ca: caCertificates } : {}) } as const
  const direct = openDirect({ connectTimeoutMs, tls })
  let tunnel: Promise<Way> | null = null
  const openTunnel = async (): Promise<Way> =>
    (await import('./tunnel.ts')).openTunnel({ connectTimeoutMs, tls }, (proxy as HttpProxy).url)
  const wayTo = (url: URL): Way | Promise<Way> => {
    if (!proxy?.covers(url)) return direct
    tunnel ??= openTunnel()
    return tunnel
  }
  return {
    request: async ({ method, url: text, headers = {}, body, signal, ...options }) => {
      const {
        encoding = 'utf8',
        maxBytes = MAX_BODY_BYTES,
        mayConnect = () => true,
        timeoutMs = 30 * SECOND_MS,
      } = options
      const url = new URL(text)
      if (signal?.aborted)
        throw new HttpFailure('aborted', `the request to ${url.host} was given up`, false, signal.reason)
      const { signal: either, clear } = abortAfter(timeoutMs, signal)
      let ready = false
      const onReady = (): void => {
        ready = true
      }
      try {
        const way = await wayTo(url)
        return await way.exchange({
          ...{ method, url, body, encoding, maxBytes, mayConnect },
          headers: { 'user-agent': USER_AGENT, ...headers },
          ...{ signal: either, onReady },
        })
      } catch (thrown) {
        const aborted = signal?.aborted ?? false
        throw asFailure(thrown, url.host, { ready, aborted, late: either.aborted })
      } finally {
        clear()
      }
    },
    close: async () => {
      await Promise.all([direct.close(), tunnel?.then(way => way.close())])
    },
  }
}
