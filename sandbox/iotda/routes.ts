import type { Answer, Call, Route } from '../kit/http.ts'
import type { Actions } from './actions.ts'
import { pageOf, type ServerCertificateConfig, type Store, type StoredCertificate } from './store.ts'
import { Refused, refusalAnswer, type Switches } from './switches.ts'

type Json = Readonly<Record<string, unknown>>

const jsonBody = (call: Call): Json => {
  if (!/^application\/json\b/i.test(call.headers['content-type'] ?? ''))
    throw new Refused('not-json', 'content-type')
  let value: unknown
  try {
    value = JSON.parse(call.body)
  } catch {
    throw new Refused('not-json')
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Refused('not-json')
  return value as Json
}

const text = (body: Json, name: string, maxLength: number): string => {
  const value = body[name]
  if (typeof value !== 'string' || value === '' || value.length > maxLength)
    throw new Refused('invalid-input', name)
  return value
}

const optionalText = (body: Json, name: string, maxLength: number): string | undefined =>
  body[name] === undefined || body[name] === null ? undefined : text(body, name, maxLength)

const number = (call: Call, name: string, min: number, max: number, otherwise: number): number => {
  const value = call.query.get(name) ?? String(otherwise)
  if (!/^\d{1,6}$/.test(value) || Number(value) < min || Number(value) > max)
    throw new Refused(name === 'limit' ? 'limit' : 'invalid-input', name)
  return Number(value)
}

const paging = (call: Call) => {
  const marker = call.query.get('marker') ?? 'f'.repeat(24)
  if (!/^[0-9a-f]{24}$/.test(marker)) throw new Refused('marker')
  return { limit: number(call, 'limit', 1, 50, 10), marker, offset: number(call, 'offset', 0, 500, 0) }
}

const pathId = (call: Call, refusal: 'unknown-certificate' | 'unknown-configuration'): string => {
  const id = call.params.id ?? ''
  if (!/^[A-Za-z0-9_-]{1,24}$/.test(id)) throw new Refused('invalid-input', refusal)
  return id
}

const ocspConfig = (body: Json): Partial<ServerCertificateConfig> | undefined => {
  const given = body.server_certificate_config
  if (given === undefined || given === null) return undefined
  if (typeof given !== 'object') throw new Refused('invalid-input', 'server_certificate_config')
  const config = given as Json
  for (const name of ['ocsp_stapling_enable', 'ocsp_ssl_enable'])
    if (config[name] !== undefined && typeof config[name] !== 'boolean')
      throw new Refused('invalid-input', name)
  const caId = optionalText(config, 'ocsp_server_ca_id', 36)
  const { ocsp_stapling_enable: stapling, ocsp_ssl_enable: ssl } = config
  return {
    ...(typeof stapling === 'boolean' ? { ocsp_stapling_enable: stapling } : {}),
    ...(typeof ssl === 'boolean' ? { ocsp_ssl_enable: ssl } : {}),
    ...(caId === undefined ? {} : { ocsp_server_ca_id: caId }),
  }
}

const shown = (stored: StoredCertificate, switches: Switches) => ({
  server_certificate_id: stored.id,
  ...(stored.commonName === null && switches.missingCommonName === 'omit'
    ? {}
    : { common_name: stored.commonName ?? '' }),
  effective_date: stored.effectiveDate,
  expiry_date: stored.expiryDate,
  certificate_owner: stored.owner,
  certificate_issuer: stored.issuer,
})

const shownPem = (stored: StoredCertificate, switches: Switches): string => {
  if (switches.shownPem === 'leaf-only') return stored.leafPem
  const { certificatePem } = stored
  return switches.shownPem === 'crlf' ? certificatePem.replace(/\r?\n/g, '\r\n') : certificatePem
}

type Handle = (call: Call) => Answer

const refusing =
  (switches: Switches, handle: Handle): Handle =>
  call => {
    try {
      return handle(call)
    } catch (error) {
      if (error instanceof Refused) return refusalAnswer(switches, error)
      throw error
    }
  }

const certificateRoutes = (store: Store, actions: Actions, switches: Switches): readonly Route[] => {
  const create: Handle = call => {
    const body = jsonBody(call)
    const certificatePem = text(body, 'certificate_pem', 65_535)
    const privateKey = text(body, 'private_key', 10_240)
    const password = optionalText(body, 'private_key_password', 64)
    if (password !== undefined && !/^[A-Za-z]+$/.test(password))
      throw new Refused('invalid-input', 'password')
    const upload = { certificatePem, privateKey, ...(password === undefined ? {} : { password }) }
    return { status: 201, body: shown(actions.createCertificate(upload, switches), switches) }
  }
  const list: Handle = call => {
    const { items, page } = pageOf(store.seen(switches.readLagMs).certificates, c => c.id, paging(call))
    const body = { server_certificates: items.map(c => shown(c, switches)), page }
    return { status: switches.readStatus, body }
  }
  const show: Handle = call => {
    const id = pathId(call, 'unknown-certificate')
    const found = store.seen(switches.readLagMs).certificates.find(c => c.id === id)
    if (!found) throw new Refused('unknown-certificate')
    const body = { ...shown(found, switches), certificate_pem: shownPem(found, switches) }
    return { status: switches.readStatus, body }
  }
  const remove: Handle = call => {
    actions.deleteCertificate(pathId(call, 'unknown-certificate'))
    return { status: 204 }
  }
  const path = '/v5/iot/:project/server-certificates'
  return [
    { method: 'POST', path, operation: 'CreateServerCertificate', handle: create },
    { method: 'GET', path, operation: 'ListServerCertificates', handle: list },
    { method: 'GET', path: `${path}/:id`, operation: 'ShowServerCertificate', handle: show },
    { method: 'DELETE', path: `${path}/:id`, operation: 'DeleteServerCertificate', handle: remove },
  ]
}

const configurationRoutes = (store: Store, actions: Actions, switches: Switches): readonly Route[] => {
  const create: Handle = call => {
    const body = jsonBody(call)
    if (body.access_protocol !== 'Device-MQTTS') throw new Refused('invalid-input', 'access_protocol')
    const config = ocspConfig(body)
    const created = actions.createConfiguration({
      domain: text(body, 'domain_name', 255),
      certificateId: text(body, 'server_certificate_id', 36),
      ...(config === undefined ? {} : { config }),
    })
    return { status: 201, body: created }
  }
  const list: Handle = call => {
    const { configurations } = store.seen(switches.readLagMs)
    const { items, page } = pageOf(configurations, c => c.configuration_id, paging(call))
    return { status: switches.readStatus, body: { domain_configurations: items, page } }
  }
  const show: Handle = call => {
    const id = pathId(call, 'unknown-configuration')
    const { configurations } = store.seen(switches.readLagMs)
    const found = configurations.find(c => c.configuration_id === id)
    if (!found) throw new Refused('unknown-configuration')
    return { status: switches.readStatus, body: found }
  }
  const update: Handle = call => {
    const body = jsonBody(call)
    for (const name of Object.keys(body))
      if (!['server_certificate_id', 'server_certificate_config'].includes(name))
        throw new Refused('invalid-input', `${name} cannot be changed`)
    const certificateId = optionalText(body, 'server_certificate_id', 36)
    const config = ocspConfig(body)
    const updated = actions.updateConfiguration(pathId(call, 'unknown-configuration'), {
      ...(certificateId === undefined ? {} : { certificateId }),
      ...(config === undefined ? {} : { config }),
    })
    return { status: switches.readStatus, body: updated }
  }
  const remove: Handle = call => {
    actions.deleteConfiguration(pathId(call, 'unknown-configuration'))
    return { status: 204 }
  }
  const path = '/v5/iot/:project/domain-configurations'
  return [
    { method: 'POST', path, operation: 'CreateDomainConfiguration', handle: create },
    { method: 'GET', path, operation: 'ListDomainConfigurations', handle: list },
    { method: 'GET', path: `${path}/:id`, operation: 'ShowDomainConfiguration', handle: show },
    { method: 'PUT', path: `${path}/:id`, operation: 'UpdateDomainConfiguration', handle: update },
    { method: 'DELETE', path: `${path}/:id`, operation: 'DeleteDomainConfiguration', handle: remove },
  ]
}

/**
 * The nine calls on server certificates and domain configurations.
 * https://support.huaweicloud.com/intl/en-us/api-iothub/CreateServerCertificate.html
 */
export function createRoutes(store: Store, actions: Actions, switches: Switches): readonly Route[] {
  return [
    ...certificateRoutes(store, actions, switches),
    ...configurationRoutes(store, actions, switches),
  ].map(route => ({ ...route, handle: refusing(switches, route.handle as Handle) }))
}
