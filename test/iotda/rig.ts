import { afterEach } from 'vitest'
import { secret } from '../../lib/base/secret.ts'
import type { Clock } from '../../lib/base/time.ts'
import { createHuaweiClient, type HuaweiClientOptions } from '../../lib/clouds/huawei/client.ts'
import { createHttp } from '../../lib/http/client.ts'
import { createIotdaClient } from '../../lib/iotda/client.ts'
import { createIotda, type IotdaOptions } from '../../sandbox/iotda/iotda.ts'
import { createFaults } from '../../sandbox/kit/faults.ts'
import { type Answer, type Call, serve } from '../../sandbox/kit/http.ts'
import { createRoot, type Issued, issueLeaf } from '../../sandbox/kit/pki.ts'

const PROJECT = '0123456789abcdef0123456789abcdef'
const INSTANCE = '11111111-2222-3333-4444-555555555555'
export const UNKNOWN = '0'.repeat(24)
export const DOMAIN = 'iot.example.com'

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

const issuer = await createRoot()
const dates = { notBefore: new Date('2025-11-01T00:00:00Z'), notAfter: new Date('2026-01-30T23:59:59Z') }
/** With a subject. */
export const first = await issueLeaf({ names: [DOMAIN], issuer, organization: 'Example', ...dates })
/** Without one. */
export const second = await issueLeaf({ names: [DOMAIN], issuer, commonName: null, ...dates })

const clock: Clock = { now: () => Date.now(), sleep: async (_, signal) => signal?.throwIfAborted() }

export const clientOf = (endpoint: string, changes: Partial<HuaweiClientOptions> = {}) => {
  const http = createHttp()
  closing.push(() => http.close())
  const huawei = createHuaweiClient({
    http,
    clock,
    keys: async () => ({ accessKey: secret('AK'), secretKey: secret('SK'), securityToken: null }),
    endpoint,
    region: 'cn-north-4',
    signing: 'derived',
    projectId: PROJECT,
    instanceId: INSTANCE,
    driver: 'iotda',
    ...changes,
  })
  return createIotdaClient(huawei)
}

/** An instance of the sandbox and a client of it. */
export const createRig = async (
  options: Partial<IotdaOptions> = {},
  changes: Partial<HuaweiClientOptions> = {},
) => {
  const faults = createFaults()
  const iotda = await createIotda({
    faults,
    projectId: PROJECT,
    instanceId: INSTANCE,
    region: 'cn-north-4',
    keys: new Map([['AK', { secretKey: 'SK' }]]),
    ...options,
  })
  closing.push(() => iotda.dispose())
  return { client: clientOf(iotda.url, changes), iotda, faults }
}

/** A service that answers the lists as it likes. */
export const createOdd = async (answer: (call: Call) => Answer) => {
  const faults = createFaults()
  const route = (method: string, path: string) => ({
    method,
    path: `/v5/iot/:project/${path}`,
    operation: 'Any',
    handle: answer,
  })
  const paths = ['server-certificates', 'domain-configurations']
  const served = await serve({
    service: 'odd',
    faults,
    routes: paths.flatMap(path => [
      route('GET', path),
      route('POST', path),
      route('GET', `${path}/:id`),
      route('PUT', `${path}/:id`),
      route('DELETE', `${path}/:id`),
    ]),
  })
  closing.push(() => served.dispose())
  return { client: clientOf(served.url), faults }
}

export const upload = ({ chainPem, keyPem }: Issued) => ({
  certificatePem: chainPem,
  privateKey: secret(keyPem),
})

export const listed = {
  server_certificate_id: 'cert-1',
  common_name: DOMAIN,
  effective_date: '20251101T000000Z',
  expiry_date: '20260130T235959Z',
  certificate_owner: `CN=${DOMAIN}`,
  certificate_issuer: 'CN=Sandbox Root',
}
export const configured = {
  configuration_id: 'cfg-1',
  domain_name: DOMAIN,
  access_protocol: 'Device-MQTTS',
  server_certificate_id: 'cert-1',
  server_certificate_config: { ocsp_stapling_enable: false },
}
