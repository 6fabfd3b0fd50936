import type { Route } from '../kit/http.ts'
import type { Dns, NodeSwitches } from './server.ts'
import type { SetRecords, ZoneRecordType } from './zones.ts'

/** The body of `POST /_sandbox/dns/records`. */
export interface RecordsBody {
  /** `set` (default) replaces all values of the name and type, `add` and `remove` touch only the given ones. */
  readonly action?: 'set' | 'add' | 'remove'
  readonly name: string
  readonly type: ZoneRecordType
  readonly values: readonly string[]
  readonly ttl?: number
}

/**
 * Switches of the DNS over HTTP, for a server's `admin` routes:
 * `POST /_sandbox/dns/nodes` {address, down, servfail, bogus, lagMs}, `POST /_sandbox/dns/records`,
 * `GET /_sandbox/dns/records`, `GET` and `DELETE /_sandbox/dns/queries`.
 */
export function dnsAdmin(dns: Dns): readonly Route[] {
  const route = (method: string, path: string, handle: Route['handle']): Route => ({
    method,
    path: `/_sandbox/dns/${path}`,
    operation: '',
    handle,
  })
  return [
    route('POST', 'nodes', call => {
      const { address, ...switches } = JSON.parse(call.body) as NodeSwitches & { address: string }
      dns.setNode(address, switches)
      return { status: 204 }
    }),
    route('POST', 'records', call => {
      const { action = 'set', ...change } = JSON.parse(call.body) as RecordsBody
      if (action === 'set') dns.zones.set(change satisfies SetRecords)
      else for (const value of change.values) dns.zones[action](change.name, change.type, value)
      return { status: 204 }
    }),
    route('GET', 'records', () => ({
      status: 200,
      body: dns.zones.list.map(zone => ({ zone: zone.name, records: dns.zones.all(zone) })),
    })),
    route('GET', 'queries', () => ({ status: 200, body: dns.queries })),
    route('DELETE', 'queries', () => {
      dns.clearQueries()
      return { status: 204 }
    }),
  ]
}
