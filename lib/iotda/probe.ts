import type { X509Certificate } from 'node:crypto'
import type { Clock } from '../base/time.ts'
import { type Canary, credentialsOf } from '../devices/canary.ts'
import type { Leaf, Served } from '../model/certificate.ts'
import { covers, leafOf, parseChain } from '../x509/certificate.ts'
import { extraneousIn, verifySent } from '../x509/sent.ts'
import { LOOK_TIMEOUT_MS } from './endpoint.ts'
import { connectOnce } from './mqtt.ts'
import { type ClientHello, type Session, type SessionOptions, textOf, withSession } from './tls.ts'

/** One kind of device, as the probe plays it. */
export interface ProbeDevice {
  /** Name of its profile; null: any device of the target. */
  readonly profile: string | null
  readonly hello: ClientHello
  /** The only ones it knows. */
  readonly roots: readonly X509Certificate[]
  readonly canary: Canary | null
  /** Every certificate sent must lead to one of the roots. */
  readonly needsWholeChain: boolean
}

/**
 * What kind of trouble it is: nobody was heard, TLS was refused, another leaf than the expected one was shown, the
 * certificate or its chain is not accepted, or the canary was not let in.
 */
export type Fault = 'lost' | 'handshake' | 'other-leaf' | 'chain' | 'canary'

/** How one device fared at one address. */
export interface DeviceProbe {
  readonly profile: string | null
  readonly address: string
  /** Null: the handshake failed. */
  readonly leaf: Leaf | null
  readonly chainPem: string | null
  readonly protocol: string | null
  readonly cipher: string | null
  /** Why this device would not connect; null: it would. */
  readonly problem: string | null
  /** The kind of problem; null: none. */
  readonly fault: Fault | null
  /** What is odd about the chain, which this device passes over; null: nothing. */
  readonly untidy: string | null
  /** What became of the canary's CONNECT; null: there is no canary, or it was not asked for. */
  readonly canary: 'accepted' | 'refused' | 'not-sent' | null
  readonly durationMs: number
}

export interface DeviceProbeOptions {
  readonly device: ProbeDevice
  readonly address: string
  readonly port: number
  readonly serverName: string
  /** Fingerprint of the leaf that should be served; null: any, and nothing is ever sent. */
  readonly expected: string | null
  /** Let the device's canary connect. */
  readonly withCanary: boolean
  readonly clock: Clock
  readonly signal: AbortSignal
  /** For everything. */
  readonly timeoutMs?: number
}

const NAMED_AT_MOST = 5

const fewOf = (names: readonly string[]): string => {
  const more = names.length - NAMED_AT_MOST
  return `${names.slice(0, NAMED_AT_MOST).join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}

/** `CN=… by CN=… (0123456789abcdef…)`: a leaf in one phrase. */
export const nameOf = ({ subject, names, issuer, fingerprint }: Leaf): string =>
  `${subject || fewOf(names)} by ${issuer} (${fingerprint.slice(0, 16)}…)`

type Trouble = Pick<DeviceProbe, 'problem' | 'fault' | 'untidy'>

const FINE: Trouble = { problem: null, fault: null, untidy: null }
const trouble = (problem: string, fault: Fault): Trouble => ({ problem, fault, untidy: null })

type JudgeOptions = Pick<DeviceProbeOptions, 'device' | 'serverName' | 'expected' | 'clock'>

/** What the device has against what it was sent; nothing: the channel is verified. */
function objection(chain: readonly X509Certificate[], leaf: Leaf, options: JudgeOptions): Trouble {
  const { device, serverName, expected, clock } = options
  if (expected !== null && leaf.fingerprint !== expected)
    return trouble(`it is served ${nameOf(leaf)}`, 'other-leaf')
  if (!covers(leaf.names, serverName.replace(/\.$/, ''))) {
    const names = fewOf(leaf.names) || 'no name'
    return trouble(`it is served ${nameOf(leaf)}, which is for ${names}`, 'chain')
  }
  const path = verifySent({ chain, roots: device.roots, at: clock.now() })
  if (!path.ok) return trouble(`it does not trust what it is sent: ${path.message}`, 'chain')
  const extraneous = device.needsWholeChain ? extraneousIn(chain, device.roots) : null
  return extraneous === null
    ? { ...FINE, untidy: path.untidy }
    : trouble(`it is sent "${leafOf(extraneous).subject}" besides, which leads to none of its roots`, 'chain')
}

/** What a device without limits of its own makes of what a look showed: no handshake of its own is needed. */
export function probeOfLook({ address, leaf, error, chainPem }: Served, options: JudgeOptions): DeviceProbe {
  const { profile } = options.device
  const common = { profile, address, leaf, protocol: null, cipher: null, canary: null, durationMs: 0 }
  if (!leaf || !chainPem)
    return { ...common, chainPem: null, ...trouble(`no handshake: ${error}`, faultOf(error ?? '')) }
  try {
    return { ...common, chainPem, ...objection(parseChain(chainPem), leaf, options) }
  } catch (thrown) {
    return { ...common, chainPem, ...trouble((thrown as Error).message, 'chain') }
  }
}

/** Somebody who answered and would not, or nobody at all. */
const faultOf = (why: string): Fault => (/^(ERR_SSL|ERR_TLS|no certificate)/.test(why) ? 'handshake' : 'lost')

/**
 * Connects once as this device would: with its limits, trusting only its roots, on exactly the chain the peer
 * sent. The canary's credentials leave only over a channel whose leaf is the expected one and whose chain
 * verified. Never throws.
 */
export async function probeAs(options: DeviceProbeOptions): Promise<DeviceProbe> {
  const { device, address, clock } = options
  const started = clock.now()
  let seen: Seen = { leaf: null, chainPem: null, protocol: null, cipher: null }
  let canary: DeviceProbe['canary'] = device.canary && options.withCanary ? 'not-sent' : null
  const use = async (session: Session): Promise<Trouble> => {
    const [first] = session.chain
    if (first === undefined) return trouble('no certificate was sent', 'handshake')
    const { chain, protocol, cipher } = session
    const leaf = leafOf(first)
    seen = { leaf, chainPem: chain.map(String).join(''), protocol, cipher }
    const found = objection(chain, leaf, options)
    if (found.problem !== null || canary === null || device.canary === null || options.expected === null)
      return found
    canary = 'refused'
    const refusal = await connectOnce(session.socket, credentialsOf(device.canary, clock.now()))
    if (refusal !== null) return trouble(`its canary was refused: ${refusal}`, 'canary')
    canary = 'accepted'
    return found
  }
  const found = await withSession(sessionOptions(options), use).catch((thrown): Trouble => {
    const why = textOf(thrown)
    return canary === 'refused'
      ? trouble(`its canary got no answer: ${why}`, 'canary')
      : trouble(`no handshake: ${why}`, faultOf(why))
  })
  return { profile: device.profile, address, ...seen, ...found, canary, durationMs: clock.now() - started }
}

type Seen = Pick<DeviceProbe, 'leaf' | 'chainPem' | 'protocol' | 'cipher'>

const sessionOptions = (options: DeviceProbeOptions): SessionOptions => {
  const { device, address, port, serverName, signal, timeoutMs = LOOK_TIMEOUT_MS } = options
  return { address, port, serverName, timeoutMs, signal, hello: device.hello }
}
