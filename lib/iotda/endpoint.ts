import { X509Certificate } from 'node:crypto'
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { type ConnectionOptions, connect, type DetailedPeerCertificate, type TLSSocket } from 'node:tls'
import { SECOND_MS } from '../base/time.ts'
import type { ProbeSettings, Served } from '../model.ts'
import { leafOf } from '../x509/certificate.ts'

/** What one handshake showed. */
export interface Handshake extends Served {
  /** The leaf and the issuers the peer sent, each followed by its issuer; null without a handshake. */
  readonly chainPem: string | null
}

export interface HandshakeOptions {
  /** An IP address, or a name the system resolves. */
  readonly address: string
  readonly port: number
  /** Sent as SNI: the custom domain, without which the platform shows its own certificate. */
  readonly serverName: string
  readonly timeoutMs: number
  readonly signal: AbortSignal
  /** What a device would offer. */
  readonly tls?: Readonly<
    Pick<ConnectionOptions, 'minVersion' | 'maxVersion' | 'ciphers' | 'sigalgs' | 'ecdhCurve'>
  >
}

/** The device port of an instance as devices see it. Its methods never throw: a failure is an `error`. */
export interface Endpoint {
  /** One TLS handshake in a new session; nothing is sent over it. */
  handshake(options: HandshakeOptions): Promise<Handshake>
  /**
   * One handshake with every address side by side, five seconds each. When the host cannot be resolved: one
   * entry with the host as its address.
   */
  look(probe: ProbeSettings, domain: string, signal: AbortSignal): Promise<readonly Served[]>
}

export interface EndpointOptions {
  /** Every IPv4 and IPv6 address of a host. Default: the system's resolver. */
  readonly resolve?: (host: string) => Promise<readonly string[]>
}

const LOOK_TIMEOUT_MS = 5 * SECOND_MS

const systemResolve = async (host: string): Promise<readonly string[]> =>
  (await lookup(host, { all: true })).map(({ address }) => address)

/** `ECONNREFUSED` rather than OpenSSL's line of addresses and sources. */
const textOf = (thrown: unknown): string => {
  const error = thrown as { readonly code?: unknown; readonly message?: unknown } | null | undefined
  return String(error?.code ?? error?.message ?? thrown)
}

/** Calls `stop` when the signal is aborted or the time is over; returns how to stop listening. */
const onStop = (signal: AbortSignal, timeoutMs: number, stop: (why: Error) => void): (() => void) => {
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

/** The chain from the leaf up, as far as the peer sent it. A root that issued itself ends it. */
const chainOf = (socket: TLSSocket): readonly X509Certificate[] => {
  const chain: X509Certificate[] = []
  let next: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true)
  const seen = new Set<string>()
  while (next?.raw !== undefined && !seen.has(next.fingerprint256)) {
    seen.add(next.fingerprint256)
    chain.push(new X509Certificate(next.raw))
    next = next.issuerCertificate
  }
  return chain
}

const connectionOptions = ({ address, port, serverName, tls }: HandshakeOptions): ConnectionOptions => ({
  ...tls,
  host: address,
  port,
  // An IP address must not be sent as SNI (RFC 6066 section 3), nor a final dot.
  ...(isIP(serverName) ? {} : { servername: serverName.replace(/\.$/, '') }),
  // The verdict is by fingerprint, and nothing is ever sent over this connection: an expired or foreign
  // certificate must be seen as what it is.
  rejectUnauthorized: false,
  // No roots: Node would append a root of its own to the chain, which the peer has not sent.
  ca: [],
})

const open = (options: HandshakeOptions): Promise<readonly X509Certificate[]> =>
  new Promise((resolve, reject) => {
    const socket = connect(connectionOptions(options))
    const unheard = onStop(options.signal, options.timeoutMs, why => {
      reject(why)
      socket.destroy()
    })
    socket.once('secureConnect', () => {
      try {
        resolve(chainOf(socket))
      } catch (thrown) {
        reject(thrown)
      }
      // With TLS 1.3 our last message may still be on its way: cut off here, the peer would count a failure.
      socket.end(() => socket.destroy())
    })
    socket.on('error', reject)
    socket.once('close', () => {
      unheard()
      reject(new Error('closed before the handshake was complete'))
    })
  })

const handshake = async (options: HandshakeOptions): Promise<Handshake> => {
  const { address } = options
  const failed = (error: string): Handshake => ({ address, leaf: null, error, chainPem: null })
  try {
    const chain = await open(options)
    const [leaf] = chain
    if (leaf === undefined) return failed('no certificate was sent')
    return { address, leaf: leafOf(leaf), error: null, chainPem: chain.map(String).join('') }
  } catch (thrown) {
    return failed(textOf(thrown))
  }
}

/** Rejects when the signal is aborted or the time is over; the work itself goes on unheard. */
const within = <T>(work: Promise<T>, timeoutMs: number, signal: AbortSignal): Promise<T> =>
  new Promise((resolve, reject) => {
    const unheard = onStop(signal, timeoutMs, reject)
    work.then(resolve, reject).finally(unheard)
  })

/** Looks at the device port, MQTT over TLS. https://support.huaweicloud.com/intl/en-us/usermanual-iothub/iot_01_0089.html */
export function createEndpoint({ resolve = systemResolve }: EndpointOptions = {}): Endpoint {
  const addressesOf = async (probe: ProbeSettings, signal: AbortSignal): Promise<readonly string[]> => {
    if (probe.addresses.length > 0) return probe.addresses
    const found = await within(resolve(probe.host), LOOK_TIMEOUT_MS, signal)
    if (found.length === 0) throw new Error('no address')
    return [...new Set(found)]
  }
  return {
    handshake,
    look: async (probe, domain, signal) => {
      let addresses: readonly string[]
      try {
        addresses = await addressesOf(probe, signal)
      } catch (thrown) {
        return [{ address: probe.host, leaf: null, error: `cannot be resolved: ${textOf(thrown)}` }]
      }
      const { port } = probe
      const options = { port, serverName: domain, timeoutMs: LOOK_TIMEOUT_MS, signal }
      return Promise.all(
        addresses.map(async address => {
          const { chainPem: _, ...served } = await handshake({ ...options, address })
          return served
        }),
      )
    },
  }
}
