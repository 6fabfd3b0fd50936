import { randomBytes } from 'node:crypto'
import type { Material } from './material.ts'

export interface StoredCertificate extends Material {
  readonly id: string
}

/** https://support.huaweicloud.com/intl/en-us/api-iothub/CreateDomainConfiguration.html */
export interface ServerCertificateConfig {
  readonly ocsp_stapling_enable: boolean
  readonly ocsp_server_ca_id?: string
  readonly ocsp_ssl_enable: boolean
}

/** A domain configuration, in the fields of the wire. */
export interface DomainConfiguration {
  readonly configuration_id: string
  readonly domain_name: string
  readonly access_protocol: string
  readonly server_certificate_id: string
  readonly server_certificate_config: ServerCertificateConfig
}

export interface State {
  /** Oldest first. */
  readonly certificates: readonly StoredCertificate[]
  readonly configurations: readonly DomainConfiguration[]
}

export interface Store {
  live(): State
  /** The state of that long ago. */
  seen(lagMs: number): State
  set(change: Partial<State>): void
  /** 24 hex characters, strictly increasing, the seconds in front. */
  nextId(): string
}

export function createStore(now: () => number): Store {
  const history: { readonly at: number; readonly state: State }[] = [
    { at: Number.NEGATIVE_INFINITY, state: { certificates: [], configurations: [] } },
  ]
  const machine = randomBytes(5).toString('hex')
  let seconds = 0
  let counter = 0
  const live = (): State => (history.at(-1) as { state: State }).state
  return {
    live,
    seen: lagMs =>
      lagMs > 0 ? (history.findLast(entry => entry.at <= now() - lagMs)?.state ?? live()) : live(),
    set: change => {
      history.push({ at: now(), state: { ...live(), ...change } })
    },
    nextId: () => {
      seconds = Math.max(seconds, Math.floor(now() / 1000))
      counter += 1
      return `${seconds.toString(16).padStart(8, '0')}${machine}${counter.toString(16).padStart(6, '0')}`
    },
  }
}

/** One page of a list, newest first. https://support.huaweicloud.com/intl/en-us/api-iothub/ListServerCertificate.html */
export function pageOf<T>(
  items: readonly T[],
  idOf: (item: T) => string,
  query: { readonly limit: number; readonly marker: string; readonly offset: number },
): { readonly items: readonly T[]; readonly page: { readonly count: number; readonly marker?: string } } {
  const page = items
    .filter(item => idOf(item) < query.marker)
    .sort((a, b) => (idOf(a) < idOf(b) ? 1 : -1))
    .slice(query.offset, query.offset + query.limit)
  const last = page.at(-1)
  return {
    items: page,
    page: { count: items.length, ...(last === undefined ? {} : { marker: idOf(last) }) },
  }
}
