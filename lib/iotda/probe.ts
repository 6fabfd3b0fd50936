import type { X509Certificate } from 'node:crypto'
import type { Clock } from '../base/time.ts'
import { type Canary, credentialsOf } from '../devices/canary.ts'
import type { Leaf } from '../model.ts'
import { covers, leafOf } from '../x509/certificate.ts'
import { verifyPath } from '../x509/path.ts'
import { LOOK_TIMEOUT_MS } from './endpoint.ts'
import { connectOnce } from './mqtt.ts'
import { type Session, type SessionOptions, type TlsLimits, textOf, withSession } from './tls.ts'

/** One kind of device, as the probe plays it. */
export interface PlayedDevice {
  /** Name of its profile; null: any device of the target. */
  readonly profile: string | null
  readonly offer: TlsLimits
  /** The only ones it knows. */
  readonly roots: readonly X509Certificate[]
  readonly canary: Canary | null
}

/** How one device fared at one address. */
export interface Attempt {
  readonly profile: string | null
  readonly address: string
  /** Null: the handshake failed. */
  readonly leaf: Leaf | null
  readonly chainPem: string | null
  readonly protocol: string | null
  readonly cipher: string | null
  /** Why this device would not connect; null: it would. */
  readonly problem: string | null
  /** What became of the canary's CONNECT; null: there is no canary, or it was not asked for. */
  readonly canary: 'accepted' | 'refused' | 'not-sent' | null
  readonly durationMs: number
}

export interface AttemptOptions {
  readonly device: PlayedDevice
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

/** `CN=… by CN=… (0123456789abcdef…)`: a leaf in one phrase. */
export const nameOf = ({ subject, names, issuer, fingerprint }: Leaf): string =>
  `${subject || names.join(', ')} by ${issuer} (${fingerprint.slice(0, 16)}…)`

/** What the device has against what it was sent; null: nothing, the channel is verified. */
function objection({ chain }: Session, leaf: Leaf, options: AttemptOptions): string | null {
  const { device, serverName, expected, clock } = options
  if (expected !== null && leaf.fingerprint !== expected) return `it is served ${nameOf(leaf)}`
  if (!covers(leaf.names, serverName.replace(/\.$/, '')))
    return `it is served ${nameOf(leaf)}, which is for ${leaf.names.join(', ') || 'no name'}`
  const path = verifyPath({ chain, roots: device.roots, at: clock.now() })
  return path.ok ? null : `it does not trust what it is sent: ${path.message}`
}

/**
 * Connects once as this device would: with its limits, trusting only its roots, on exactly the chain the peer
 * sent. The canary's credentials leave only over a channel whose leaf is the expected one and whose chain
 * verified. Never throws.
 */
export async function attempt(options: AttemptOptions): Promise<Attempt> {
  const { device, address, clock } = options
  const started = clock.now()
  let seen: Seen = { leaf: null, chainPem: null, protocol: null, cipher: null }
  let canary: Attempt['canary'] = device.canary && options.withCanary ? 'not-sent' : null
  const use = async (session: Session): Promise<string | null> => {
    const [first] = session.chain
    if (first === undefined) return 'no certificate was sent'
    const { chain, protocol, cipher } = session
    const leaf = leafOf(first)
    seen = { leaf, chainPem: chain.map(String).join(''), protocol, cipher }
    const problem = objection(session, leaf, options)
    if (problem !== null || canary === null || device.canary === null || options.expected === null)
      return problem
    canary = 'refused'
    const refusal = await connectOnce(session.socket, credentialsOf(device.canary, clock.now()))
    if (refusal !== null) return `its canary was refused: ${refusal}`
    canary = 'accepted'
    return null
  }
  const problem = await withSession(sessionOptions(options), use).catch(
    thrown => `${canary === 'refused' ? 'its canary got no answer' : 'no handshake'}: ${textOf(thrown)}`,
  )
  return { profile: device.profile, address, ...seen, problem, canary, durationMs: clock.now() - started }
}

type Seen = Pick<Attempt, 'leaf' | 'chainPem' | 'protocol' | 'cipher'>

const sessionOptions = (options: AttemptOptions): SessionOptions => {
  const { device, address, port, serverName, signal, timeoutMs = LOOK_TIMEOUT_MS } = options
  return { address, port, serverName, timeoutMs, signal, tls: device.offer }
}
