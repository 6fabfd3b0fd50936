import { RotationError } from '../base/rotation-error.ts'
import type { Secret } from '../base/secret.ts'
import type { HuaweiCall, HuaweiClient } from '../clouds/huawei/client.ts'
import { isUnknownPath } from '../clouds/huawei/refusal.ts'
import { serviceErrorOf } from '../http/api-call.ts'
import {
  certificatePage,
  configurationPage,
  type DomainConfiguration,
  deviceCount,
  domainConfiguration,
  ID,
  type Page,
  type ServerCertificate,
  type ShownServerCertificate,
  serverCertificate,
  shownServerCertificate,
} from './wire.ts'

export type { DomainConfiguration, ServerCertificate, ShownServerCertificate } from './wire.ts'
export { parseIotdaDate } from './wire.ts'

/**
 * The calls on server certificates and domain configurations. Reads are retried, changes never. Throws what
 * {@link HuaweiClient} throws; an answer that does not fit is `unavailable` and names the field.
 */
export interface IotdaClient {
  /** All of them, newest first. https://support.huaweicloud.com/intl/en-us/api-iothub/ListServerCertificate.html */
  listServerCertificates(signal?: AbortSignal): Promise<readonly ServerCertificate[]>
  /**
   * Null when the service answers that it does not exist (404 from the service itself, not for an unknown path).
   * https://support.huaweicloud.com/intl/en-us/api-iothub/ShowServerCertificate.html
   */
  showServerCertificate(id: string, signal?: AbortSignal): Promise<ShownServerCertificate | null>
  /** Not idempotent: a second call takes a second slot. https://support.huaweicloud.com/intl/en-us/api-iothub/CreateServerCertificate.html */
  addServerCertificate(
    material: {
      /** Leaf first. */
      readonly certificatePem: string
      readonly privateKey: Secret
      readonly privateKeyPassword?: Secret | null
    },
    signal?: AbortSignal,
  ): Promise<ServerCertificate>
  /** Succeeds when it is gone already. https://support.huaweicloud.com/intl/en-us/api-iothub/DeleteServerCertificate.html */
  deleteServerCertificate(id: string, signal?: AbortSignal): Promise<void>
  /** https://support.huaweicloud.com/intl/en-us/api-iothub/ListDomainConfigurations.html */
  listDomainConfigurations(signal?: AbortSignal): Promise<readonly DomainConfiguration[]>
  /** https://support.huaweicloud.com/intl/en-us/api-iothub/ShowDomainConfiguration.html */
  showDomainConfiguration(id: string, signal?: AbortSignal): Promise<DomainConfiguration>
  /** https://support.huaweicloud.com/intl/en-us/api-iothub/CreateDomainConfiguration.html */
  createDomainConfiguration(
    configuration: { readonly domainName: string; readonly serverCertificateId: string },
    signal?: AbortSignal,
  ): Promise<DomainConfiguration>
  /**
   * Binds another certificate. What the platform does without the config is undocumented, so pass the one that
   * Show gave; null leaves it out. https://support.huaweicloud.com/intl/en-us/api-iothub/UpdateDomainConfiguration.html
   */
  updateDomainConfiguration(
    id: string,
    change: {
      readonly serverCertificateId: string
      readonly serverCertificateConfig: Readonly<Record<string, unknown>> | null
    },
    signal?: AbortSignal,
  ): Promise<DomainConfiguration>
  /**
   * How many devices of the instance are online; `where`: more conditions, joined by AND. Standard and enterprise
   * editions, one call a second for the account. https://support.huaweicloud.com/intl/en-us/api-iothub/SearchDevices.html
   */
  countDevicesOnline(where: string | null, signal?: AbortSignal): Promise<number>
}

/** Huawei's table names no action for SearchDevices by itself: it lists devices. */
export const COUNT_ACTION = 'iotda:devices:queryList'

const PAGE_LIMIT = 50
/** An instance has two certificates; each in the list is looked at. */
const ITEMS_AT_MOST = 200

const gone = (error: unknown): boolean => {
  // A page of a proxy or a wrong path answers 404 as well; neither says anything about the certificate.
  if (!(error instanceof RotationError) || error.code !== 'service-refused') return false
  const said = serviceErrorOf(error)
  return said?.status === 404 && !isUnknownPath(said.code)
}

