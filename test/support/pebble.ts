/** Pebble, Let's Encrypt's test CA, with challtestsrv as its DNS; both on free ports of loopback. */
import type { ChildProcess } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createRoot, issueLeaf } from '../../sandbox/kit/pki.ts'
import { pebbleBinaries } from './pebble-binaries.ts'
import { freePorts, start, stop } from './server-process.ts'

export interface PebbleOptions {
  /** Share of the good nonces that is refused. Default 0. */
  readonly nonceRejectPercent?: number
  /** How often a valid authorization is used again. Default 100. */
  readonly authzReusePercent?: number
  /** Of its one profile. Default 90 days. */
  readonly validitySeconds?: number
  /** Days of validity by profile; of several Pebble picks one at random when none is asked for. */
  readonly profiles?: Readonly<Record<string, number>>
  /** External account keys: key id to base64url MAC key; given ones are required. */
  readonly eab?: Readonly<Record<string, string>>
  /** Additional roots, each with a chain of its own. Default 0. */
  readonly alternateRoots?: number
}

export interface Challtestsrv {
  /** `127.0.0.1:port`, UDP and TCP. */
  readonly dnsServer: string
  /** Its management API, HTTP. */
  readonly url: string
}

export interface Pebble {
  readonly directoryUrl: string
  /** The root of the HTTPS certificates of directory and management. */
  readonly caPem: string
  readonly managementUrl: string
  readonly challtestsrv: Challtestsrv
  /** PEM of the roots of issued chains; new ones with each start. */
  roots(): Promise<readonly string[]>
  /** Overrides the answer of renewalInfo for a certificate; the text is sent as it is. */
  setRenewalInfo(certificatePem: string, answer: string): Promise<void>
  dispose(): Promise<void>
}

const HOST = '127.0.0.1'

interface Reply {
  readonly status: number
  readonly text: string
}

/** One exchange with Pebble's own HTTPS. */
const exchange = (url: string, ca: string, body: string | null = null): Promise<Reply> =>
  new Promise((resolve, reject) => {
    const method = body === null ? 'GET' : 'POST'
    const headers = { 'user-agent': 'test' }
    const sent = request(url, { ca, method, headers, agent: false }, response => {
      const chunks: Buffer[] = []
      response.on('data', chunk => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }),
      )
    })
    sent.on('error', reject)
    sent.end(body ?? '')
  })

const environment = (options: PebbleOptions): NodeJS.ProcessEnv => ({
  PATH: process.env.PATH,
  PEBBLE_VA_NOSLEEP: '1',
  PEBBLE_WFE_NONCEREJECT: String(options.nonceRejectPercent ?? 0),
  PEBBLE_AUTHZREUSE: String(options.authzReusePercent ?? 100),
  PEBBLE_ALTERNATE_ROOTS: String(options.alternateRoots ?? 0),
})

const profilesOf = ({ profiles, validitySeconds = 90 * 86_400 }: PebbleOptions): object => {
  const seconds = profiles
    ? Object.entries(profiles).map(([name, days]) => [name, days * 86_400] as const)
    : [['default', validitySeconds] as const]
  return Object.fromEntries(seconds.map(([name, it]) => [name, { description: name, validityPeriod: it }]))
}

/** Writes the configuration with its HTTPS certificate; the path of the configuration and the certificate's root. */
const configure = async (folder: string, ports: readonly number[], options: PebbleOptions) => {
  const root = await createRoot()
  const door = await issueLeaf({ names: ['localhost', HOST], issuer: root })
  const [certificate, privateKey] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  await writeFile(certificate, door.chainPem)
  await writeFile(privateKey, door.keyPem)
  const pebble = {
    listenAddress: `${HOST}:${ports[0]}`,
    managementListenAddress: `${HOST}:${ports[1]}`,
    certificate,
    privateKey,
    httpPort: ports[2],
    tlsPort: ports[3],
    ocspResponderURL: '',
    externalAccountBindingRequired: options.eab !== undefined,
    externalAccountMACKeys: options.eab ?? {},
    retryAfter: { authz: 1, order: 1 },
    keyAlgorithm: 'ecdsa',
    profiles: profilesOf(options),
  }
  const path = join(folder, 'config.json')
  await writeFile(path, JSON.stringify({ pebble }))
  return { path, caPem: root.certPem }
}

const startDnsServer = async (program: string, dnsServer: string, management: string) => {
  const off = ['-http01', '', '-https01', '', '-tlsalpn01', '', '-doh', '']
  const flags = ['-dnsserver', dnsServer, '-management', management, ...off]
  const server = start(program, flags, { PATH: process.env.PATH })
  await server.ready(() => fetch(`http://${management}/`))
  return server.child
}

/** Starts both; takes a second once the programs are there, minutes the first time (`pebbleBinaries`). */
export async function startPebble(options: PebbleOptions = {}): Promise<Pebble> {
  const programs = await pebbleBinaries()
  const folder = await mkdtemp(join(tmpdir(), 'pebble-'))
  const children: ChildProcess[] = []
  const dispose = async (): Promise<void> => {
    await Promise.all(children.map(stop))
    await rm(folder, { recursive: true, force: true })
  }
  try {
    const ports = await freePorts(6)
    const [dnsServer, management] = [`${HOST}:${ports[4]}`, `${HOST}:${ports[5]}`]
    children.push(await startDnsServer(programs.challtestsrv, dnsServer, management))
    const { path, caPem } = await configure(folder, ports, options)
    const server = start(programs.pebble, ['-config', path, '-dnsserver', dnsServer], environment(options))
    children.push(server.child)
    const directoryUrl = `https://${HOST}:${ports[0]}/dir`
    const managementUrl = `https://${HOST}:${ports[1]}`
    await server.ready(() => exchange(directoryUrl, caPem))
    return {
      directoryUrl,
      caPem,
      managementUrl,
      challtestsrv: { dnsServer, url: `http://${management}` },
      roots: async () => {
        const count = 1 + (options.alternateRoots ?? 0)
        const urls = Array.from({ length: count }, (_, index) => `${managementUrl}/roots/${index}`)
        return Promise.all(urls.map(async url => (await exchange(url, caPem)).text))
      },
      setRenewalInfo: async (certificate, ariResponse) => {
        const body = JSON.stringify({ certificate, ariResponse })
        const { status, text } = await exchange(`${managementUrl}/set-renewal-info/`, caPem, body)
        if (status >= 300) throw new Error(`set-renewal-info: ${status} ${text}`)
      },
      dispose,
    }
  } catch (error) {
    await dispose()
    throw error
  }
}
