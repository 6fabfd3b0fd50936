import { connect as connectTls } from 'node:tls'
import { describe, expect, test } from 'vitest'
import { issueLeaf } from '../../sandbox/kit/pki.ts'
import { createPki, device, domain, echo, fingerprint, look, start } from './device-rig.ts'

const { root, issuer, first, second, rsa } = await createPki()

describe('which certificate', () => {
  test('the custom domain gets what is bound, with its whole chain', async () => {
    const { endpoint } = await start(first)
    expect(await look(endpoint)).toEqual({
      fingerprint: fingerprint(first.certPem),
      protocol: 'TLSv1.3',
      chainLength: 2,
    })
    expect((await look(endpoint, { servername: 'IOT.Example.com' })).fingerprint).toBe(
      fingerprint(first.certPem),
    )
  })

  test('other names and clients without SNI get the platform certificate', async () => {
    const platform = await issueLeaf({ names: ['platform.example.net'], issuer })
    const { endpoint } = await start(first, {
      platform: { certPem: platform.chainPem, keyPem: platform.keyPem },
    })
    const expected = fingerprint(platform.certPem)
    expect((await look(endpoint, { servername: 'other.example.com' })).fingerprint).toBe(expected)
    expect((await look(endpoint, { servername: '' })).fingerprint).toBe(expected)
    expect(endpoint.handshakes.map(h => h.sni)).toEqual(['other.example.com', null])
  })

  test('without a binding, and when the bound certificate is gone, there is only the platform', async () => {
    const { endpoint, iotda, add } = await start(null)
    const platform = (await look(endpoint)).fingerprint
    const id = add(first)
    iotda.createConfiguration(domain, id)
    expect((await look(endpoint)).fingerprint).toBe(fingerprint(first.certPem))
    iotda.switches.deleteBound = 'allow'
    iotda.deleteCertificate(id)
    expect((await look(endpoint)).fingerprint).toBe(platform)
  })

  test('an RSA leaf is served under TLS 1.3 and 1.2, and never an EC one beside it', async () => {
    const { endpoint } = await start(rsa)
    const expected = fingerprint(rsa.certPem)
    const ecFirst = 'ecdsa_secp256r1_sha256:rsa_pss_rsae_sha256'
    expect(await look(endpoint, { sigalgs: ecFirst })).toMatchObject({
      fingerprint: expected,
      protocol: 'TLSv1.3',
    })
    expect(await look(endpoint, { maxVersion: 'TLSv1.2' })).toMatchObject({
      fingerprint: expected,
      protocol: 'TLSv1.2',
    })
    await expect(look(endpoint, { sigalgs: 'ecdsa_secp256r1_sha256' })).rejects.toThrow()
  })

  test('an EC leaf is refused to a client that only knows RSA', async () => {
    const { endpoint } = await start(first)
    await expect(look(endpoint, { sigalgs: 'rsa_pss_rsae_sha256' })).rejects.toThrow()
    expect(endpoint.handshakes).toHaveLength(1)
    expect(endpoint.handshakes[0]?.completed).toBe(false)
  })
})

