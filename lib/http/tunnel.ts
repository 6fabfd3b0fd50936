import { isIP, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect } from 'node:tls'
import { Client } from 'undici'
import type { Secret } from '../base/secret.ts'
import { send } from './direct.ts'
import { HttpFailure, TLS_FAILED, type Way, type WayOptions } from './http.ts'

/** A host as sockets take it: without the brackets of an IPv6 address. */
const bare = (hostname: string): string => hostname.replace(/^\[|\]$/g, '')

/** RFC 9110 section 11.7.2, RFC 7617. */
const authorizationOf = ({ username, password }: URL): Record<string, string> => {
  if (username === '') return {}
  const pair = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`)
  return { 'proxy-authorization': `Basic ${pair.toString('base64')}` }
}

/** Why the proxy opens no tunnel, by the status of its answer. */
const refusal = (status: number, { username }: URL, to: string): string => {
  if (status !== 407) return `opens no tunnel to ${to} (${status})`
  return username === '' ? 'wants a name and a password (407)' : 'refuses the name and the password (407)'
}

/** Why there is no answer of the proxy, by the code of the error. */
const silence = (code: string): string => {
  if (code === 'UND_ERR_CONNECT_TIMEOUT' || code === 'UND_ERR_HEADERS_TIMEOUT')
    return 'does not answer in time'
  if (code === 'UND_ERR_SOCKET' || code === 'ECONNRESET') return 'hangs up'
  if (TLS_FAILED.test(code)) return `cannot be trusted: TLS with it failed (${code})`
  return `cannot be reached (${code})`
}

/**
 * A connection through the proxy (RFC 9110 section 9.3.6). It is asked for once, by a client of its own: undici's
 * ProxyAgent asks a proxy that hangs up again and again, without pause.
 * @throws HttpFailure that names the proxy, without its password; whatever the signal brings about
 */
async function openSocket(proxy: URL, to: string, within: number, signal: AbortSignal): Promise<Duplex> {
  const failed = (why: string, cause?: unknown): HttpFailure =>
    new HttpFailure('proxy', `the proxy ${proxy.origin} ${why}`, false, cause)
  const client = new Client(proxy.origin, {
    connect: { timeout: within, rejectUnauthorized: true },
    headersTimeout: within,
  })
  try {
    const { statusCode, socket } = await client.connect({
      ...{ path: to, signal },
      headers: { host: to, ...authorizationOf(proxy) },
    })
    if (statusCode >= 200 && statusCode < 300) return socket
    socket.on('error', () => {}).destroy()
    throw failed(refusal(statusCode, proxy, to))
  } catch (thrown) {
    if (signal.aborted || thrown instanceof HttpFailure) throw thrown
    const { code, message } = thrown as NodeJS.ErrnoException
    throw failed(silence(code ?? message), thrown)
  } finally {
    void client.destroy()
  }
}

/** Sends https requests through a proxy that tunnels, so that TLS is with whoever answers, not with the proxy. */
export function openTunnel({ connectTimeoutMs, tls }: WayOptions, proxy: Secret): Way {
  const at = new URL(proxy.reveal())
  const open = new Set<Duplex>()
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
