import type { Duplex } from 'node:stream'
import type { Credentials } from '../devices/canary.ts'

/** MQTT 3.1.1 section 3.2.2.3, in the words of IoTDA's documentation. */
const REFUSALS: Readonly<Record<number, string>> = {
  1: 'the platform does not speak this MQTT version',
  2: 'the client id was refused',
  3: 'the service is not available',
  4: 'user name or password are wrong',
  5: 'not authorized',
}

/** IoTDA refuses less than 30 and more than 1200 seconds. */
const KEEP_ALIVE_S = 120

/** An answer to CONNECT has four bytes in MQTT 3.1.1, and no more than this whatever it is. */
const CONNACK_BYTES = 4_096

/**
 * Sends one CONNECT and waits for its CONNACK; a connection that was accepted is given up at once. The caller
 * has verified the channel, and limits the time by destroying it.
 * @returns why it was not accepted; null when it was
 */
export async function connectOnce(channel: Duplex, credentials: Credentials): Promise<string | null> {
  // Its default: a bundler finds no named exports in CommonJS.
  const { generate, parser } = (await import('mqtt-packet')).default
  return new Promise(resolve => {
    const reading = parser()
    reading.once('packet', packet => {
      if (packet.cmd !== 'connack') return resolve(`the answer to CONNECT was ${packet.cmd}`)
      const code = packet.returnCode ?? -1
      if (code === 0) channel.write(generate({ cmd: 'disconnect' }))
      resolve(code === 0 ? null : `CONNACK ${code}: ${REFUSALS[code] ?? 'unknown return code'}`)
    })
    // What the parser says may quote what was read.
    reading.on('error', () => resolve('the answer to CONNECT was no MQTT'))
    let received = 0
    channel.on('data', (chunk: Buffer) => {
      received += chunk.length
      if (received > CONNACK_BYTES) return resolve('the answer to CONNECT was too long')
      reading.parse(chunk)
    })
    channel.once('close', () => resolve('closed without an answer to CONNECT'))
    channel.on('error', () => {})
    const { clientId, username, password } = credentials
    channel.write(
      generate({
        cmd: 'connect',
        protocolId: 'MQTT',
        protocolVersion: 4,
        clean: true,
        keepalive: KEEP_ALIVE_S,
        clientId,
        username,
        password: Buffer.from(password.reveal()),
      }),
    )
  })
}
