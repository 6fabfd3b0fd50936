import type { X509Certificate } from 'node:crypto'
import {
  type ConnectionOptions,
  connect,
  createSecureContext,
  type SecureContext,
  type TLSSocket,
} from 'node:tls'
import { SECOND_MS } from '../base/time.ts'

/** What a client offers in its hello. */
export type ClientHello = Readonly<
  Pick<ConnectionOptions, 'minVersion' | 'maxVersion' | 'ciphers' | 'sigalgs' | 'ecdhCurve'>
>

export interface SessionOptions {
  /** An IP address, or a name the system resolves. */
  readonly address: string
  readonly port: number
  /** Sent as SNI: the custom domain, without which the platform shows its own certificate. */
  readonly serverName: string
  /** For the handshake and everything after it. */
  readonly timeoutMs: number
  readonly signal: AbortSignal
  /** What a device would offer. */
  readonly hello?: ClientHello
}

/** A completed handshake. */
export interface Session {
  readonly socket: TLSSocket
  /** What the peer sent, in its order: strangers and duplicates, too. */
  readonly chain: readonly X509Certificate[]
  /** E.g. `TLSv1.3`. */
  readonly protocol: string | null
  /** By its name in the RFCs, e.g. `TLS_AES_128_GCM_SHA256`. */
  readonly cipher: string
}

/** What OpenSSL says when what answers is no TLS at all. */
const NO_TLS = 'ERR_SSL_WRONG_VERSION_NUMBER'

/** `ECONNREFUSED` rather than OpenSSL's line of addresses and sources. */
export const textOf = (thrown: unknown): string => {
  const error = thrown as { readonly code?: unknown; readonly message?: unknown } | null | undefined
  const text = String(error?.code ?? error?.message ?? thrown)
  return text === NO_TLS ? `${text} (the port does not speak TLS)` : text
}

/** Calls `stop` when the signal is aborted or the time is over; returns how to stop listening. */
export const onStop = (signal: AbortSignal, timeoutMs: number, stop: (why: Error) => void): (() => void) => {
  const timeout = AbortSignal.timeout(timeoutMs)
  const listener = (): void =>
    stop(new Error(signal.aborted ? 'given up' : `no answer within ${timeoutMs / SECOND_MS} s`))
  // Not AbortSignal.any: on Node 20 it can lose a timeout that nothing else refers to.
  for (const either of [signal, timeout]) either.addEventListener('abort', listener, { once: true })
  if (signal.aborted) listener()
  return () => {
    for (const either of [signal, timeout]) either.removeEventListener('abort', listener)
  }
}

/**
 * What the peer sent, in its order: `getPeerCertificate` sorts, and leaves out what fits nowhere. To be read once, since
 * Node takes the issuers out of OpenSSL's list as it reads them.
 */
const chainOf = (socket: TLSSocket): readonly X509Certificate[] => {
  const chain: X509Certificate[] = []
  for (let next = socket.getPeerX509Certificate(); next !== undefined; next = next.issuerCertificate)
    chain.push(next)
  return chain
}

/** Not `isIP`, whose expression for IPv6 takes Node longer than a handshake. */
const isAddress = (host: string): boolean => host.includes(':') || /^[\d.]+$/.test(host)

const connectionOptions = ({ address, port, serverName, hello }: SessionOptions): ConnectionOptions => ({
  ...hello,
  host: address,
  port,
  // An IP address must not be sent as SNI (RFC 6066 section 3), nor a final dot.
  ...(isAddress(serverName) ? {} : { servername: serverName.replace(/\.$/, '') }),
  // Judged by fingerprint, and by our own path validation where anything is sent: an expired or foreign
  // certificate must be seen as what it is.
  rejectUnauthorized: false,
  // No roots: Node would append a root of its own to the chain, which the peer has not sent.
  ...(hello ? { ca: [] } : { secureContext: withoutRoots() }),
})

let shared: SecureContext | null = null

/** Made once: thousands of looks offer the same. Sessions are not kept in it, so that each handshake is a whole one. */
function withoutRoots(): SecureContext {
  shared ??= createSecureContext({ ca: [] })
  return shared
}

/**
 * Opens one new TLS session, lets `use` have it, and closes it whatever happens. Node judges nothing about the
 * certificate: only that the peer holds its key.
 */
export const withSession = <T>(
  options: SessionOptions,
  use: (session: Session) => T | Promise<T>,
): Promise<T> =>
  new Promise((resolve, reject) => {
    const socket = connect(connectionOptions(options))
    const unheard = onStop(options.signal, options.timeoutMs, why => {
      reject(why)
      socket.destroy()
    })
    const useIt = async (): Promise<T> => {
      const cipher = socket.getCipher() as { readonly standardName?: string; readonly name: string }
      return use({
        socket,
        chain: chainOf(socket),
        protocol: socket.getProtocol(),
        cipher: cipher.standardName ?? cipher.name,
      })
    }
    socket.once('secureConnect', () => {
      useIt()
        .then(resolve, reject)
        // With TLS 1.3 our last message may still be on its way: cut off here, the peer would count a failure.
        .finally(() => socket.end(() => socket.destroy()))
    })
    socket.on('error', reject)
    socket.once('close', () => {
      unheard()
      reject(new Error('closed before the handshake was complete'))
    })
  })
