import { getServers } from 'node:dns/promises'
import { RotationError } from '../../base/rotation-error.ts'
import type { DriverContext, PropagationSettings, Run } from '../../contracts.ts'
import { askHttps } from './ask-https.ts'
import { askResolvers } from './ask-server.ts'
import { type Lookup, mostTelling } from './asking.ts'
import { brokenChain } from './chain-of-trust.ts'
import type { Resolved } from './response.ts'
import { serverAddresses } from './server-address.ts'

/** What DNS is asked with. */
export interface DnsAccess {
  readonly propagation: PropagationSettings
  readonly http: DriverContext['http']
  readonly run: Run
  /** In the emergency an answer that holds only without DNSSEC is taken all the same. */
  readonly emergency?: boolean
}

const DNS_PORT = 53

const isUrl = (resolver: string): boolean => /^https?:/i.test(resolver)

/** The system's resolvers where none are given. */
const overPort53 = async (servers: readonly string[], run: Run): Promise<Lookup> => {
  const asked = servers.length === 0 ? getServers() : servers
  const addresses = (await Promise.all(asked.map(server => serverAddresses(server, DNS_PORT)))).flat()
  return (type, name, asking) => askResolvers(addresses, name, type, run, asking)
}

const overHttps =
  ({ propagation, http, run }: DnsAccess): Lookup =>
  async (type, name, asking) => {
    const said = await Promise.all(
      propagation.resolvers.map(async url => ({
        url,
        resolved: await askHttps(http(propagation.caCertificates), url, name, type, run, asking),
      })),
    )
    const believed = mostTelling(said.map(it => it.resolved))
    if (believed) return believed
    const failures = said.map(({ url, resolved }) =>
      resolved.kind === 'failed' ? `${url}: ${resolved.why}` : url,
    )
    return { kind: 'failed', why: failures.join('; ') }
  }

/** What fails only because the resolver validates comes with what people are told of it. */
const explained =
  (lookup: Lookup, { run, emergency = false }: DnsAccess): Lookup =>
  async (type, name, asking) => {
    const resolved = await lookup(type, name, asking)
    if (resolved.kind !== 'failed' || resolved.unvalidated === undefined) return resolved
    const broken = await brokenChain(name, type, lookup, run)
    if (!emergency) return { ...resolved, broken }
    run.log.warn({ name, type }, `going on without DNSSEC: ${broken.message}`)
    return resolved.unvalidated
  }

/** The resolvers of the settings, or the system's. @throws RotationError `unreachable`: one of them has no address */
export async function openLookup(access: DnsAccess): Promise<Lookup> {
  const { resolvers } = access.propagation
  const lookup = resolvers.some(isUrl) ? overHttps(access) : await overPort53(resolvers, access.run)
  return explained(lookup, access)
}

/** As `openLookup`, but where the settings name only authoritative servers, these. */
export async function openPublicLookup(access: DnsAccess): Promise<Lookup> {
  const { resolvers, nameservers } = access.propagation
  return resolvers.length === 0 && nameservers.length > 0
    ? explained(await overPort53(nameservers, access.run), access)
    : openLookup(access)
}

export const CHOOSE_RESOLVER =
  'Set propagation.resolvers to a resolver that answers, or propagation.nameservers to ask directly.'

/** The records, none for nothing. @throws RotationError `unavailable`, `dnssec-broken` */
export const recordsIn = <T>(resolved: Resolved<T>, what: string): readonly T[] => {
  if (resolved.kind === 'records') return resolved.records
  if (resolved.kind === 'nothing') return []
  if (resolved.broken) throw resolved.broken
  throw new RotationError('unavailable', `DNS resolver, ${what}: ${resolved.why}`, { hint: CHOOSE_RESOLVER })
}
