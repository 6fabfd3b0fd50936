import type { DriverContext } from '../contracts.ts'
import { createHttp } from '../http/client.ts'
import type { Http, HttpProxy } from '../http/http.ts'

/** HTTP clients by the roots they trust. */
export interface Clients {
  readonly http: DriverContext['http']
  close(): Promise<void>
}

/** One client for each set of roots, made at its first use. */
export function openClients(proxy: HttpProxy | null): Clients {
  const open = new Map<string, Http>()
  return {
    http: caCertificates => {
      const key = caCertificates ?? ''
      const client = open.get(key) ?? createHttp({ caCertificates, proxy })
      open.set(key, client)
      return client
    },
    close: async () => {
      await Promise.allSettled([...open.values()].map(client => client.close()))
    },
  }
}
