import { createSocket } from 'node:dgram'
import { isIP } from 'node:net'
import { asRotationError, RotationError } from '../base/rotation-error.ts'
import type { PropagationSettings, Run } from '../contracts.ts'
import { bareName, checkName } from './name.ts'
import { askServer } from './resolve/ask-server.ts'
import type { Lookup } from './resolve/asking.ts'
import { CHOOSE_RESOLVER, type DnsAccess, openLookup, recordsIn } from './resolve/lookup.ts'
import type { Resolved } from './resolve/response.ts'
import { type ServerAddress, serverAddresses } from './resolve/server-address.ts'
import { addressesOf, delegationOf, parentOf, zoneAbove } from './zone-cut.ts'

/** One address of an authoritative server. */
export interface NameServer extends ServerAddress {
  readonly name: string
}

/** Where a name's records stand after its aliases were followed. Names are lower case without the final dot. */
export interface Location {
  readonly name: string
  /** The aliases on the way, the first of them the name that was asked for. */
  readonly aliases: readonly string[]
  /** Null when the servers were given by the settings, or nobody could tell. */
  readonly zone: string | null
  /** The names in the NS records of the zone. */
  readonly nameServers: readonly string[]
  /** The names in the NS records above the zone, which resolvers go by; empty where nobody could be asked. */
  readonly delegation: readonly string[]
  /** Empty where only resolvers are asked. */
  readonly servers: readonly NameServer[]
}

const MAX_ALIASES = 10
/** Each is asked, all at once. */
const SERVERS_AT_MOST = 100
/** `ns1.example.com (192.0.2.1)`. */
export const serverLabel = ({ name, address }: NameServer): string =>
  name === address ? address : `${name} (${address})`

/** Whether packets to this address have anywhere to go; asks the routing table, sends nothing. */
const hasRoute = (address: string, port: number): Promise<boolean> =>
  new Promise(resolve => {
    const socket = createSocket('udp6')
    const done = (routed: boolean) => (): void => {
      socket.removeAllListeners()
      socket.on('error', () => {})
      socket.close()
      resolve(routed)
    }
    socket.once('error', done(false))
    socket.once('connect', done(true))
    socket.connect(port, address)
  })

async function reachable(servers: readonly NameServer[], run: Run): Promise<readonly NameServer[]> {
  const routed = await Promise.all(
    servers.map(({ address, port }) => (isIP(address) === 6 ? hasRoute(address, port) : true)),
  )
  for (const server of servers.filter((_, at) => !routed[at]))
    run.log.info({ server: serverLabel(server) }, 'dns: no route to this IPv6 address; it is not asked')
  return servers.filter((_, at) => routed[at])
}

type Served = Pick<Location, 'zone' | 'nameServers' | 'delegation' | 'servers'>

/**
 * A zone with the servers that its NS records name, and those above it: a CA may ask any of them. Their addresses only
 * where they are asked themselves.
 */
async function served(
  zone: string,
  nameServers: readonly string[],
  lookup: Lookup,
  access: DnsAccess,
): Promise<Served> {
  const { propagation, run } = access
  if (propagation.check !== 'authoritative') return { zone, nameServers, delegation: [], servers: [] }
  const { port } = propagation
  const delegation = await delegationOf(zone, lookup, access)
  const all = await Promise.all(
    [...new Set([...nameServers, ...delegation])].map(async name => {
      const addresses = await addressesOf(name, lookup)
      if (addresses.length === 0)
        run.log.warn({ zone, server: name }, 'dns: a name server of the zone has no address')
      return addresses.map(address => ({ name, address, port }))
    }),
  )
  if (all.flat().length > SERVERS_AT_MOST)
    throw new RotationError(
      'unavailable',
      `DNS: the name servers of ${zone} have ${all.flat().length} addresses, more than ${SERVERS_AT_MOST}`,
      { hint: `Check the NS records of ${zone} and the addresses of the servers. ${CHOOSE_RESOLVER}` },
    )
  const servers = await reachable(all.flat(), run)
  if (servers.length > 0) return { zone, nameServers, delegation, servers }
  throw new RotationError('unavailable', `DNS: no name server of the zone ${zone} can be reached`, {
    hint: `Its name servers are ${nameServers.join(', ') || 'not known'}. ${CHOOSE_RESOLVER}`,
  })
}

interface Silence {
  readonly server: string
  readonly why: string
  /** It is there, and says that it does not serve the zone, or speaks without authority for it. */
  readonly isLame: boolean
}

/** What one server says of an alias, if it is an authority. */
async function aliasBy(
  server: NameServer,
  name: string,
  zone: string | null,
  run: Run,
): Promise<Resolved<string> | Silence> {
  const { resolved, message, referral } = await askServer(server, name, 'CNAME', run)
  const label = serverLabel(server)
  if (resolved.kind === 'failed')
    return { server: label, why: resolved.why, isLame: resolved.why === 'REFUSED' }
  // A referral to the servers of the name itself comes from the authority above it.
  if (zone === null || message?.isAuthoritative || referral.length > 0) return resolved
  return { server: label, why: 'it is no authority for the zone', isLame: true }
}

