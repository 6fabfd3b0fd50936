import { execFile } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import type { LookupAddress, LookupAllOptions } from 'node:dns'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer as createPlainServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createServer } from 'node:tls'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { build } from 'esbuild'
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { createEndpoint } from '../../lib/iotda/endpoint.ts'
import type { SessionOptions } from '../../lib/iotda/tls.ts'
import type { ProbeSettings } from '../../lib/model/target.ts'
import { createDeviceEndpoint, type DeviceEndpoint } from '../../sandbox/device-endpoint.ts'
import { createIotda, type Iotda } from '../../sandbox/iotda/iotda.ts'
import { createFaults } from '../../sandbox/kit/faults.ts'
import {
  type Authority,
  createIntermediate,
  createRoot,
  type Issued,
  issueLeaf,
} from '../../sandbox/kit/pki.ts'

/** Names that the system resolves by both families, which not every machine has one of. */
const hosts = vi.hoisted(() => new Map<string, readonly LookupAddress[]>())
vi.mock('node:dns/promises', async importOriginal => {
  const system = await importOriginal<typeof import('node:dns/promises')>()
  const lookup = async (host: string, options: LookupAllOptions) => {
    const known = hosts.get(host)
    if (!known) return system.lookup(host, options)
    return known.filter(({ family }) => !options.family || options.family === family)
  }
  return { ...system, lookup }
})

const run = promisify(execFile)
const DOMAIN = 'iot.example.com'
const A = '127.0.0.1'
const B = '127.0.0.2'
const never = new AbortController().signal

const fingerprintOf = (pem: string): string =>
  new X509Certificate(pem).fingerprint256.replaceAll(':', '').toLowerCase()
const blocksOf = (pem: string): readonly string[] =>
  pem.match(/-----BEGIN[\s\S]+?-----END CERTIFICATE-----\n/g) ?? []

let root: Authority
let intermediate: Authority
let old: Issued
let fresh: Issued
beforeAll(async () => {
  root = await createRoot()
  intermediate = await createIntermediate({ issuer: root })
  old = await issueLeaf({
    names: [DOMAIN],
    issuer: intermediate,
    notBefore: new Date('2020-01-01T00:00:00Z'),
    notAfter: new Date('2020-03-31T00:00:00Z'),
  })
  fresh = await issueLeaf({ names: [DOMAIN], issuer: intermediate })
})

const closing: (() => Promise<void>)[] = []
let iotda: Iotda
let device: DeviceEndpoint
let freshId: string
beforeEach(async () => {
  iotda = await createIotda({
    faults: createFaults(),
    projectId: 'p',
    instanceId: 'i',
    region: 'cn-north-4',
    keys: new Map(),
  })
  iotda.createConfiguration(DOMAIN, iotda.upload(old.chainPem, old.keyPem))
  freshId = iotda.upload(fresh.chainPem, fresh.keyPem)
  device = await createDeviceEndpoint({ iotda, addresses: [A, B] })
  closing.push(
    () => device.dispose(),
    () => iotda.dispose(),
  )
})
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

const probe = (changes: Partial<ProbeSettings> = {}): ProbeSettings => ({
  mode: 'best-effort',
  host: DOMAIN,
  port: device.port,
  addresses: [A, B],
  steady: 3,
  withinMs: 180_000,
  ...changes,
})
const options = (changes: Partial<SessionOptions> = {}): SessionOptions => ({
  address: A,
  port: device.port,
  serverName: DOMAIN,
  timeoutMs: 5_000,
  signal: never,
  ...changes,
})
const endpoint = createEndpoint()

