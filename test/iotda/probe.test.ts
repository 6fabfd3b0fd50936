import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:tls'
import { beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { secret } from '../../lib/base/secret.ts'
import { systemClock } from '../../lib/base/time.ts'
import { clientHelloOf } from '../../lib/iotda/client-hello.ts'
import { type DeviceProbeOptions, type ProbeDevice, probeAs } from '../../lib/iotda/probe.ts'
import type { DeviceEndpoint } from '../../sandbox/device-endpoint.ts'
import type { Iotda } from '../../sandbox/iotda/iotda.ts'
import { type Authority, createRoot, type Issued, issueLeaf } from '../../sandbox/kit/pki.ts'
import { createPki, domain, fingerprint, onCleanup, start } from '../sandbox/device-rig.ts'

const PASSWORD = 'correct horse battery'
const CANARY = { clientId: 'canary-1', username: 'canary', password: secret(PASSWORD) }
const never = new AbortController().signal

let root: Authority
let issuer: Authority
let first: Issued
let second: Issued
let rsa: Issued
let stranger: Authority
beforeAll(async () => {
  ;({ root, issuer, first, second, rsa } = await createPki())
  stranger = await createRoot({ commonName: 'Stranger Root' })
})

/** What reached the broker: every CONNECT, whoever sent it. */
let connects: (readonly [string, string | undefined, string | undefined])[]
let endpoint: DeviceEndpoint
let iotda: Iotda
let add: (issued: Issued) => string
beforeEach(async () => {
  connects = []
  ;({ endpoint, iotda, add } = await start(first, {
    authenticate: (...said) => {
      connects.push(said)
      return said[2] === PASSWORD
    },
  }))
})

const rootsOf = (...authorities: readonly Authority[]) => authorities.map(a => new X509Certificate(a.certPem))
const device = (changes: Partial<ProbeDevice> = {}): ProbeDevice => ({
  profile: 'meter-v1',
  hello: {},
  roots: rootsOf(root),
  canary: null,
  needsWholeChain: false,
  ...changes,
})
const options = (changes: Partial<DeviceProbeOptions> = {}): DeviceProbeOptions => ({
  device: device(),
  address: '127.0.0.1',
  port: endpoint.port,
  serverName: domain,
  expected: fingerprint(first.certPem),
  withCanary: true,
  clock: systemClock,
  signal: never,
  ...changes,
})
const withCanary = (changes: Partial<ProbeDevice> = {}) => device({ canary: CANARY, ...changes })

/** Also proves that a CONNECT would have been noticed, had there been one: the handshake is over. */
async function nothingWasSent(): Promise<void> {
  await vi.waitFor(() => expect(endpoint.handshakes.at(-1)?.completed).toBe(true))
  await vi.waitFor(() => expect(endpoint.clients()).toEqual([]))
  expect(connects).toEqual([])
}

const limits = { tls: null, ciphers: null, keyTypes: null, signatureAlgorithms: null }

describe('a device', () => {
  test('that trusts and understands what it is sent, would connect', async () => {
    const done = await probeAs(options())
    expect(done).toMatchObject({
      profile: 'meter-v1',
      address: '127.0.0.1',
      protocol: 'TLSv1.3',
      cipher: expect.stringMatching(/^TLS_AES_/),
      problem: null,
      canary: null,
    })
    expect(done.leaf?.fingerprint).toBe(fingerprint(first.certPem))
    expect(done.chainPem).toBe(first.chainPem)
  })

  test('that speaks TLS 1.2 only, is spoken to in TLS 1.2', async () => {
    const hello = clientHelloOf({ ...limits, tls: { min: 'TLSv1.2', max: 'TLSv1.2' } })
    const done = await probeAs(options({ device: device({ hello }) }))
    expect(done).toMatchObject({ protocol: 'TLSv1.2', problem: null })
    expect(done.cipher).toMatch(/^TLS_ECDHE_ECDSA_/)
  })

  test('that speaks TLS 1.1 only, where 1.2 is the least', async () => {
    const hello = clientHelloOf({ ...limits, tls: { min: 'TLSv1.1', max: 'TLSv1.1' } })
    const done = await probeAs(options({ device: device({ hello }) }))
    expect(done).toMatchObject({ leaf: null, protocol: null })
    expect(done.problem).toMatch(/^no handshake: ERR_SSL_/)
  })

  test.each([
    ['cipher suites', { ...limits, ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' }],
    ['signatures', { ...limits, signatureAlgorithms: ['sha256WithRSAEncryption'] }],
    ['keys', { ...limits, keyTypes: ['rsa-2048'] }],
  ])(
    'with %s for RSA only, gets no handshake from an EC leaf and one from an RSA leaf',
    async (_, profile) => {
      const played = device({ hello: clientHelloOf(profile) })
      const refused = await probeAs(options({ device: played }))
      expect(refused).toMatchObject({ leaf: null, chainPem: null, cipher: null })
      expect(refused.problem).toMatch(/^no handshake: ERR_SSL_/)
      iotda.bind(add(rsa))
      const accepted = await probeAs(options({ device: played, expected: fingerprint(rsa.certPem) }))
      expect(accepted).toMatchObject({ problem: null, leaf: { keyType: 'rsa-2048' } })
    },
  )

  test('with other roots, does not trust it', async () => {
    const done = await probeAs(options({ device: device({ roots: rootsOf(stranger) }) }))
    expect(done.problem).toMatch(
      /^it does not trust what it is sent: no root issues "O=Sandbox, CN=Sandbox Intermed/,
    )
    expect(done.leaf?.fingerprint).toBe(fingerprint(first.certPem))
  })

  test('gets no help with a missing intermediate', async () => {
    endpoint.switches.serve = { certPem: first.certPem, keyPem: first.keyPem }
    expect((await probeAs(options())).problem).toMatch(/no root issues "CN=iot.example.com"/)
    const knowsIt = device({ roots: rootsOf(root, issuer) })
    expect((await probeAs(options({ device: knowsIt }))).problem).toBeNull()
  })

  test.each<[string, () => string, RegExp]>([
    [
      'out of order',
      () => first.certPem + root.certPem + issuer.certPem,
      /not issued by ".*Root", which follows/,
    ],
    [
      'with a stranger',
      () => first.chainPem + stranger.certPem,
      /not issued by ".*Stranger Root", which follows/,
    ],
    ['with a duplicate', () => first.chainPem + issuer.certPem, /comes twice/],
  ])(
    'passes over what is odd in a chain %s, as OpenSSL and Mbed TLS do, and says so',
    async (_, sent, why) => {
      expect(await probeAs(options())).toMatchObject({ problem: null, untidy: null })
      endpoint.switches.serve = { certPem: sent(), keyPem: first.keyPem }
      const odd = { problem: null, fault: null, untidy: expect.stringMatching(why) }
      expect(await probeAs(options())).toMatchObject(odd)
      expect(await probeAs(options({ device: withCanary() }))).toMatchObject({ ...odd, canary: 'accepted' })
    },
  )

  test('wants all of the chain, as wolfSSL does: a stranger cuts it off, the root and a duplicate do not', async () => {
    const strict = options({ device: device({ needsWholeChain: true }) })
    for (const more of ['', root.certPem, issuer.certPem]) {
      endpoint.switches.serve = { certPem: first.chainPem + more, keyPem: first.keyPem }
      expect(await probeAs(strict)).toMatchObject({ problem: null })
    }
    endpoint.switches.serve = { certPem: first.chainPem + stranger.certPem, keyPem: first.keyPem }
    const why = /^it is sent ".*Stranger Root" besides, which leads to none of its roots/
    expect(await probeAs(strict)).toMatchObject({ problem: expect.stringMatching(why), fault: 'chain' })
  })

  test('judges by the clock it is given', async () => {
    const at = (instant: number) => probeAs(options({ clock: { ...systemClock, now: () => instant } }))
    expect((await at(Date.now() - 86_400_000)).problem).toMatch(/is not valid before/)
    expect((await at(Date.now() + 100 * 86_400_000)).problem).toMatch(/has expired at/)
  })

  test('sees another leaf for what it is', async () => {
    const done = await probeAs(options({ expected: fingerprint(second.certPem) }))
    expect(done.problem).toBe(
      `it is served CN=iot.example.com by O=Sandbox, CN=Sandbox Intermediate (${fingerprint(first.certPem).slice(0, 16)}…)`,
    )
    expect((await probeAs(options({ expected: null }))).problem).toBeNull()
  })

  test('insists on the name', async () => {
    const done = await probeAs(options({ serverName: 'other.example.com', expected: null }))
    expect(done.problem).toMatch(/which is for \*\.st1\.iotda-device\./)
    expect((await probeAs(options({ serverName: `${domain}.` }))).problem).toBeNull()
  })

  test('does not hang at a port that says nothing, and says how long it waited', async () => {
    await endpoint.setDown('silent')
    const done = await probeAs(options({ timeoutMs: 300, device: withCanary() }))
    expect(done).toMatchObject({
      problem: 'no handshake: no answer within 0.3 s',
      canary: 'not-sent',
      leaf: null,
    })
    expect(done.durationMs).toBeGreaterThanOrEqual(290)
    expect(done.durationMs).toBeLessThan(3_000)
  })

  test('says that a port is closed, and that there is no IPv6', async () => {
    await endpoint.setDown('refuse')
    expect((await probeAs(options())).problem).toBe('no handshake: ECONNREFUSED')
    const beyond = await probeAs(options({ address: '2001:db8::1', timeoutMs: 500 }))
    expect(beyond.problem).toMatch(
      /^no handshake: (ENETUNREACH|EADDRNOTAVAIL|EHOSTUNREACH|no answer within 0.5 s)$/,
    )
  })

  test('stops when told to', async () => {
    await endpoint.setDown('silent')
    const stop = new AbortController()
    const trying = probeAs(options({ signal: stop.signal }))
    stop.abort()
    expect((await trying).problem).toBe('no handshake: given up')
  })
})

describe('its canary', () => {
  test('connects over the verified channel, once, and leaves', async () => {
    const done = await probeAs(options({ device: withCanary() }))
    expect(done).toMatchObject({ problem: null, canary: 'accepted' })
    expect(connects).toEqual([['canary-1', 'canary', PASSWORD]])
    await vi.waitFor(() => expect(endpoint.clients()).toEqual([]))
  })

  test('also where the device speaks TLS 1.2 only', async () => {
    const done = await probeAs(options({ device: withCanary({ hello: { maxVersion: 'TLSv1.2' } }) }))
    expect(done).toMatchObject({ problem: null, canary: 'accepted', protocol: 'TLSv1.2' })
  })

  test('is computed from the secret of a device at the clock given', async () => {
    const canary = { deviceId: 'product_node', secret: secret('12345678') }
    const now = Date.UTC(2025, 3, 14, 1, 30)
    const old = { ...systemClock, now: () => now }
    const past = { notBefore: new Date(now - 3_600_000), notAfter: new Date(now + 86_400_000) }
    const authority = await createRoot({ ...past, commonName: 'Old Root' })
    const leaf = await issueLeaf({ names: [domain], issuer: authority, ...past })
    iotda.bind(add(leaf))
    const played = withCanary({ canary, roots: rootsOf(authority) })
    const expected = fingerprint(leaf.certPem)
    const done = await probeAs(options({ device: played, expected, clock: old }))
    expect(done).toMatchObject({ canary: 'refused', problem: expect.stringContaining('CONNACK 5') })
    expect(connects).toEqual([
      [
        'product_node_0_0_2025041401',
        'product_node',
        'c75150e6cb841417396819e4d2ee4358a416344a03a083e3a8567074ddec820a',
      ],
    ])
  })

  test('is refused: the password is wrong, and appears nowhere', async () => {
    const canary = { ...CANARY, password: secret('wrong-password-1') }
    const done = await probeAs(options({ device: withCanary({ canary }) }))
    expect(done).toMatchObject({
      problem: 'its canary was refused: CONNACK 5: not authorized',
      canary: 'refused',
    })
    expect(connects).toHaveLength(1)
    expect(JSON.stringify(done)).not.toContain('wrong-password')
  })

  test('is not asked to connect', async () => {
    const done = await probeAs(options({ device: withCanary(), withCanary: false }))
    expect(done).toMatchObject({ problem: null, canary: null })
    await nothingWasSent()
  })

  test.each<[string, () => Partial<DeviceProbeOptions>]>([
    ['the chain does not lead to its roots', () => ({ device: withCanary({ roots: rootsOf(stranger) }) })],
    ['it has no roots', () => ({ device: withCanary({ roots: [] }) })],
    ['another leaf is served', () => ({ expected: fingerprint(second.certPem) })],
    ['it is not known which leaf should be served', () => ({ expected: null })],
    ['the leaf is for another name', () => ({ serverName: 'other.example.com', expected: null })],
    ['the leaf has expired', () => ({ clock: { ...systemClock, now: () => Date.now() + 100 * 86_400_000 } })],
  ])('sends nothing when %s', async (_, changes) => {
    const done = await probeAs(options({ device: withCanary(), ...changes() }))
    expect(done.canary).toBe('not-sent')
    await nothingWasSent()
  })

  test('sends nothing over a chain without its intermediate, nor to a leaf of the same name by a stranger', async () => {
    endpoint.switches.serve = { certPem: first.certPem, keyPem: first.keyPem }
    expect((await probeAs(options({ device: withCanary() }))).canary).toBe('not-sent')
    const false1 = await issueLeaf({ names: [domain], issuer: stranger })
    endpoint.switches.serve = { certPem: false1.chainPem, keyPem: false1.keyPem }
    for (const expected of [fingerprint(first.certPem), fingerprint(false1.certPem)])
      expect((await probeAs(options({ device: withCanary(), expected }))).canary).toBe('not-sent')
    await nothingWasSent()
  })

  test('gets no answer: the time counts for all of it', async () => {
    const server = createServer({ cert: first.chainPem, key: first.keyPem }, socket => {
      socket.on('error', () => {}).resume()
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    onCleanup(() => server.close())
    const { port } = server.address() as AddressInfo
    const done = await probeAs(options({ port, device: withCanary(), timeoutMs: 300 }))
    expect(done).toMatchObject({
      problem: 'its canary got no answer: no answer within 0.3 s',
      canary: 'refused',
    })
    // It would not close while a connection is open.
    await new Promise(resolve => server.close(resolve))
  })
})
