import type { Iotda } from '../iotda/iotda.ts'
import type { Faults } from '../kit/faults.ts'

/** A chain, leaf first, and its key. */
export interface Identity {
  readonly certPem: string
  readonly keyPem: string
}

/** `refuse` closes the listener, `reset` destroys after accept, `silent` accepts and never answers. */
export type DownMode = 'refuse' | 'reset' | 'silent'

/** May be changed at any time. */
export interface EndpointSwitches {
  /** How long after a write of the binding it becomes visible, for all addresses or by address. Read at the write. */
  lagMs: number | Readonly<Record<string, number>>
  /** The next so many handshakes for the custom domain alternate: the one before, the new one, and so on. */
  flap: number
  /** Served for the custom domain instead of what is bound. */
  serve: Identity | null
  /** The same for one address only. */
  serveAt: Readonly<Record<string, Identity>>
  /** How long the answer to a ClientHello takes. */
  delayMs: number
  /** The least version of TLS. */
  minVersion: 'TLSv1.2' | 'TLSv1.3'
}

export interface Handshake {
  readonly address: string
  readonly sni: string | null
  /** Lower-case hex SHA-256 of the leaf served. */
  readonly fingerprint: string
  readonly at: number
  /** Whether the client went through with it. */
  readonly completed: boolean
}

export interface ConnectedClient {
  readonly clientId: string
  readonly address: string
  readonly sni: string | null
  readonly fingerprint: string
}

export interface DeviceEndpointOptions {
  readonly iotda: Pick<Iotda, 'bound' | 'onBind' | 'configurations'>
  /** Handshakes are logged as `device.Handshake`, with the SNI as the path; `delayMs`, `drop` and `kill` apply. */
  readonly faults?: Faults
  readonly now?: () => number
  /** What other names, and clients without SNI, get; a throw-away certificate by default. */
  readonly platform?: Identity
  /** Default 127.0.0.1. */
  readonly host?: string
  readonly port?: number
  /** The nodes behind the balancer: several listening addresses on one port. */
  readonly addresses?: readonly string[]
  /** First value of the switch `lagMs`. */
  readonly propagationMs?: number
  /** Default: every client is let in. */
  readonly authenticate?: (
    clientId: string,
    username: string | undefined,
    password: string | undefined,
  ) => boolean
}

export interface DeviceEndpoint {
  readonly host: string
  readonly port: number
  readonly addresses: readonly string[]
  readonly switches: EndpointSwitches
  /** In the order of arrival, those the client broke off included. */
  readonly handshakes: readonly Handshake[]
  /** MQTT clients connected now. */
  clients(): readonly ConnectedClient[]
  /** Calls back at every completed CONNECT; returns how to stop it. */
  onConnect(listener: (client: ConnectedClient) => void): () => void
  /** Takes all addresses or one down; null brings it up again. Established connections stay. */
  setDown(mode: DownMode | null, address?: string): Promise<void>
  /** Makes every write of the binding visible now, whatever its lag. */
  settle(): void
  /** Cuts every established connection, as a restart of the node would. */
  disconnectAll(): void
  dispose(): Promise<void>
}
