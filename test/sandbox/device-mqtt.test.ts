import { connect as connectTcp } from 'node:net'
import { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import { describe, expect, test } from 'vitest'
import { readHello } from '../../sandbox/kit/client-hello.ts'
import { createRoot, issueLeaf } from '../../sandbox/kit/pki.ts'
import { createPki, device, domain, echo, fingerprint, look, names, onCleanup, start } from './device-rig.ts'

const { root, first, rsa } = await createPki()

describe('a real MQTT client', () => {
  test('stays connected over a rebind and sees the new certificate when it reconnects', async () => {
    const { endpoint, iotda, add } = await start(first)
    const client = await device(endpoint, 'device-1', root.certPem)
    expect(await echo(client, 'a', 'before')).toBe('before')
    expect(endpoint.clients()).toEqual([
      { clientId: 'device-1', address: '127.0.0.1', sni: domain, fingerprint: fingerprint(first.certPem) },
    ])
    iotda.bind(add(rsa))
    expect((await look(endpoint)).fingerprint).toBe(fingerprint(rsa.certPem))
    expect(client.connected).toBe(true)
    expect(await echo(client, 'b', 'after')).toBe('after')

    const again = new Promise(resolve => endpoint.onConnect(resolve))
    client.reconnect()
    expect(await again).toMatchObject({ clientId: 'device-1', fingerprint: fingerprint(rsa.certPem) })
  })

  test('refuses a certificate its pinned root does not vouch for', async () => {
    const stranger = await issueLeaf({ names, issuer: await createRoot() })
    const { endpoint } = await start(stranger)
    await expect(device(endpoint, 'device-1', root.certPem)).rejects.toThrow(/certificate/)
    expect(endpoint.clients()).toEqual([])
  })

  test('is turned away with wrong credentials', async () => {
    const { endpoint } = await start(first, { authenticate: (_, username) => username === 'canary' })
    await expect(device(endpoint, 'device-1', root.certPem)).rejects.toThrow(/[Nn]ot authorized/)
    expect(endpoint.handshakes[0]?.completed).toBe(true)
  })

  test('notices when the node restarts', async () => {
    const { endpoint } = await start(first)
    const client = await device(endpoint, 'device-1', root.certPem)
    const closed = new Promise(resolve => client.once('close', () => resolve('closed')))
    endpoint.disconnectAll()
    expect(await closed).toBe('closed')
  })
})

/** A socket that hands the first thing written to it to the test. */
const captureWrites = (heard: (bytes: Buffer) => void): Duplex =>
  new Duplex({
    read: () => {},
    write: (chunk: Buffer, _, done) => {
      heard(chunk)
      done()
    },
  })

describe('the front', () => {
  test('logs handshakes and applies faults to them', async () => {
    const { endpoint, faults } = await start(first)
    faults.add({ operations: ['device.*'], drop: 'before' })
    await expect(look(endpoint)).rejects.toThrow()
    expect(endpoint.handshakes).toEqual([])
    await look(endpoint)
    expect(faults.calls.map(call => [call.operation, call.path])).toEqual([
      ['device.Handshake', domain],
      ['device.Handshake', domain],
    ])
  })

  test('a client that does not speak TLS is cut off', async () => {
    const { endpoint } = await start(first)
    const socket = connectTcp(endpoint.port, endpoint.host)
    const closed = new Promise(resolve => socket.once('close', () => resolve('closed')))
    socket.on('error', () => {})
    socket.write('GET / HTTP/1.1\r\n\r\n')
    expect(await closed).toBe('closed')
    expect(endpoint.handshakes).toEqual([])
  })

  test('a ClientHello in small pieces and several records is understood', async () => {
    const { endpoint } = await start(first)
    const recorder = connectTcp(endpoint.port, endpoint.host)
    onCleanup(() => recorder.destroy())
    const hello = await new Promise<Buffer>(resolve => {
      const relay = connectTls({ socket: captureWrites(resolve), servername: domain })
      relay.on('error', () => {})
    })
    const whole = readHello(hello)
    expect(whole).toEqual({ kind: 'hello', serverName: domain })
    const body = hello.subarray(5)
    const record = (part: Buffer) =>
      Buffer.concat([Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part])
    const split = Buffer.concat([record(body.subarray(0, 60)), record(body.subarray(60))])
    expect(readHello(split)).toEqual(whole)
    for (const length of [0, 4, 30, 70, split.length - 1])
      expect(readHello(split.subarray(0, length))).toEqual({ kind: 'incomplete' })
    recorder.write(split.subarray(0, 70))
    const answered = new Promise<number>(resolve =>
      recorder.once('data', chunk => resolve((chunk as Buffer)[0] ?? 0)),
    )
    recorder.write(split.subarray(70))
    expect(await answered).toBe(22)
    expect(endpoint.handshakes[0]?.fingerprint).toBe(fingerprint(first.certPem))
  })
})
