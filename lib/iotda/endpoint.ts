import { lookup } from 'node:dns/promises'
import { type Clock, SECOND_MS, systemClock } from '../base/time.ts'
import type { Served } from '../model/certificate.ts'
import type { ProbeSettings } from '../model/target.ts'
import { leafOf } from '../x509/certificate.ts'
import { onStop, type SessionOptions, textOf, withSession } from './tls.ts'

/** What one handshake showed. */
export interface Handshake extends Served {
  /** What the peer sent, in its order; null without a handshake. */
  readonly chainPem: string | null
  /** E.g. `TLSv1.3` and `TLS_AES_128_GCM_SHA256`; null without a handshake. */
  readonly protocol: string | null
  readonly cipher: string | null
  /** From the first packet to the end of the handshake, or until it failed. */
  readonly durationMs: number
}

/** Where the device port is: given addresses, or those of a host. */
export type Where = Pick<ProbeSettings, 'host' | 'port' | 'addresses'>

/** The device port of an instance as devices see it. Its methods never throw: a failure is an `error`. */
export interface Endpoint {
  /** One TLS handshake in a new session; nothing is sent over it. */
  handshake(options: SessionOptions): Promise<Handshake>
  /**
   * One handshake with every address side by side, five seconds each. When the host cannot be resolved: one
   * entry with the host as its address.
   */
  look(probe: Where, domain: string, signal: AbortSignal): Promise<readonly Served[]>
  /** The same, with all that each handshake showed. */
  lookClosely(probe: Where, domain: string, signal: AbortSignal): Promise<readonly Handshake[]>
}

export interface EndpointOptions {
  /** Every IPv4 and IPv6 address of a host. Default: the system's resolver. */
  readonly resolve?: (host: string) => Promise<readonly string[]>
  /** What durations are measured by. Default: the system's. */
  readonly clock?: Pick<Clock, 'now'>
}

/** For one handshake, and for everything that a device does after it. */
export const LOOK_TIMEOUT_MS = 5 * SECOND_MS

/** Handshakes are made with all of them at once. */
const ADDRESSES_AT_MOST = 64

const systemResolve = async (host: string): Promise<readonly string[]> =>
  (await lookup(host, { all: true })).map(({ address }) => address)

const nothing = (address: string, error: string, durationMs: number): Handshake => ({
  address,
  leaf: null,
  error,
  chainPem: null,
  protocol: null,
  cipher: null,
  durationMs,
})

const handshake = async (options: SessionOptions, clock: Pick<Clock, 'now'>): Promise<Handshake> => {
  const { address } = options
  const started = clock.now()
  const took = (): number => clock.now() - started
  try {
    const { chain, protocol, cipher } = await withSession(options, session => session)
    const [leaf] = chain
    if (leaf === undefined) return nothing(address, 'no certificate was sent', took())
    const chainPem = chain.map(String).join('')
    return { address, leaf: leafOf(leaf), error: null, chainPem, protocol, cipher, durationMs: took() }
  } catch (thrown) {
    return nothing(address, textOf(thrown), took())
  }
}

/** Rejects when the signal is aborted or the time is over; the work itself goes on unheard. */
const within = <T>(work: Promise<T>, timeoutMs: number, signal: AbortSignal): Promise<T> =>
  new Promise((resolve, reject) => {
    const unheard = onStop(signal, timeoutMs, reject)
    work.then(resolve, reject).finally(unheard)
  })

/** Looks at the device port, MQTT over TLS. https://support.huaweicloud.com/intl/en-us/usermanual-iothub/iot_01_0089.html */
export function createEndpoint({
  resolve = systemResolve,
  clock = systemClock,
}: EndpointOptions = {}): Endpoint {
  const addressesOf = async (where: Where, signal: AbortSignal): Promise<readonly string[]> => {
    if (where.addresses.length > 0) return where.addresses
    const found = [...new Set(await within(resolve(where.host), LOOK_TIMEOUT_MS, signal))]
    if (found.length === 0) throw new Error('no address')
    if (found.length > ADDRESSES_AT_MOST)
      throw new Error(
        `${found.length} addresses, more than ${ADDRESSES_AT_MOST} (give some in probe.addresses)`,
      )
    return found
  }
  const lookClosely: Endpoint['lookClosely'] = async (where, domain, signal) => {
    const started = clock.now()
    let addresses: readonly string[]
    try {
      addresses = await addressesOf(where, signal)
    } catch (thrown) {
      return [nothing(where.host, `cannot be resolved: ${textOf(thrown)}`, clock.now() - started)]
    }
    const { port } = where
    const options = { port, serverName: domain, timeoutMs: LOOK_TIMEOUT_MS, signal }
    return Promise.all(addresses.map(address => handshake({ ...options, address }, clock)))
  }
  return {
    handshake: options => handshake(options, clock),
    lookClosely,
    look: async (where, domain, signal) => {
      const seen = await lookClosely(where, domain, signal)
      return seen.map(({ address, leaf, error, chainPem }) =>
        leaf ? { address, leaf, error, chainPem } : { address, leaf, error },
      )
    },
  }
}
