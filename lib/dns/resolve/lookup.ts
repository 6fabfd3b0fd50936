import { getServers } from 'node:dns/promises'
import { RotationError } from '../../base/rotation-error.ts'
import type { DriverContext, PropagationSettings, Run } from '../../contracts.ts'
import { askHttps } from './ask-https.ts'
import { askResolvers } from './ask-server.ts'
import type { RecordData, RecordType, Resolved } from './response.ts'
import { serverAddresses } from './server-address.ts'

/** What DNS is asked with. */
export interface DnsAccess {
  readonly propagation: PropagationSettings
  readonly http: DriverContext['http']
  readonly run: Run
}

/** Asks resolvers, one after another until one does not fail. They may remember earlier answers. */
export type Lookup = <T extends RecordType>(type: T, name: string) => Promise<Resolved<RecordData[T]>>

const DNS_PORT = 53

const isUrl = (resolver: string): boolean => /^https?:/i.test(resolver)

/** The system's resolvers where none are given. */
const overPort53 = async (servers: readonly string[], run: Run): Promise<Lookup> => {
  const asked = servers.length === 0 ? getServers() : servers
  const addresses = (await Promise.all(asked.map(server => serverAddresses(server, DNS_PORT)))).flat()
  return (type, name) => askResolvers(addresses, name, type, run)
}

const overHttps =
  ({ propagation, http, run }: DnsAccess): Lookup =>
  async (type, name) => {
    const failures: string[] = []
    for (const url of propagation.resolvers) {
      const resolved = await askHttps(http(propagation.caCertificates), url, name, type, run)
      if (resolved.kind !== 'failed') return resolved
      failures.push(`${url}: ${resolved.why}`)
    }
    return { kind: 'failed', why: failures.join('; ') }
  }

/** The resolvers of the settings, or the system's. @throws RotationError `unreachable`: one of them has no address */
export async function openLookup(access: DnsAccess): Promise<Lookup> {
  const { resolvers } = access.propagation
  return resolvers.some(isUrl) ? overHttps(access) : overPort53(resolvers, access.run)
}

/** As `openLookup`, but where the settings name only authoritative servers, these. */
export async function openPublicLookup(access: DnsAccess): Promise<Lookup> {
  const { resolvers, nameservers } = access.propagation
  return resolvers.length === 0 && nameservers.length > 0
    ? overPort53(nameservers, access.run)
    : openLookup(access)
}

export const CHOOSE_RESOLVER =
  'Set propagation.resolvers to a resolver that answers, or propagation.nameservers to ask directly.'

/** The records, none for nothing. @throws RotationError `unavailable` */
export const recordsIn = <T>(resolved: Resolved<T>, what: string): readonly T[] => {
  if (resolved.kind === 'records') return resolved.records
  if (resolved.kind === 'nothing') return []
  throw new RotationError('unavailable', `DNS resolver, ${what}: ${resolved.why}`, { hint: CHOOSE_RESOLVER })
}
