/** Readers of what a device port says: bytes instead of a handshake, and an answer to CONNECT. */
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { Duplex } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { secret } from '../../lib/base/secret.ts'
import { createEndpoint } from '../../lib/iotda/endpoint.ts'
import { connectOnce } from '../../lib/iotda/mqtt.ts'
import type { Reader } from './engine.ts'

const CREDENTIALS = { clientId: 'c', username: 'u', password: secret('p') }

export const mqtt: Reader = {
  name: 'MQTT: answers to CONNECT',
  samples: ['20020000', '20020005', 'd000', '30820000036162630102', '900400010080'].map(it =>
    Buffer.from(it, 'hex'),
  ),
  read: async (input, random) => {
    const channel = new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done() })
    const answered = connectOnce(channel, CREDENTIALS)
    // It loads its parser first.
    while (channel.listenerCount('data') === 0) await setImmediate()
    for (let at = 0; at < input.length; ) {
      const to = at + random.whole(1, 4_096)
      channel.push(input.subarray(at, to))
      at = to
    }
    channel.push(null)
    await setImmediate()
    channel.destroy()
    await answered
  },
}

/** A ServerHello of TLS 1.2 with a certificate message, an alert, and what is no TLS at all. */
const HELLO = Buffer.concat([
  Buffer.from('160303004a0200004603031122', 'hex'),
  Buffer.alloc(30, 7),
  Buffer.from('20', 'hex'),
  Buffer.alloc(32, 9),
  Buffer.from('c02f00', 'hex'),
])

/** Speaks what it is told to, to whoever connects. */
const speaker = async () => {
  let said = Buffer.alloc(0)
  const server = createServer(socket => {
    socket.on('error', () => {}).once('data', () => socket.end(said))
  })
  server.listen(0, '127.0.0.1').unref()
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    say: (input: Buffer): void => {
      said = Buffer.from(input)
    },
  }
}
let opened: ReturnType<typeof speaker> | null = null

export const tls: Reader = {
  name: 'TLS: bytes instead of a handshake',
  samples: [HELLO, Buffer.from('15030300020228', 'hex'), Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n')],
  read: async input => {
    opened ??= speaker()
    const { port, say } = await opened
    say(input)
    const signal = new AbortController().signal
    await createEndpoint().handshake({
      ...{ address: '127.0.0.1', port, serverName: 'iot.example.com', timeoutMs: 5_000, signal },
    })
  },
}
