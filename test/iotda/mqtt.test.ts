import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { secret } from '../../lib/base/secret.ts'
import { credentialsOf } from '../../lib/devices/canary.ts'
import { connectOnce } from '../../lib/iotda/mqtt.ts'
import { cleanups } from '../support/cleanups.ts'

describe('what a canary says', () => {
  test('a device of IoTDA, by the example of its documentation', () => {
    const canary = { deviceId: '5f052ac562369102d42b0fb6_meter', secret: secret('12345678') }
    const said = credentialsOf(canary, Date.UTC(2025, 3, 14, 1, 59, 59, 999))
    expect(said).toMatchObject({
      clientId: '5f052ac562369102d42b0fb6_meter_0_0_2025041401',
      username: '5f052ac562369102d42b0fb6_meter',
    })
    expect(said.password.reveal()).toBe('c75150e6cb841417396819e4d2ee4358a416344a03a083e3a8567074ddec820a')
    expect(inspect(said, { depth: 9 }) + JSON.stringify(said)).not.toContain('c75150e6')
  })

  test('the hour is that of UTC, whatever digits it has', () => {
    const at = (instant: number) => credentialsOf({ deviceId: 'd', secret: secret('s') }, instant).clientId
    expect(at(Date.UTC(2030, 0, 1))).toBe('d_0_0_2030010100')
    expect(at(Date.UTC(2029, 11, 31, 23, 59))).toBe('d_0_0_2029123123')
  })

  test('given as they are, they stay as they are', () => {
    const given = { clientId: 'c', username: 'u', password: secret('p') }
    expect(credentialsOf(given, 0)).toBe(given)
  })
})

/** A peer that does one thing with each connection; what was sent to it is kept. */
async function peer(act: (socket: Socket) => void) {
  const received: Buffer[] = []
  const server = createServer(socket => {
    socket.on('data', chunk => received.push(chunk)).on('error', () => {})
    socket.once('data', () => act(socket))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const channel = connect((server.address() as AddressInfo).port, '127.0.0.1')
  cleanups.push(async () => {
    channel.destroy()
    server.close()
  })
  return { channel, received: () => Buffer.concat(received) }
}

const CREDENTIALS = { clientId: 'client', username: 'user', password: secret('pässword') }
const text = (value: string): Buffer => {
  const bytes = Buffer.from(value)
  return Buffer.concat([Buffer.from([0, bytes.length]), bytes])
}
/** MQTT 3.1.1 section 3.1: clean session, user name and password, 120 seconds. */
const CONNECT = (() => {
  const body = Buffer.concat([
    text('MQTT'),
    Buffer.from([4, 0b1100_0010, 0, 120]),
    ...['client', 'user', 'pässword'].map(text),
  ])
  return Buffer.concat([Buffer.from([0x10, body.length]), body])
})()
const DISCONNECT = Buffer.from([0xe0, 0])
const connack = (code: number) => Buffer.from([0x20, 2, 0, code])

describe('CONNECT', () => {
  test('accepted: one CONNECT, then DISCONNECT', async () => {
    const { channel, received } = await peer(socket => socket.write(connack(0)))
    expect(await connectOnce(channel, CREDENTIALS)).toBeNull()
    channel.end()
    await once(channel, 'close')
    expect(received()).toEqual(Buffer.concat([CONNECT, DISCONNECT]))
  })

  test('an answer in pieces is one answer', async () => {
    const { channel } = await peer(socket => {
      socket.setNoDelay()
      for (const [i, byte] of connack(0).entries()) setTimeout(() => socket.write(Buffer.of(byte)), 5 * i)
    })
    expect(await connectOnce(channel, CREDENTIALS)).toBeNull()
  })

  test.each([
    [1, 'CONNACK 1: the platform does not speak this MQTT version'],
    [2, 'CONNACK 2: the client id was refused'],
    [3, 'CONNACK 3: the service is not available'],
    [4, 'CONNACK 4: user name or password are wrong'],
    [5, 'CONNACK 5: not authorized'],
  ])('refused with %i', async (code, why) => {
    const { channel, received } = await peer(socket => socket.write(connack(code)))
    expect(await connectOnce(channel, CREDENTIALS)).toBe(why)
    expect(received()).toEqual(CONNECT)
  })

  test.each<[string, (socket: Socket) => void, RegExp]>([
    [
      'another protocol',
      socket => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'),
      /^the answer to CONNECT was /,
    ],
    [
      'another packet',
      socket => socket.write(Buffer.from([0xd0, 0])),
      /^the answer to CONNECT was pingresp$/,
    ],
    ['a packet of no known kind', socket => socket.write(Buffer.from([0x00, 0])), /no MQTT/],
    [
      'a packet of 200 MB that comes and comes',
      socket => {
        socket.write(Buffer.from([0x30, 0x80, 0x80, 0x80, 0x60]))
        socket.write(Buffer.alloc(100_000))
      },
      /^the answer to CONNECT was too long$/,
    ],
    ['the end', socket => socket.end(), /^closed without an answer to CONNECT$/],
    ['a reset', socket => socket.resetAndDestroy(), /^closed without an answer to CONNECT$/],
  ])('%s is no acceptance', async (_, act, why) => {
    const { channel } = await peer(act)
    const refusal = await connectOnce(channel, CREDENTIALS)
    expect(refusal).toMatch(why)
    expect(refusal).not.toContain('HTTP')
  })

  test('it ends with the channel', async () => {
    const { channel } = await peer(() => setTimeout(() => channel.destroy(), 20))
    expect(await connectOnce(channel, CREDENTIALS)).toBe('closed without an answer to CONNECT')
  })
})