/** Follows the marker until a page is short. A service that ignored the marker would answer for ever. */
async function collect<Item>(
  operation: string,
  idOf: (item: Item) => string,
  fetch: (query: Readonly<Record<string, string | number>>) => Promise<Page<Item>>,
): Promise<readonly Item[]> {
  const found = new Map<string, Item>()
  let marker: string | null = null
  for (;;) {
    const answer: Page<Item> = await fetch({ limit: PAGE_LIMIT, ...(marker === null ? {} : { marker }) })
    for (const item of answer.items) {
      if (found.has(idOf(item)))
        throw new RotationError(
          'unavailable',
          `iotda: ${operation} answered ${idOf(item)} twice; its list cannot be relied on`,
        )
      found.set(idOf(item), item)
    }
    if (found.size > ITEMS_AT_MOST)
      throw new RotationError(
        'unavailable',
        `iotda: ${operation} gave ${found.size} items and more; its list cannot be relied on`,
        {
          hint: 'Check instance.endpoint: an instance has two server certificates and one domain configuration.',
        },
      )
    const last = answer.items.at(-1)
    if (last === undefined || answer.items.length < PAGE_LIMIT) return [...found.values()]
    marker = answer.marker ?? idOf(last)
  }
}

/** An id as a path segment. The pattern keeps `..` and `/` out, which would address something else. */
const segment = (value: string): string => {
  if (ID.test(value)) return `/${value}`
  throw new RotationError('internal', 'iotda: an id that IoTDA cannot have given was asked for', {
    retry: 'never',
  })
}

/** Requests on one kind of thing: where they go, and what IAM calls them. */
const requestsOn =
  (path: string, iamName: string) =>
  <Method extends HuaweiCall['method']>(operation: string, method: Method, action: string, id?: string) => ({
    operation,
    method,
    path: id === undefined ? path : path + segment(id),
    iamAction: `iotda:${iamName}:${action}`,
  })

/** The client of one IoTDA instance. `DeleteDomainConfiguration` is left out on purpose: it cuts every device off. */
export function createIotdaClient({ projectId, call }: HuaweiClient): IotdaClient {
  if (projectId === null)
    throw new RotationError('settings-invalid', 'iotda: a project id is needed', {
      retry: 'never',
      hint: 'Set instance.projectId.',
    })
  const base = `/v5/iot/${encodeURIComponent(projectId)}`
  const certificates = requestsOn(`${base}/server-certificates`, 'servercertificate')
  const configurations = requestsOn(`${base}/domain-configurations`, 'domainconfiguration')
  return {
    listServerCertificates: signal => {
      const request = certificates('ListServerCertificates', 'GET', 'queryList')
      return collect(
        request.operation,
        it => it.serverCertificateId,
        query => call({ ...request, query, expect: certificatePage, signal }),
      )
    },
    showServerCertificate: async (id, signal) => {
      try {
        const request = certificates('ShowServerCertificate', 'GET', 'query', id)
        return await call({ ...request, expect: shownServerCertificate, signal })
      } catch (error) {
        if (gone(error)) return null
        throw error
      }
    },
    addServerCertificate: async ({ certificatePem, privateKey, privateKeyPassword }, signal) => {
      const body = {
        certificate_pem: certificatePem,
        private_key: privateKey.reveal(),
        ...(privateKeyPassword ? { private_key_password: privateKeyPassword.reveal() } : {}),
      }
      const request = certificates('CreateServerCertificate', 'POST', 'create')
      return call({ ...request, body, isConfidential: true, expect: serverCertificate, signal })
    },
    deleteServerCertificate: async (id, signal) => {
      try {
        await call({ ...certificates('DeleteServerCertificate', 'DELETE', 'delete', id), signal })
      } catch (error) {
        if (!gone(error)) throw error
      }
    },
    listDomainConfigurations: signal => {
      const request = configurations('ListDomainConfigurations', 'GET', 'queryList')
      return collect(
        request.operation,
        it => it.configurationId,
        query => call({ ...request, query, expect: configurationPage, signal }),
      )
    },
    showDomainConfiguration: async (id, signal) => {
      const request = configurations('ShowDomainConfiguration', 'GET', 'query', id)
      return call({ ...request, isUrgent: true, expect: domainConfiguration, signal })
    },
    createDomainConfiguration: async ({ domainName, serverCertificateId }, signal) => {
      const body = {
        domain_name: domainName,
        access_protocol: 'Device-MQTTS',
        server_certificate_id: serverCertificateId,
      }
      const request = configurations('CreateDomainConfiguration', 'POST', 'create')
      return call({ ...request, body, expect: domainConfiguration, signal })
    },
    updateDomainConfiguration: async (
      id,
      { serverCertificateId, serverCertificateConfig: config },
      signal,
    ) => {
      const body = {
        server_certificate_id: serverCertificateId,
        ...(config === null ? {} : { server_certificate_config: config }),
      }
      const request = configurations('UpdateDomainConfiguration', 'PUT', 'update', id)
      return call({ ...request, isUrgent: true, body, expect: domainConfiguration, signal })
    },
    countDevicesOnline: (where, signal) =>
      call({
        operation: 'SearchDevices',
        method: 'POST',
        path: `${base}/search/query-devices`,
        iamAction: COUNT_ACTION,
        body: { sql: `select count(*) from device where status = 'ONLINE'${where ? ` and ${where}` : ''}` },
        expect: deviceCount,
        signal,
      }),
  }
}
