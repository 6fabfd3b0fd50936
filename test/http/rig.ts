/** What the tests of the HTTP client share: servers on loopback that are stopped after each test. */
import { once } from 'node:events'
import type { RequestListener, Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket, Server as TcpServer } from 'node:net'
import { HttpFailure } from '../../lib/http/http.ts'
import { createRoot, issueLeaf } from '../../sandbox/kit/pki.ts'
import { cleanups } from '../support/cleanups.ts'

/** The port of a server, and how it is stopped at once, with everybody who is connected. */
export const listen = async (server: TcpServer | Server) => {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => sockets.add(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const stop = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy()
    await new Promise(resolve => server.close(resolve))
  }
  cleanups.push(stop)
  return { port, stop }
}

/** A server over TLS, for these names by a certificate of a root of its own (PEM). */
export const listenTls = async (names: readonly string[], listener: RequestListener) => {
  const root = await createRoot()
  const { keyPem: key, chainPem: cert } = await issueLeaf({ names, issuer: root })
  return { root: root.certPem, ...(await listen(createTlsServer({ key, cert }, listener))) }
}

export const failureOf = async (answer: Promise<unknown>): Promise<HttpFailure> => {
  const thrown = await answer.then(
    () => new Error('there was an answer'),
    error => error,
  )
  if (!(thrown instanceof HttpFailure)) throw thrown
  return thrown
}
