import { createPrivateKey } from 'node:crypto'
import { createIotda, type Iotda, type IotdaOptions } from '../../sandbox/iotda/iotda.ts'
import { createFaults, type Faults } from '../../sandbox/kit/faults.ts'
import {
  type Authority,
  createIntermediate,
  createRoot,
  type Issued,
  issueLeaf,
} from '../../sandbox/kit/pki.ts'
import { cleanups } from '../support/cleanups.ts'

export const project = '0123456789abcdef0123456789abcdef'
export const domain = 'iot.example.com'
export const names = [domain]

/** A root, an intermediate, and one leaf of each kind. */
export interface Pki {
  readonly root: Authority
  readonly issuer: Authority
  readonly ec: Issued
  readonly rsa: Issued
}

async function makePki(): Promise<Pki> {
  const root = await createRoot({ commonName: 'Test Root' })
  const issuer = await createIntermediate({ issuer: root, commonName: 'Test CA', organization: 'Test' })
  const ec = await issueLeaf({
    names,
    issuer,
    organization: 'Example',
    notBefore: new Date('2025-11-01T02:03:04Z'),
    notAfter: new Date('2026-01-30T02:03:04Z'),
  })
  const rsa = await issueLeaf({ names, issuer, keyType: 'rsa-2048' })
  return { root, issuer, ec, rsa }
}

let pki: ReturnType<typeof makePki> | null = null
/** Made once for all files of a worker. */
export function createPki() {
  pki ??= makePki()
  return pki
}

export interface Reply {
  readonly status: number
  readonly requestId: string | null
  // biome-ignore lint/suspicious/noExplicitAny: bodies of a foreign service
  readonly body: any
}

export type Request = (
  method: string,
  path: string,
  body?: object | string,
  headers?: Record<string, string>,
) => Promise<Reply>

export const start = async (
  options: Partial<IotdaOptions> = {},
): Promise<{ iotda: Iotda; faults: Faults; request: Request }> => {
  const faults = options.faults ?? createFaults()
  const iotda = await createIotda({
    faults,
    projectId: project,
    instanceId: 'instance-1',
    region: 'cn-north-4',
    keys: new Map(),
    token: 'TOKEN',
    ...options,
  })
  cleanups.push(iotda.dispose)
  const request: Request = async (method, path, body, headers = {}) => {
    const target = path.startsWith('/') ? path : `/v5/iot/${project}/${path}`
    const response = await fetch(iotda.url + target, {
      method,
      headers: { 'x-auth-token': 'TOKEN', 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    return {
      status: response.status,
      requestId: response.headers.get('x-request-id'),
      body: text.startsWith('{') ? JSON.parse(text) : text,
    }
  }
  return { iotda, faults, request }
}

export const uploadOf = (issued: Issued, keyPem = issued.keyPem) => ({
  certificate_pem: issued.chainPem,
  private_key: keyPem,
})
export const configurationOf = (id: string) => ({
  domain_name: domain,
  access_protocol: 'Device-MQTTS',
  server_certificate_id: id,
})
export const exportKey = (issued: Issued, type: 'pkcs1' | 'sec1' | 'pkcs8', passphrase?: string): string =>
  createPrivateKey(issued.keyPem).export({
    type: type as 'pkcs8',
    format: 'pem',
    ...(passphrase === undefined ? {} : { cipher: 'aes-256-cbc', passphrase }),
  }) as string
export const code = (reply: Reply) => [reply.status, reply.body.error_code]
