import { ProxyAgent } from 'undici'
import {
  type Exchange,
  type HttpResponse,
  joinHeaders,
  MAX_BODY_BYTES,
  tooLarge,
  type Way,
  type WayOptions,
} from './http.ts'
import type { Secret } from './secret.ts'

/** One request by undici's lowest interface, which needs none of its streams. */
const exchangeOver = (
  agent: ProxyAgent,
  { method, url, headers, body, encoding, signal, onReady }: Exchange,
): Promise<HttpResponse> =>
  new Promise((resolve, reject) => {
    let status = 0
    let answered: Record<string, string> = {}
    const chunks: Uint8Array[] = []
    let size = 0
    let stop: (reason?: Error) => void = () => {}
    const onAbort = (): void => {
      stop(signal.reason)
      reject(signal.reason)
    }
    const settled = (): void => signal.removeEventListener('abort', onAbort)
    signal.addEventListener('abort', onAbort)
    const { origin, pathname, search } = url
    const options = { origin, path: pathname + search, method, headers, body: body ?? null }
    agent.dispatch(options, {
      onConnect: abort => {
        stop = abort
        if (signal.aborted) abort(signal.reason)
        else onReady()
      },
      onHeaders: (code, raw) => {
        // 1xx: the answer is still to come.
        if (code >= 200) [status, answered] = [code, joinHeaders(raw.map(part => part.toString('latin1')))]
        return true
      },
      onData: chunk => {
        size += chunk.length
        if (size > MAX_BODY_BYTES) stop(tooLarge())
        else chunks.push(chunk)
        return true
      },
      onComplete: () => {
        settled()
        resolve({ status, headers: answered, text: Buffer.concat(chunks).toString(encoding) })
      },
      onError: error => {
        settled()
        reject(error)
      },
    })
  })

/** Sends requests through a proxy that tunnels (CONNECT), so that TLS is with whoever answers, not with the proxy. */
export function openTunnel({ connectTimeoutMs, tls }: WayOptions, proxy: Secret): Way {
  const timeout = connectTimeoutMs
  const open = new Set<ProxyAgent>()
  return {
    exchange: async exchange => {
      // For each request one of its own: what is given up before there is a tunnel would be tried for ever.
      const agent = new ProxyAgent({
        uri: proxy.reveal(),
        requestTls: { ...tls, timeout },
        proxyTls: { rejectUnauthorized: true, timeout },
      })
      open.add(agent)
      try {
        return await exchangeOver(agent, exchange)
      } finally {
        open.delete(agent)
        void agent.destroy()
      }
    },
    close: async () => {
      await Promise.all([...open].map(agent => agent.destroy()))
    },
  }
}
