import { type MaterialSwitches, parseMaterial } from './material.ts'
import type { DomainConfiguration, ServerCertificateConfig, Store, StoredCertificate } from './store.ts'
import { Refused, type Switches } from './switches.ts'

/** What devices get on the custom domain. */
export interface Bound {
  readonly domain: string
  readonly certificatePem: string
  readonly keyPem: string
}

export interface Upload {
  readonly certificatePem: string
  readonly privateKey: string
  readonly password?: string
}

/** The effects behind the calls and behind the console; each throws `Refused`. */
export interface Actions {
  createCertificate(upload: Upload, rules: MaterialSwitches): StoredCertificate
  deleteCertificate(id: string): void
  createConfiguration(given: {
    readonly domain: string
    readonly certificateId: string
    readonly config?: Partial<ServerCertificateConfig>
  }): DomainConfiguration
  updateConfiguration(
    id: string,
    change: { readonly certificateId?: string; readonly config?: Partial<ServerCertificateConfig> },
  ): DomainConfiguration
  deleteConfiguration(id: string): void
  bound(): Bound | null
  /** Calls back at every write of the binding, an equal one included; returns how to stop it. */
  onBind(listener: (bound: Bound | null) => void): () => void
}

const defaultConfig: ServerCertificateConfig = { ocsp_stapling_enable: false, ocsp_ssl_enable: true }

const domainPattern = /^[a-zA-Z0-9][-a-zA-Z0-9]{0,62}(\.[a-zA-Z0-9][-a-zA-Z0-9]{0,62})+\.?$/

export function createActions(store: Store, switches: Switches): Actions {
  const listeners = new Set<(bound: Bound | null) => void>()
  const certificate = (id: string) => store.live().certificates.find(c => c.id === id)
  const configuration = (id: string) => store.live().configurations.find(c => c.configuration_id === id)
  const isBound = (id: string) => store.live().configurations.some(c => c.server_certificate_id === id)

  const bound = (): Bound | null => {
    const current = store.live().configurations[0]
    const found = current && certificate(current.server_certificate_id)
    if (!current || !found) return null
    return { domain: current.domain_name, certificatePem: found.certificatePem, keyPem: found.keyPem }
  }
  const announce = (): void => {
    const value = bound()
    for (const listener of listeners) listener(value)
  }

  return {
    bound,
    onBind: listener => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    createCertificate: (upload, rules) => {
      const material = parseMaterial(upload, rules)
      const { certificates } = store.live()
      if (certificates.length >= switches.certificateQuota) throw new Refused('certificate-quota')
      const stored = { id: store.nextId(), ...material }
      store.set({ certificates: [...certificates, stored] })
      return stored
    },
    deleteCertificate: id => {
      if (!certificate(id)) throw new Refused('unknown-certificate', id)
      const wasBound = isBound(id)
      if (wasBound && switches.deleteBound === 'refuse') throw new Refused('bound', id)
      store.set({ certificates: store.live().certificates.filter(c => c.id !== id) })
      if (wasBound) announce()
    },
    createConfiguration: ({ domain, certificateId, config }) => {
      if (!domainPattern.test(domain)) throw new Refused('invalid-input', 'domain_name')
      if (!certificate(certificateId))
        throw new Refused('unknown-certificate-in-configuration', certificateId)
      const { configurations } = store.live()
      if (configurations.length >= switches.configurationQuota) throw new Refused('configuration-quota')
      const created = {
        configuration_id: store.nextId(),
        domain_name: domain,
        access_protocol: 'Device-MQTTS',
        server_certificate_id: certificateId,
        server_certificate_config: { ...defaultConfig, ...config },
      }
      store.set({ configurations: [...configurations, created] })
      announce()
      return created
    },
    updateConfiguration: (id, change) => {
      const before = configuration(id)
      if (!before) throw new Refused('unknown-configuration', id)
      const certificateId = change.certificateId ?? before.server_certificate_id
      if (change.certificateId !== undefined && !certificate(certificateId))
        throw new Refused('unknown-certificate-in-configuration', certificateId)
      const kept = switches.putWithoutConfig === 'keep' ? before.server_certificate_config : defaultConfig
      const after = {
        ...before,
        server_certificate_id: certificateId,
        server_certificate_config: { ...kept, ...change.config },
      }
      store.set({ configurations: store.live().configurations.map(c => (c === before ? after : c)) })
      announce()
      return after
    },
    deleteConfiguration: id => {
      const before = configuration(id)
      if (!before) throw new Refused('unknown-configuration', id)
      store.set({ configurations: store.live().configurations.filter(c => c !== before) })
      announce()
    },
  }
}
