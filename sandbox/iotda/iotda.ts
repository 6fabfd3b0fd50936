import { randomUUID } from 'node:crypto'
import type { Faults } from '../kit/faults.ts'
import { type Answer, type Call, type Route, serve } from '../kit/http.ts'
import { type Actions, type Bound, createActions } from './actions.ts'
import { gatewayError, unauthorized } from './auth.ts'
import { createRoutes } from './routes.ts'
import { type DeviceIndex, emptyIndex, searchRoute } from './search.ts'
import { type AccessKey, type SigningAlgorithm, verifySignature } from './signature.ts'
import {
  createStore,
  type DomainConfiguration,
  type ServerCertificateConfig,
  type StoredCertificate,
} from './store.ts'
import { changeSwitches, defaultSwitches, type SwitchChanges, type Switches } from './switches.ts'

export interface IotdaOptions {
  readonly faults: Faults
  readonly now?: () => number
  readonly host?: string
  readonly port?: number
  readonly projectId: string
  readonly instanceId: string
  readonly region: string
  /** By access key. */
  readonly keys: ReadonlyMap<string, AccessKey>
  /** An `X-Auth-Token` that is accepted instead of a signature. */
  readonly token?: string
  /** Default V11: what the host of a standard or enterprise instance wants. */
  readonly algorithm?: SigningAlgorithm
  readonly switches?: SwitchChanges
}

export interface Iotda {
  readonly url: string
  readonly port: number
  /** Newest first. */
  certificates(): readonly StoredCertificate[]
  configurations(): readonly DomainConfiguration[]
  bound(): Bound | null
  /** As an operator in the console: no authentication, no faults, no quibbles about the PEM; the quota holds. */
  upload(certPem: string, keyPem: string): string
  /** As an operator: points the one domain configuration at another certificate. */
  bind(serverCertificateId: string): void
  /** As an operator: changes the OCSP settings of the one domain configuration. */
  configure(config: Partial<ServerCertificateConfig>): void
  /** As an operator; returns the configuration's id. */
  createConfiguration(domain: string, serverCertificateId: string): string
  /** As an operator; the switch `deleteBound` holds here too. */
  deleteCertificate(serverCertificateId: string): void
  /** May be changed at any time. */
  readonly switches: Switches
  /** The devices of the instance, for SearchDevices; may be changed at any time. */
  readonly index: DeviceIndex
  /** Calls back at every write of the binding, an equal one included; returns how to stop it. */
  onBind(listener: (bound: Bound | null) => void): () => void
  dispose(): Promise<void>
}

const operator = (
  actions: Actions,
  switches: Switches,
  configurations: () => readonly DomainConfiguration[],
) => ({
  upload: (certPem: string, keyPem: string): string =>
    actions.createCertificate(
      { certificatePem: certPem, privateKey: keyPem },
      {
        ...switches,
        blankLines: 'accept',
        chainOrder: 'leaf-first',
        keyEncodings: ['pkcs1', 'pkcs8', 'sec1'],
      },
    ).id,
  bind: (serverCertificateId: string): void => {
    const [configuration] = configurations()
    if (!configuration) throw new Error('there is no domain configuration to bind to')
    actions.updateConfiguration(configuration.configuration_id, {
      certificateId: serverCertificateId,
      config: configuration.server_certificate_config,
    })
  },
  configure: (config: Partial<ServerCertificateConfig>): void => {
    const [configuration] = configurations()
    if (!configuration) throw new Error('there is no domain configuration to change')
    actions.updateConfiguration(configuration.configuration_id, {
      config: { ...configuration.server_certificate_config, ...config },
    })
  },
  createConfiguration: (domain: string, serverCertificateId: string): string =>
    actions.createConfiguration({ domain, certificateId: serverCertificateId }).configuration_id,
  deleteCertificate: actions.deleteCertificate,
})

const adminRoutes = (
  switches: Switches,
  certificates: () => readonly StoredCertificate[],
  configurations: () => readonly DomainConfiguration[],
): readonly Route[] => [
  {
    method: 'GET',
    path: '/_sandbox/iotda',
    operation: '',
    handle: () => ({
      status: 200,
      body: {
        certificates: certificates().map(({ keyPem: _, ...rest }) => rest),
        configurations: configurations(),
        switches,
      },
    }),
  },
  {
    method: 'POST',
    path: '/_sandbox/iotda/switches',
    operation: '',
    handle: call => {
      try {
        changeSwitches(switches, JSON.parse(call.body) as SwitchChanges)
        return { status: 200, body: switches }
      } catch (error) {
        return { status: 400, body: (error as Error).message }
      }
    },
  },
]

/** Who may call at all: signature or token, then the project, then the instance. */
const createGate = (options: IotdaOptions, requestId: (call: Call) => string) => {
  const { projectId, instanceId, region, keys, token } = options
  const now = options.now ?? Date.now
  const algorithm = options.algorithm ?? 'V11-HMAC-SHA256'
  return (call: Call): Answer | null => {
    const verdict = verifySignature(call, {
      keys,
      algorithm,
      region,
      now: now(),
      ...(token === undefined ? {} : { token }),
    })
    if (!verdict.ok) return unauthorized(verdict, requestId(call))
    const { project } = call.params
    if (project !== undefined && project !== projectId)
      return gatewayError(403, 'APIGW.0310', 'The project is unavailable.', requestId(call))
    const instance = call.headers['instance-id']
    if (instance !== undefined && instance !== instanceId) {
      const message = 'The user has not subscribed to IoTDA or the instance does not exist.'
      return { status: 403, body: { error_code: 'IOTDA.000021', error_msg: message } }
    }
    return null
  }
}

/**
 * The application side of one IoTDA instance.
 * https://support.huaweicloud.com/intl/en-us/api-iothub/CreateServerCertificate.html
 */
export async function createIotda(options: IotdaOptions): Promise<Iotda> {
  const switches: Switches = { ...defaultSwitches }
  changeSwitches(switches, options.switches ?? {})
  const index = emptyIndex()
  const store = createStore(options.now ?? Date.now)
  const actions = createActions(store, switches)
  const certificates = () => store.live().certificates.toReversed()
  const configurations = () => store.live().configurations
  const requestIds = new WeakMap<Call, string>()
  const requestId = (call: Call): string => {
    const id = requestIds.get(call) ?? randomUUID().replaceAll('-', '')
    requestIds.set(call, id)
    return id
  }
  const served = await serve({
    service: 'iotda',
    faults: options.faults,
    routes: [...createRoutes(store, actions, switches), searchRoute(index, options.now ?? Date.now)],
    admin: adminRoutes(switches, certificates, configurations),
    before: createGate(options, requestId),
    headers: call => ({ 'X-Request-Id': requestId(call) }),
    notFound: () => ({
      status: 404,
      body: { error_code: 'IOTDA.000029', error_msg: 'The requested resource does not exist.' },
    }),
    ...(options.host === undefined ? {} : { host: options.host }),
    ...(options.port === undefined ? {} : { port: options.port }),
  })
  return {
    ...served,
    certificates,
    configurations,
    bound: actions.bound,
    ...operator(actions, switches, configurations),
    switches,
    index,
    onBind: actions.onBind,
  }
}