describe('switches', () => {
  test('a late bind becomes visible when its time has come', async () => {
    let now = 1_000_000
    const { endpoint, iotda, add } = await start(first, { now: () => now, propagationMs: 5000 })
    iotda.bind(add(second))
    now += 4999
    expect((await look(endpoint)).fingerprint).toBe(fingerprint(first.certPem))
    now += 1
    expect((await look(endpoint)).fingerprint).toBe(fingerprint(second.certPem))
  })

  test('a bind that never arrives is repaired by binding the same certificate again', async () => {
    const { endpoint, iotda, add } = await start(first)
    const id = add(second)
    endpoint.switches.lagMs = Number.POSITIVE_INFINITY
    iotda.bind(id)
    expect((await look(endpoint)).fingerprint).toBe(fingerprint(first.certPem))
    endpoint.switches.lagMs = 0
    iotda.bind(id)
    expect((await look(endpoint)).fingerprint).toBe(fingerprint(second.certPem))
  })

  test('settle makes a late bind visible', async () => {
    const { endpoint, iotda, add } = await start(first, { propagationMs: 1e9 })
    iotda.bind(add(second))
    expect((await look(endpoint)).fingerprint).toBe(fingerprint(first.certPem))
    endpoint.settle()
    expect((await look(endpoint)).fingerprint).toBe(fingerprint(second.certPem))
  })

  test('flapping alternates old and new, and ends', async () => {
    const { endpoint, iotda, add } = await start(first)
    iotda.bind(add(second))
    endpoint.switches.flap = 4
    const seen: string[] = []
    for (let i = 0; i < 6; i++) seen.push((await look(endpoint)).fingerprint)
    const [old, fresh] = [fingerprint(first.certPem), fingerprint(second.certPem)]
    expect(seen).toEqual([old, fresh, old, fresh, fresh, fresh])
    expect(endpoint.handshakes.map(h => h.fingerprint)).toEqual(seen)
  })

  test('nodes differ: their lag and what they serve', async () => {
    const addresses = ['127.0.0.1', '127.0.0.2']
    const { endpoint, iotda, add } = await start(first, { addresses })
    endpoint.switches.lagMs = { '127.0.0.2': Number.POSITIVE_INFINITY }
    iotda.bind(add(second))
    const seen = () => Promise.all(addresses.map(async host => (await look(endpoint, { host })).fingerprint))
    expect(await seen()).toEqual([fingerprint(second.certPem), fingerprint(first.certPem)])
    endpoint.settle()
    expect(await seen()).toEqual([fingerprint(second.certPem), fingerprint(second.certPem)])
    endpoint.switches.serveAt = { '127.0.0.1': { certPem: rsa.chainPem, keyPem: rsa.keyPem } }
    expect(await seen()).toEqual([fingerprint(rsa.certPem), fingerprint(second.certPem)])
    expect(new Set(endpoint.handshakes.map(h => h.address))).toEqual(new Set(addresses))
  })

  test('a wrong certificate can be served on the custom domain only', async () => {
    const { endpoint } = await start(first)
    const platform = (await look(endpoint, { servername: 'other.example.com' })).fingerprint
    endpoint.switches.serve = { certPem: second.certPem, keyPem: second.keyPem }
    expect(await look(endpoint)).toMatchObject({
      fingerprint: fingerprint(second.certPem),
      chainLength: 1,
    })
    expect((await look(endpoint, { servername: 'other.example.com' })).fingerprint).toBe(platform)
    endpoint.switches.serve = null
    expect((await look(endpoint)).fingerprint).toBe(fingerprint(first.certPem))
  })
})

describe('down', () => {
  test('refuse closes the listener, leaves the connected alone, and comes back on the same port', async () => {
    const { endpoint } = await start(first)
    const client = await device(endpoint, 'device-1', root.certPem)
    await endpoint.setDown('refuse')
    await expect(look(endpoint)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    expect(await echo(client, 'a', 'still here')).toBe('still here')
    await endpoint.setDown(null)
    expect((await look(endpoint)).fingerprint).toBe(fingerprint(first.certPem))
  })

  test('reset destroys the connection after accept', async () => {
    const { endpoint } = await start(first)
    await endpoint.setDown('reset')
    await expect(look(endpoint)).rejects.toMatchObject({ code: 'ECONNRESET' })
    expect(endpoint.handshakes).toEqual([])
  })

  test('silent accepts and says nothing until the endpoint is disposed', async () => {
    const { endpoint } = await start(first)
    await endpoint.setDown('silent')
    const heard: string[] = []
    const socket = connectTls({ host: endpoint.host, port: endpoint.port, servername: domain })
    socket.on('secureConnect', () => heard.push('secureConnect')).on('error', () => heard.push('error'))
    const closed = new Promise(resolve => socket.once('close', resolve))
    await new Promise(resolve => socket.once('connect', resolve))
    // A handshake on an answering node takes longer than the silent node had to answer.
    const other = await start(first)
    await look(other.endpoint)
    expect(heard).toEqual([])
    await endpoint.dispose()
    await closed
    expect(heard).toEqual(['error'])
  })

  test('only one address can be down', async () => {
    const { endpoint } = await start(first, { addresses: ['127.0.0.1', '127.0.0.2'] })
    await endpoint.setDown('refuse', '127.0.0.2')
    await expect(look(endpoint, { host: '127.0.0.2' })).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    expect((await look(endpoint, { host: '127.0.0.1' })).fingerprint).toBe(fingerprint(first.certPem))
  })
})
