import { type ClientRequest, request as overTcp } from 'node:http'
import { request as overTls } from 'node:https'
import { isIP, type Socket } from 'node:net'
import { connect } from 'node:tls'
import { HttpFailure, TLS_FAILED, type Way, type WayOptions } from './http.ts'
import { send } from './http-direct.ts'
import type { Secret } from './secret.ts'

/** A host as sockets take it: without the brackets of an IPv6 address. */
const bare = (hostname: string): string => hostname.replace(/^\[|\]$/g, '')

/** RFC 9110 section 11.7.2, RFC 7617. */
const authorizationOf = ({ username, password }: URL): Record<string, string> => {
  if (username === '') return {}
  const pair = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`)
  return { 'proxy-authorization': `Basic ${pair.toString('base64')}` }
}

/** Asks the proxy for a tunnel to `to`. https://www.rfc-editor.org/rfc/rfc9110#section-9.3.6 */
const requestTunnel = (proxy: URL, to: string, signal: AbortSignal): ClientRequest => {
  const isTls = proxy.protocol === 'https:'
  return (isTls ? overTls : overTcp)({
    ...{ method: 'CONNECT', path: to, agent: false, signal },
    ...{ host: bare(proxy.hostname), port: proxy.port || (isTls ? 443 : 80) },
    headers: { host: to, ...authorizationOf(proxy) },
    ...(isTls ? { rejectUnauthorized: true } : {}),
  })
}

/** Why the proxy opens no tunnel, by the status of its answer. */
const refusal = (status: number, { username }: URL, to: string): string => {
  if (status !== 407) return `opens no tunnel to ${to} (${status})`
  return username === '' ? 'wants a name and a password (407)' : 'refuses the name and the password (407)'
}

/**
 * A connection through the proxy. It is tried once: who asks decides whether to ask again.
 * @throws HttpFailure that names the proxy, without its password; whatever the signal brings about
 */
const openSocket = (proxy: URL, to: string, within: number, signal: AbortSignal): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const request = requestTunnel(proxy, to, signal)
    const fail = (why: string, cause?: unknown): void => {
      reject(new HttpFailure('proxy', `the proxy ${proxy.origin} ${why}`, false, cause))
      request.destroy()
    }
    const timer = setTimeout(() => fail('does not answer in time'), within)
    request.once('close', () => clearTimeout(timer))
    request.once('connect', ({ statusCode = 0 }, socket) => {
      clearTimeout(timer)
      if (statusCode >= 200 && statusCode < 300) return resolve(socket)
      socket.destroy()
      fail(refusal(statusCode, proxy, to))
    })
    request.on('error', (error: NodeJS.ErrnoException) => {
      if (signal.aborted) return reject(error)
      const { code = error.message } = error
      if (code === 'ECONNRESET') return fail('hangs up', error)
      if (TLS_FAILED.test(code)) return fail(`cannot be trusted: TLS with it failed (${code})`, error)
      fail(`cannot be reached (${code})`, error)
    })
    request.end()
  })

/** Sends https requests through a proxy that tunnels, so that TLS is with whoever answers, not with the proxy. */
export function openTunnel({ connectTimeoutMs, tls }: WayOptions, proxy: Secret): Way {
  const at = new URL(proxy.reveal())
  const open = new Set<Socket>()
  return {
    exchange: async exchange => {
      const { url, signal } = exchange
      const host = bare(url.hostname)
      const tunnel = await openSocket(at, `${url.hostname}:${url.port || 443}`, connectTimeoutMs, signal)
      open.add(tunnel)
      try {
        const servername = isIP(host) ? '' : host
        const createConnection = (): Socket => connect({ ...tls, socket: tunnel, host, servername })
        return await send(exchange, { createConnection }, connectTimeoutMs)
      } finally {
        open.delete(tunnel)
        tunnel.destroy()
      }
    },
    close: async () => {
      for (const tunnel of open) tunnel.destroy()
    },
  }
}
