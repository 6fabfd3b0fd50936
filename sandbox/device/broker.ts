import type { TLSSocket } from 'node:tls'
import { Aedes, type AuthenticateError } from 'aedes'
import type { ConnectedClient, DeviceEndpointOptions, Handshake } from './model.ts'

/** A real MQTT broker that knows which handshake each client came through. */
export async function createBroker(options: DeviceEndpointOptions) {
  const { authenticate } = options
  const broker = await Aedes.createBroker({
    authenticate: (client, username, password, done) => {
      if (!authenticate || authenticate(client.id, username, password?.toString())) return done(null, true)
      done(Object.assign(new Error('not authorized'), { returnCode: 5 }) as AuthenticateError, false)
    },
  })
  const about = new WeakMap<object, Handshake>()
  const connected = new Map<object, ConnectedClient>()
  const listeners = new Set<(client: ConnectedClient) => void>()
  broker.on('clientReady', client => {
    const { address = '', sni = null, fingerprint = '' } = about.get(client.conn) ?? {}
    const entry = { clientId: client.id, address, sni, fingerprint }
    connected.set(client, entry)
    for (const listener of listeners) listener(entry)
  })
  broker.on('clientDisconnect', client => connected.delete(client))
  return {
    clients: () => [...connected.values()],
    onConnect: (listener: (client: ConnectedClient) => void) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    handle: (secure: TLSSocket, handshake: Handshake) => {
      about.set(secure, handshake)
      broker.handle(secure)
    },
    close: () => new Promise<void>(resolve => broker.close(resolve)),
  }
}