describe('handshake', () => {
  it('shows the leaf that is served for the domain, expired or not', async () => {
    const { address, leaf, error } = await endpoint.handshake(options())
    expect({ address, error }).toEqual({ address: A, error: null })
    expect(leaf).toMatchObject({
      fingerprint: fingerprintOf(old.certPem),
      names: [DOMAIN],
      notBefore: Date.UTC(2020, 0, 1),
      notAfter: Date.UTC(2020, 2, 31),
    })
    await vi.waitFor(() => expect(device.handshakes).toMatchObject([{ sni: DOMAIN, completed: true }]))
  })

  it('gives the chain as sent: with the intermediate, without a root', async () => {
    const { chainPem } = await endpoint.handshake(options())
    expect(blocksOf(chainPem ?? '')).toEqual([old.certPem, intermediate.certPem])
  })

  it('does not append a root of its own, even one that Node trusts', async () => {
    device.switches.serve = { certPem: fresh.chainPem, keyPem: fresh.keyPem }
    const folder = await mkdtemp(join(tmpdir(), 'iotda-cert-'))
    closing.push(() => rm(folder, { recursive: true }))
    const [roots, bundle] = [join(folder, 'roots.pem'), join(folder, 'endpoint.mjs')]
    await writeFile(roots, root.certPem)
    const entry = fileURLToPath(new URL('../../lib/iotda/endpoint.ts', import.meta.url))
    await build({ entryPoints: [entry], outfile: bundle, bundle: true, platform: 'node', format: 'esm' })
    const { signal: _, ...plain } = options()
    const script = `import { createEndpoint } from ${JSON.stringify(pathToFileURL(bundle).href)}
      const { signal } = new AbortController()
      const { chainPem } = await createEndpoint().handshake({ ...${JSON.stringify(plain)}, signal })
      console.log(chainPem)`
    const env = { ...process.env, NODE_EXTRA_CA_CERTS: roots }
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], { env })
    expect(blocksOf(stdout)).toEqual([fresh.certPem, intermediate.certPem])
  })

  it('gives a lone leaf as it is', async () => {
    device.switches.serve = { certPem: fresh.certPem, keyPem: fresh.keyPem }
    expect((await endpoint.handshake(options())).chainPem).toBe(fresh.certPem)
  })

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('hides nothing that the peer sends with %s', async version => {
    const stranger = await createRoot({ commonName: 'Stranger' })
    const [leaf, middle] = [fresh.certPem, intermediate.certPem]
    for (const sent of [
      [leaf, middle, root.certPem],
      [leaf, root.certPem, middle],
      [leaf, stranger.certPem, middle],
      [leaf, middle, middle],
    ]) {
      device.switches.serve = { certPem: sent.join(''), keyPem: fresh.keyPem }
      const hello = { minVersion: version, maxVersion: version }
      const { chainPem, protocol } = await endpoint.handshake(options({ hello }))
      expect({ protocol, sent: blocksOf(chainPem ?? '') }).toEqual({ protocol: version, sent })
    }
  })

  it('gets what other names get when it asks by another name', async () => {
    const other = await endpoint.handshake(options({ serverName: 'other.example.com' }))
    expect(other.error).toBeNull()
    expect(other.leaf?.names).not.toContain(DOMAIN)
    await endpoint.handshake(options({ serverName: A }))
    await endpoint.handshake(options({ serverName: `${DOMAIN}.` }))
    expect(device.handshakes.map(it => it.sni)).toEqual(['other.example.com', null, DOMAIN])
  })

  it('offers what a device would', async () => {
    const hello = { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES128-GCM-SHA256' } as const
    const refused = await endpoint.handshake(options({ hello }))
    expect(refused).toMatchObject({ leaf: null, chainPem: null, error: expect.stringMatching(/^ERR_SSL_/) })
    const rsa = await issueLeaf({ names: [DOMAIN], issuer: root, keyType: 'rsa-2048' })
    device.switches.serve = { certPem: rsa.chainPem, keyPem: rsa.keyPem }
    const accepted = await endpoint.handshake(options({ hello }))
    expect(accepted.leaf?.fingerprint).toBe(fingerprintOf(rsa.certPem))
  })

  it('resumes no session and leaves no connection open', async () => {
    const reused: boolean[] = []
    const server = createServer({ cert: fresh.chainPem, key: fresh.keyPem }, socket => {
      reused.push(socket.isSessionReused())
      socket.on('error', () => socket.destroy())
    })
    await new Promise<void>(resolve => server.listen(0, A, resolve))
    const { port } = server.address() as AddressInfo
    // The time limit, which would end a connection that was left open, is beyond the test's own.
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3', 'TLSv1.2', 'TLSv1.3'] as const) {
      const { error } = await endpoint.handshake(options({ port, timeoutMs: 300_000, hello: { maxVersion } }))
      expect(error).toBeNull()
    }
    // It closes only when every connection has ended.
    await new Promise(resolve => server.close(resolve))
    expect(reused).toEqual([false, false, false, false])
  })

  it('says why there was none', async () => {
    await device.setDown('refuse', A)
    expect((await endpoint.handshake(options())).error).toBe('ECONNREFUSED')
    await device.setDown('reset', B)
    expect((await endpoint.handshake(options({ address: B }))).error).toBe('ECONNRESET')
    await device.setDown('silent', B)
    const silent = await endpoint.handshake(options({ address: B, timeoutMs: 200 }))
    expect(silent).toMatchObject({ address: B, leaf: null, chainPem: null, error: 'no answer within 0.2 s' })
  })

  it('says how long that took, by the clock given', async () => {
    let now = 0
    const slow = createEndpoint({
      clock: {
        now: () => {
          now += 700
          return now
        },
      },
    })
    await device.setDown('refuse', A)
    expect(await slow.handshake(options())).toMatchObject({ error: 'ECONNREFUSED', durationMs: 700 })
    expect(await slow.handshake(options({ address: B }))).toMatchObject({ error: null, durationMs: 700 })
    const failing = createEndpoint({ resolve: async () => [], clock: { now: () => (now += 900) } })
    const [unresolved] = await failing.lookClosely(probe({ addresses: [] }), DOMAIN, never)
    expect(unresolved).toMatchObject({ error: 'cannot be resolved: no address', durationMs: 900 })
  })

  it('says when a port does not speak TLS', async () => {
    const plain = createPlainServer(socket => {
      socket.on('error', () => socket.destroy())
      socket.resume().end('HTTP/1.1 400 Bad Request\r\n\r\n')
    })
    await new Promise<void>(resolve => plain.listen(0, A, resolve))
    closing.push(() => new Promise(resolve => plain.close(() => resolve())))
    const { port } = plain.address() as AddressInfo
    const { error } = await endpoint.handshake(options({ port }))
    expect(error).toBe('ERR_SSL_WRONG_VERSION_NUMBER (the port does not speak TLS)')
  })

  it('stops when told to, before and during', async () => {
    const before = await endpoint.handshake(options({ signal: AbortSignal.abort() }))
    expect(before).toMatchObject({ leaf: null, error: 'given up' })
    await device.setDown('silent', A)
    const stop = new AbortController()
    const during = endpoint.handshake(options({ signal: stop.signal }))
    stop.abort()
    expect(await during).toMatchObject({ leaf: null, error: 'given up' })
  })
})

