/**
 * The device port 8883 of an IoTDA instance: MQTT over TLS with a certificate chosen by SNI.
 * https://support.huaweicloud.com/intl/en-us/usermanual-iothub/iot_01_0089.html
 */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { TLSSocket } from 'node:tls'
import { createBroker } from './device/broker.ts'
import { createChooser, createContexts, throwAwayPlatform } from './device/choice.ts'
import type {
  DeviceEndpoint,
  DeviceEndpointOptions,
  DownMode,
  EndpointSwitches,
  Handshake,
} from './device/model.ts'
import { readHello } from './kit/client-hello.ts'
import { killIf } from './kit/faults.ts'

export type {
  ConnectedClient,
  DeviceEndpoint,
  DeviceEndpointOptions,
  DownMode,
  EndpointSwitches,
  Handshake,
  Identity,
} from './device/model.ts'

const handshakeTimeoutMs = 30_000

type Hit = Awaited<ReturnType<typeof arrive>>

/** Logs the handshake and applies what a fault does before it. */
async function arrive(options: DeviceEndpointOptions, sni: string | null) {
  const call = { operation: 'device.Handshake', method: 'TLS', path: sni ?? '', body: '' }
  const hit = options.faults?.arrive(call) ?? null
  const fault = hit?.fault ?? null
  if (fault?.delayMs) await sleep(fault.delayMs)
  return { fault, broken: killIf(fault, 'before') || fault?.drop === 'before' }
}

/** One listening address that can go down and come up on the same port. */
const createNode = (address: string, sockets: Set<Socket>, accept: (socket: Socket) => void) => {
  let server: Server | null = null
  let mode: DownMode | null = null
  const open = (port: number): Promise<number> =>
    new Promise((resolve, reject) => {
      const opened = createServer(socket => {
        sockets.add(socket)
        socket.on('close', () => sockets.delete(socket)).on('error', () => socket.destroy())
        if (mode === 'reset') socket.resetAndDestroy()
        else if (mode === 'silent') socket.resume()
        else accept(socket)
      })
      opened.once('error', reject)
      opened.listen(port, address, () => {
        server = opened
        resolve((opened.address() as AddressInfo).port)
      })
    })
  const close = (): void => {
    server?.close()
    server = null
  }
  return {
    address,
    open,
    close,
    setDown: async (next: DownMode | null, port: number): Promise<void> => {
      mode = next
      if (next === 'refuse') close()
      else if (!server) await open(port)
    },
  }
}

/** Reads up to the end of the ClientHello and puts it back; null when the client sends anything else. */
const peekServerName = (socket: Socket): Promise<{ readonly serverName: string | null } | null> =>
  new Promise(resolve => {
    let seen = Buffer.alloc(0)
    const finish = (result: { readonly serverName: string | null } | null): void => {
      socket.off('data', onData).off('close', onClose)
      socket.pause()
      if (result) socket.unshift(seen)
      resolve(result)
    }
    const onClose = (): void => finish(null)
    const onData = (chunk: Buffer): void => {
      seen = Buffer.concat([seen, chunk])
      const hello = readHello(seen)
      if (hello.kind !== 'incomplete') finish(hello.kind === 'hello' ? hello : null)
    }
    socket.on('data', onData).on('close', onClose)
  })

/** Takes over after the ClientHello: one TLS server side with exactly one certificate, then MQTT. */
const createAcceptor = (
  options: DeviceEndpointOptions,
  pieces: {
    readonly chooser: ReturnType<typeof createChooser>
    readonly broker: Awaited<ReturnType<typeof createBroker>>
    readonly handshakes: Handshake[]
    readonly sockets: Set<Socket>
    readonly switches: EndpointSwitches
  },
) => {
  const { chooser, broker, handshakes, sockets, switches } = pieces
  const now = options.now ?? Date.now
  const contextOf = createContexts()

  const finish = (secure: TLSSocket, handshake: { completed: boolean } & Handshake, hit: Hit): void => {
    if (killIf(hit.fault, 'after') || hit.fault?.drop === 'after') return void secure.destroy()
    handshake.completed = true
    secure.setTimeout(0)
    broker.handle(secure, handshake)
  }

  return async (socket: Socket, address: string): Promise<void> => {
    const hello = await peekServerName(socket)
    if (!hello) return void socket.destroy()
    const hit = await arrive(options, hello.serverName)
    if (hit.broken || socket.destroyed) return void socket.destroy()
    const identity = chooser.choose(address, hello.serverName)
    const { context, fingerprint } = contextOf(identity, switches.minVersion)
    const handshake = { address, sni: hello.serverName, fingerprint, at: now(), completed: false }
    handshakes.push(handshake)
    if (switches.delayMs > 0) await sleep(switches.delayMs)
    if (socket.destroyed) return
    socket.setTimeout(0)
    const secure = new TLSSocket(socket, { isServer: true, secureContext: context })
    sockets.add(secure)
    secure.on('error', () => secure.destroy()).on('close', () => sockets.delete(secure))
    secure.setTimeout(handshakeTimeoutMs, () => secure.destroy())
    secure.once('secure', () => finish(secure, handshake, hit))
  }
}

const openAll = async (
  nodes: readonly ReturnType<typeof createNode>[],
  wanted: number,
  attemptsLeft = 5,
): Promise<number> => {
  let port = wanted
  try {
    for (const node of nodes) port = await node.open(port)
    return port
  } catch (error) {
    // An ephemeral port of the first address can be taken on the next one.
    for (const node of nodes) node.close()
    if (wanted !== 0 || attemptsLeft < 1) throw error
    return openAll(nodes, wanted, attemptsLeft - 1)
  }
}

/** Opens the device port; its custom domain serves what the instance has bound. */
export async function createDeviceEndpoint(options: DeviceEndpointOptions): Promise<DeviceEndpoint> {
  const host = options.host ?? options.addresses?.[0] ?? '127.0.0.1'
  const addresses = options.addresses ?? [host]
  const switches: EndpointSwitches = {
    ...{ lagMs: options.propagationMs ?? 0, flap: 0, serve: null, serveAt: {} },
    delayMs: 0,
    minVersion: 'TLSv1.2',
  }
  const platform = options.platform ?? (await throwAwayPlatform())
  const broker = await createBroker(options)
  const chooser = createChooser(options, switches, platform)
  const handshakes: Handshake[] = []
  const sockets = new Set<Socket>()
  const accept = createAcceptor(options, { chooser, broker, handshakes, sockets, switches })
  const nodes = addresses.map(address =>
    createNode(address, sockets, socket => {
      socket.setTimeout(handshakeTimeoutMs, () => socket.destroy())
      accept(socket, address).catch((error: unknown) => {
        process.emitWarning(`sandbox device endpoint: ${error}`)
        socket.destroy()
      })
    }),
  )
  const port = await openAll(nodes, options.port ?? 0)
  const disconnectAll = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    host,
    port,
    addresses,
    switches,
    handshakes,
    clients: broker.clients,
    onConnect: broker.onConnect,
    setDown: async (mode, address) => {
      for (const node of nodes)
        if (address === undefined || node.address === address) await node.setDown(mode, port)
    },
    settle: chooser.settle,
    disconnectAll,
    dispose: async () => {
      chooser.stop()
      for (const node of nodes) node.close()
      disconnectAll()
      await broker.close()
    },
  }
}