const silent = (name: string, zone: string | null, failures: readonly Silence[]): RotationError => {
  const list = failures.map(({ server, why }) => `${server}: ${why}`).join('; ')
  if (zone === null || failures.some(({ isLame }) => !isLame))
    return new RotationError('unavailable', `DNS: no server answers for ${name} (${list})`, {
      hint: 'Check the zone at its DNS service and the delegation to it, or set propagation.nameservers.',
    })
  const message = `DNS: the NS records of ${zone} name servers that do not serve it (${list})`
  return new RotationError('delegation-mismatch', message, {
    retry: 'never',
    hint: `Where ${zone} is registered, or in the zone above it, name the servers of the DNS service that holds it.`,
  })
}

/** The alias at a name, from whichever authority answers first. */
async function aliasAt(
  name: string,
  servers: readonly NameServer[],
  zone: string | null,
  run: Run,
): Promise<Resolved<string>> {
  const failures: Silence[] = []
  const asked = servers.map(async server => {
    const found = await aliasBy(server, name, zone, run)
    if ('kind' in found) return found
    failures.push(found)
    throw new Error(found.why)
  })
  try {
    return await Promise.any(asked)
  } catch (thrown) {
    const own = ((thrown as AggregateError).errors as unknown[]).find(it => it instanceof RotationError)
    if (own) throw own
    throw silent(name, zone, failures)
  }
}

interface Found extends Served {
  readonly alias: string | null
}

/** The servers of the settings, with their addresses. */
async function configuredServers({ nameservers, port }: PropagationSettings): Promise<readonly NameServer[]> {
  const found = await Promise.all(
    nameservers.map(async name => (await serverAddresses(name, port)).map(at => ({ name, ...at }))),
  )
  return found.flat()
}

async function lookAt(name: string, lookup: Lookup, access: DnsAccess): Promise<Found> {
  const { run, propagation } = access
  const configured = await configuredServers(propagation)
  const zone = configured.length > 0 ? null : await zoneAbove(name, lookup)
  const nameServers = zone === null ? [] : recordsIn(await lookup('NS', zone), `NS of ${zone}`)
  const here: Served =
    zone === null
      ? { zone, nameServers, delegation: [], servers: configured }
      : await served(zone, nameServers, lookup, access)
  const isDirect = here.servers.length > 0
  const resolved = isDirect ? await aliasAt(name, here.servers, zone, run) : await lookup('CNAME', name)
  const [alias] = recordsIn(resolved, `CNAME of ${name}`)
  if (alias !== undefined) return { ...here, alias }
  // The name may itself be delegated. Its authority says that it exists, so that no resolver can come to
  // remember the opposite for it; a missing NS is remembered for NS alone (RFC 2308 section 5).
  if (zone === null || resolved.kind !== 'nothing' || !resolved.exists) return { ...here, alias: null }
  const delegated = await lookup('NS', name)
  if (delegated.kind === 'failed' && delegated.broken) throw delegated.broken
  if (delegated.kind !== 'records') return { ...here, alias: null }
  return { ...(await served(name, delegated.records, lookup, access)), alias: null }
}

async function follow(fqdn: string, lookup: Lookup, access: DnsAccess): Promise<Location> {
  const aliases: string[] = []
  let name = bareName(fqdn)
  while (!aliases.includes(name) && aliases.length <= MAX_ALIASES) {
    const { alias, ...found } = await lookAt(name, lookup, access)
    if (alias === null) return { name, aliases, ...found }
    aliases.push(name)
    name = alias
  }
  const what = aliases.includes(name)
    ? 'the CNAME records form a loop'
    : `more than ${MAX_ALIASES} CNAME records`
  throw new RotationError('unavailable', `DNS: ${what}: ${[...aliases, name].join(' -> ')}`, {
    hint: 'Point the CNAME record of the _acme-challenge name straight at the name that holds the TXT record.',
  })
}

/**
 * Follows the aliases of a name (RFC 1034 section 3.6.2) and finds the servers of the zone it ends in. Where
 * authoritative servers are asked, the name itself is asked only of them: a resolver would remember that it is not
 * there yet. Where the word of the service is enough, a DNS that cannot be asked stops nothing.
 * @throws RotationError `unavailable`: loop, more than ten aliases, no zone, no server that answers;
 *   `delegation-mismatch`: no server of the zone is an authority for it; `dnssec-broken`
 */
export async function locate(fqdn: string, access: DnsAccess): Promise<Location> {
  const { propagation, run } = access
  checkName(fqdn, 'DNS')
  try {
    return await follow(fqdn, await openLookup(access), access)
  } catch (thrown) {
    const { code, message } = asRotationError(thrown)
    const isDeaf = code === 'unavailable' || code === 'unreachable'
    if (propagation.check !== 'provider' || !isDeaf || run.signal.aborted) throw thrown
    run.log.warn({ fqdn }, `dns: aliases of the name are not known, it is taken as it is: ${message}`)
    return { name: bareName(fqdn), aliases: [], zone: null, nameServers: [], delegation: [], servers: [] }
  }
}

/** The wildcard record that gives the name that was asked for its alias; null when it has one of its own. */
export async function wildcardOver({ aliases, name }: Location, access: DnsAccess): Promise<string | null> {
  const [asked = '', target = name] = aliases
  const lookup = await openLookup(access)
  const parents: string[] = []
  for (let above = parentOf(asked); above.includes('.'); above = parentOf(above)) parents.push(above)
  const found = await Promise.all(
    parents.map(async above => ({ wildcard: `*.${above}`, alias: await lookup('CNAME', `*.${above}`) })),
  )
  // The wildcard of a parent answers for those below it, too.
  const swallowing = found.findLast(({ alias }) => alias.kind === 'records' && alias.records.includes(target))
  return swallowing?.wildcard ?? null
}
