import { X509Certificate } from 'node:crypto'
import { connect as connectTls, type PeerCertificate } from 'node:tls'
import { connectAsync, type MqttClient } from 'mqtt'
import {
  createDeviceEndpoint,
  type DeviceEndpoint,
  type DeviceEndpointOptions,
} from '../../sandbox/device-endpoint.ts'
import { createIotda, type Iotda } from '../../sandbox/iotda/iotda.ts'
import { createFaults, type Faults } from '../../sandbox/kit/faults.ts'
import { createIntermediate, createRoot, type Issued, issueLeaf } from '../../sandbox/kit/pki.ts'
import { cleanups } from '../support/cleanups.ts'

export const domain = 'iot.example.com'
export const names = [domain]

async function makePki() {
  const root = await createRoot()
  const issuer = await createIntermediate({ issuer: root })
  const first = await issueLeaf({ names, issuer })
  const second = await issueLeaf({ names, issuer })
  const rsa = await issueLeaf({ names, issuer, keyType: 'rsa-2048' })
  return { root, issuer, first, second, rsa }
}

let pki: ReturnType<typeof makePki> | null = null
/** Made once for all files of a worker. */
export function createPki() {
  pki ??= makePki()
  return pki
}

export const fingerprint = (pem: string): string =>
  new X509Certificate(pem).fingerprint256.replaceAll(':', '').toLowerCase()

export const onCleanup = (cleanup: () => unknown): void =>
  void cleanups.push(async () => void (await cleanup()))

/** An instance with one certificate bound, or none, and its device port. */
export const start = async (
  bound: Issued | null,
  options: Partial<DeviceEndpointOptions> = {},
): Promise<{ iotda: Iotda; endpoint: DeviceEndpoint; faults: Faults; add: (issued: Issued) => string }> => {
  const faults = createFaults()
  const iotda = await createIotda({
    faults,
    projectId: 'p',
    instanceId: 'i',
    region: 'cn-north-4',
    keys: new Map(),
  })
  cleanups.push(iotda.dispose)
  const add = (issued: Issued) => iotda.upload(issued.chainPem, issued.keyPem)
  if (bound) iotda.createConfiguration(domain, add(bound))
  const endpoint = await createDeviceEndpoint({ iotda, faults, ...options })
  cleanups.push(endpoint.dispose)
  return { iotda, endpoint, faults, add }
}

interface Seen {
  readonly fingerprint: string
  readonly protocol: string | null
  readonly chainLength: number
}

const chainLength = (certificate: PeerCertificate & { issuerCertificate?: PeerCertificate }): number => {
  const { issuerCertificate } = certificate
  return issuerCertificate && issuerCertificate.fingerprint256 !== certificate.fingerprint256
    ? 1 + chainLength(issuerCertificate)
    : 1
}

/** One handshake without any trust: what does this address serve? */
export const look = (
  endpoint: DeviceEndpoint,
  options: { servername?: string; host?: string; maxVersion?: 'TLSv1.2' | 'TLSv1.3'; sigalgs?: string } = {},
): Promise<Seen> =>
  new Promise((resolve, reject) => {
    const { host = endpoint.host, servername = domain, ...rest } = options
    const socket = connectTls({ host, port: endpoint.port, servername, rejectUnauthorized: false, ...rest })
    socket.once('error', reject)
    socket.once('secureConnect', () => {
      const peer = socket.getPeerCertificate(true)
      resolve({
        fingerprint: peer.fingerprint256.replaceAll(':', '').toLowerCase(),
        protocol: socket.getProtocol(),
        chainLength: chainLength(peer),
      })
      socket.destroy()
    })
  })

/** A device: pins the root, checks the name, speaks MQTT. */
export const device = async (endpoint: DeviceEndpoint, clientId: string, ca: string): Promise<MqttClient> => {
  const client = await connectAsync(`mqtts://${endpoint.host}:${endpoint.port}`, {
    clientId,
    servername: domain,
    ca,
    reconnectPeriod: 0,
  })
  onCleanup(() => client.endAsync(true))
  return client
}

export const echo = async (client: MqttClient, topic: string, payload: string): Promise<string> => {
  const heard = new Promise<string>(resolve => {
    client.once('message', (_, message) => resolve(message.toString()))
  })
  await client.subscribeAsync(topic)
  await client.publishAsync(topic, payload)
  return heard
}
