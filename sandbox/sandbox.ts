import { randomBytes } from 'node:crypto'
import { type AcmeCa, type AcmeCaOptions, type CaKeyType, createAcmeCa } from './acme-ca/ca.ts'
import { createDoorTls } from './acme-ca/certificates/issuing.ts'
import { createDeviceEndpoint, type DeviceEndpoint, type DeviceEndpointOptions } from './device-endpoint.ts'
import { createHttpreq } from './dns/httpreq.ts'
import { createDnsHttps, type DnsHttps } from './dns/https.ts'
import { createHuaweiDns, type HuaweiDns } from './dns/huaweicloud.ts'
import { createDns, type Dns } from './dns/server.ts'
import type { ZoneSpec } from './dns/zones.ts'
import { createIotda, type Iotda } from './iotda/iotda.ts'
import { createFaults, type Faults } from './kit/faults.ts'
import type { Served } from './kit/http.ts'

/** The whole outside world on loopback: IoTDA, the device port, an ACME CA, and DNS with two ways to change it. */
export interface Sandbox {
  readonly faults: Faults
  readonly iotda: Iotda
  readonly device: DeviceEndpoint
  readonly ca: AcmeCa
  readonly dns: Dns
  /** The same DNS over HTTPS, by a resolver that remembers; `caPem` is the root of its certificate. */
  readonly dnsHttps: DnsHttps & { readonly caPem: string }
  readonly httpreq: Served
  readonly huaweiDns: HuaweiDns
  readonly domain: string
  readonly keys: { readonly accessKey: string; readonly secretKey: string }
  /** Every access key that Huawei's services know, by its id; a test may add temporary ones and end them. */
  readonly accessKeys: Map<string, { readonly secretKey: string; readonly securityToken?: string }>
  /** A settings object for iotda-cert that points at this sandbox, EC keys included; `change` may edit it. */
  settings(change?: (settings: SandboxSettings) => void): SandboxSettings
  dispose(): Promise<void>
}

// biome-ignore lint/suspicious/noExplicitAny: a settings file as a person writes it, free to be edited by tests.
export type SandboxSettings = any

export interface SandboxOptions {
  readonly domain?: string
  /** Keys are EC, which are quick to make, unless said otherwise. */
  readonly ca?: Partial<AcmeCaOptions>
  /** Zones of other people: in DNS, but not in the Huawei account. */
  readonly foreignZones?: readonly ZoneSpec[]
  /** `closed`: nobody but the CA reaches a DNS server by its port. DNS runs on `now` then, too. */
  readonly port53?: 'open' | 'closed'
  /** Addresses of the device port; all on one port. */
  readonly addresses?: readonly string[]
  /** The clock of everything but DNS, for tests that move it. Default Date.now. */
  readonly now?: () => number
  /** Who may connect to the device port's broker. Default: everybody. */
  readonly authenticate?: NonNullable<DeviceEndpointOptions['authenticate']>
}

const DAY_MS = 86_400_000
const PROJECT_ID = '0123456789abcdef0123456789abcdef'
const INSTANCE_ID = '11111111-2222-3333-4444-555555555555'
const REGION = 'cn-north-4'

const NAME_SERVER = '127.0.0.1'
/** The resolver behind DNS over HTTPS, which listens at no address of its own. */
const OVER_HTTPS = 'https'

async function openDnsHttps(dns: Dns, faults: Faults, clock: { readonly now?: () => number }) {
  const { caPem, ...tls } = await createDoorTls()
  return { ...(await createDnsHttps({ dns, faults, resolver: OVER_HTTPS, tls, ...clock })), caPem }
}