describe('look', () => {
  it('asks every address, each for itself', async () => {
    device.switches.lagMs = { [B]: 3_600_000 }
    iotda.bind(freshId)
    const served = await endpoint.look(probe(), DOMAIN, never)
    expect(served.map(({ address, leaf, error }) => [address, leaf?.fingerprint, error])).toEqual([
      [A, fingerprintOf(fresh.certPem), null],
      [B, fingerprintOf(old.certPem), null],
    ])
    expect(Object.keys(served[0] ?? {}).sort()).toEqual(['address', 'chainPem', 'error', 'leaf'])
    expect(device.handshakes).toHaveLength(2)
  })

  it('goes on when one address is down', async () => {
    await device.setDown('refuse', A)
    const served = await endpoint.look(probe(), DOMAIN, never)
    expect(served).toMatchObject([
      { address: A, leaf: null, error: 'ECONNREFUSED' },
      { address: B, leaf: { fingerprint: fingerprintOf(old.certPem) }, error: null },
    ])
  })

  it('resolves the host when no addresses are set, each address once', async () => {
    const asked: string[] = []
    const resolving = createEndpoint({
      resolve: async host => {
        asked.push(host)
        return [B, A, B]
      },
    })
    const served = await resolving.look(probe({ addresses: [], host: 'device.example.com' }), DOMAIN, never)
    expect(asked).toEqual(['device.example.com'])
    expect(served.map(it => it.address)).toEqual([B, A])
    expect(device.handshakes.map(it => it.sni)).toEqual([DOMAIN, DOMAIN])
  })

  it('asks the system for every address of the host, IPv4 and IPv6', async () => {
    hosts.set('device.example.com', [
      { address: B, family: 4 },
      { address: '::1', family: 6 },
    ])
    const served = await endpoint.look(probe({ addresses: [], host: 'device.example.com' }), DOMAIN, never)
    expect(served.map(it => it.address)).toEqual([B, '::1'])
  })

  it('takes an address or a name of the system for the host', async () => {
    const byAddress = await endpoint.look(probe({ addresses: [], host: B }), DOMAIN, never)
    expect(byAddress).toMatchObject([{ address: B, error: null }])
    const byName = await endpoint.look(probe({ addresses: [], host: 'localhost' }), DOMAIN, never)
    expect(byName).toContainEqual(expect.objectContaining({ address: A, error: null }))
  })

  it.each([
    ['fails', async () => Promise.reject(Object.assign(new Error('x'), { code: 'ENOTFOUND' })), 'ENOTFOUND'],
    ['finds nothing', async () => [], 'no address'],
    [
      'finds thousands',
      async () => Array.from({ length: 4_000 }, (_, i) => `127.1.${i >> 8}.${i & 255}`),
      '4000 addresses, more than 64 (give some in probe.addresses)',
    ],
    ['throws nonsense', async () => Promise.reject(undefined), 'undefined'],
  ])('gives one entry when resolving %s', async (_, resolve, why) => {
    const failing = createEndpoint({ resolve })
    expect(await failing.look(probe({ addresses: [] }), DOMAIN, never)).toEqual([
      { address: DOMAIN, leaf: null, error: `cannot be resolved: ${why}` },
    ])
  })

  it('does not wait for a resolver when told to stop', async () => {
    const stuck = createEndpoint({ resolve: () => new Promise(() => {}) })
    const stop = new AbortController()
    const looking = stuck.look(probe({ addresses: [] }), DOMAIN, stop.signal)
    stop.abort()
    expect(await looking).toEqual([{ address: DOMAIN, leaf: null, error: 'cannot be resolved: given up' }])
  })

  it('gives every address up when told to stop', async () => {
    await device.setDown('silent')
    const stop = new AbortController()
    const looking = endpoint.look(probe(), DOMAIN, stop.signal)
    stop.abort()
    expect(await looking).toEqual([
      { address: A, leaf: null, error: 'given up' },
      { address: B, leaf: null, error: 'given up' },
    ])
  })
})