/** Starts everything on free ports. */
export async function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const domain = options.domain ?? 'iot.example.com'
  const keys = {
    accessKey: `AK${randomBytes(9).toString('hex')}`,
    secretKey: randomBytes(24).toString('base64url'),
  }
  const known: Sandbox['accessKeys'] = new Map([[keys.accessKey, { secretKey: keys.secretKey }]])
  const faults = createFaults()
  const clock = options.now ? { now: options.now } : {}
  const zone = domain.split('.').slice(-2).join('.')
  const foreign = options.foreignZones ?? []
  const holds = ({ name }: { readonly name: string }): boolean => foreign.every(it => it.name !== name)
  // Where the CA asks; the name server of the zone itself may be out of reach.
  const asked = options.port53 === 'closed' ? '127.0.0.2' : NAME_SERVER
  const dns = await createDns({
    zones: [{ name: zone, ns: [{ name: `ns1.${zone}`, address: NAME_SERVER }] }, ...foreign],
    addresses: [asked],
    ...(asked === NAME_SERVER ? {} : clock),
    resolvers: [OVER_HTTPS, ...(asked === NAME_SERVER ? [] : [asked])],
  })
  const dnsHttps = await openDnsHttps(dns, faults, clock)
  const ca = await createAcmeCa({
    faults,
    dnsServer: `${asked}:${dns.port}`,
    keyAlgorithm: 'ec-256',
    ...clock,
    ...options.ca,
  })
  const httpreq = await createHttpreq({ dns, faults })
  const huaweiDns = await createHuaweiDns({ dns, faults, holds, keys: known, region: REGION, ...clock })
  const iotda = await createIotda({
    faults,
    projectId: PROJECT_ID,
    instanceId: INSTANCE_ID,
    region: REGION,
    keys: known,
    ...clock,
  })
  const device = await createDeviceEndpoint({
    iotda,
    ...clock,
    ...(options.addresses ? { addresses: [...options.addresses] } : {}),
    ...(options.authenticate ? { authenticate: options.authenticate } : {}),
  })
  const world = {
    faults,
    iotda,
    device,
    ca,
    dns,
    dnsHttps,
    httpreq,
    huaweiDns,
    domain,
    keys,
    accessKeys: known,
  }
  return {
    ...world,
    settings: change => {
      const settings = settingsFor(world)
      change?.(settings)
      return settings
    },
    dispose: async () => {
      await Promise.all([
        device.dispose(),
        iotda.dispose(),
        httpreq.dispose(),
        huaweiDns.dispose(),
        ca.dispose(),
        dnsHttps.dispose(),
        dns.dispose(),
      ])
    },
  }
}

/** The worst realistic start: both slots used, the bound certificate ends in `daysLeft` days. */
export async function fillSlots(
  { ca, iotda, domain }: Sandbox,
  daysLeft = 5,
  keyType: CaKeyType = 'ec-256',
): Promise<{ bound: string; spare: string }> {
  const issue = (fromDays: number, toDays: number) =>
    ca.issue([domain], {
      notBefore: new Date(Date.now() + fromDays * DAY_MS),
      notAfter: new Date(Date.now() + toDays * DAY_MS),
      keyType,
    })
  const [older, newer] = await Promise.all([issue(-145, -55), issue(daysLeft - 90, daysLeft)])
  const spare = iotda.upload(older.certPem, older.keyPem)
  const bound = iotda.upload(newer.certPem, newer.keyPem)
  iotda.createConfiguration(domain, bound)
  return { bound, spare }
}

/** As IoTDA's own sample has it. */
export const withRsa = (settings: SandboxSettings): void => {
  settings.certificates.iot.keyType = 'rsa-2048'
}

function settingsFor({
  iotda,
  device,
  ca,
  dns,
  httpreq,
  domain,
  keys,
}: Omit<Sandbox, 'settings' | 'dispose'>): SandboxSettings {
  return {
    version: 1,
    targets: [
      {
        name: 'factory-1',
        domain,
        credentials: 'cn',
        instance: {
          region: REGION,
          projectId: PROJECT_ID,
          instanceId: INSTANCE_ID,
          endpoint: iotda.url,
          signing: 'derived',
        },
        certificate: 'iot',
        trustedRoots: ca.rootPem,
        probe: { port: device.port, addresses: [...device.addresses], within: '10s' },
      },
    ],
    certificates: { iot: { names: [domain], keyType: 'ec-256', source: 'sandbox' } },
    sources: {
      sandbox: {
        type: 'acme',
        directory: ca.directoryUrl,
        email: 'ops@example.com',
        termsOfServiceAgreed: true,
        solver: 'dns',
        caCertificates: ca.caPem,
        // Here one may play; a real CA is asked for no more than three orders a week.
        budget: { orders: 1_000, failedValidations: 100 },
      },
    },
    solvers: {
      dns: {
        type: 'webhook',
        url: httpreq.url,
        propagation: { resolvers: [`127.0.0.1:${dns.port}`], port: dns.port, every: '100ms' },
      },
    },
    credentials: { cn: { type: 'huaweicloud', ...keys } },
    store: { type: 'file', path: './state' },
  }
}
