import { createSocket } from 'node:dgram'
import { isIP } from 'node:net'
import { RotationError } from '../base/errors.ts'
import type { PropagationSettings, Run } from '../contracts.ts'
import { ask, bareName, checkName, type Said, serverAddresses, serverText } from './question.ts'

/** One address of an authoritative server. */
export interface NameServer {
  readonly name: string
  readonly address: string
  readonly port: number
}

/** Where a name's records stand after its aliases were followed. Names are lower case without the final dot. */
export interface Location {
  readonly name: string
  /** Null when the servers were given by the settings. */
  readonly zone: string | null
  readonly servers: readonly NameServer[]
}

const DNS_PORT = 53
const MAX_ALIASES = 10
const HINT =
  'Set propagation.resolvers to a resolver that answers, or propagation.nameservers to ask directly.'

/** `ns1.example.com (192.0.2.1)`. */
export const serverLabel = ({ name, address }: NameServer): string =>
  name === address ? address : `${name} (${address})`

const parentOf = (name: string): string => name.split('.').slice(1).join('.')

const resolversOf = async ({ resolvers }: PropagationSettings): Promise<readonly string[] | null> => {
  if (resolvers.length === 0) return null
  const found = await Promise.all(resolvers.map(server => serverAddresses(server, DNS_PORT)))
  return found.flat().map(({ address, port }) => serverText(address, port))
}

const given = <T>(said: Said<T>, what: string): readonly T[] => {
  if (said.kind === 'records') return said.records
  if (said.kind === 'nothing') return []
  throw new RotationError('unavailable', `DNS resolver, ${what}: ${said.why}`, { hint: HINT })
}

/** The nearest zone above a name: the first ancestor with an SOA that is not an alias's (RFC 1034 section 4.2). */
async function zoneAbove(name: string, resolvers: readonly string[] | null, run: Run): Promise<string> {
  for (let zone = parentOf(name); zone !== ''; zone = parentOf(zone)) {
    const soa = await ask(resolvers, async resolver => [await resolver.resolveSoa(zone)], run)
    if (given(soa, `SOA of ${zone}`).length === 0) continue
    // A resolver follows an alias and shows the SOA of where it leads.
    const alias = await ask(resolvers, resolver => resolver.resolveCname(zone), run)
    if (given(alias, `CNAME of ${zone}`).length === 0) return zone
  }
  throw new RotationError('unavailable', `DNS resolver: no zone is found above ${name}`, {
    hint: `Check that the domain is registered and delegated. ${HINT}`,
  })
}

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

async function serversOf(
  zone: string,
  resolvers: readonly string[] | null,
  settings: PropagationSettings,
  run: Run,
): Promise<readonly NameServer[]> {
  const names = given(await ask(resolvers, resolver => resolver.resolveNs(zone), run), `NS of ${zone}`)
  const addressesOf = async (name: string): Promise<readonly NameServer[]> => {
    const answers = await Promise.all([
      ask(resolvers, resolver => resolver.resolve4(name), run),
      ask(resolvers, resolver => resolver.resolve6(name), run),
    ])
    const addresses = answers.flatMap(said => (said.kind === 'records' ? said.records : []))
    if (addresses.length === 0) {
      const why = answers.map(said => (said.kind === 'failed' ? said.why : 'no address'))[0]
      run.log.warn({ zone, server: name, why }, 'dns: a name server of the zone has no address')
    }
    return addresses.map(address => ({ name: bareName(name), address, port: settings.port }))
  }
  const all = (await Promise.all(names.map(addressesOf))).flat()
  const servers = await reachable(all, run)
  if (servers.length > 0) return servers
  throw new RotationError('unavailable', `DNS: no name server of the zone ${zone} can be reached`, {
    hint: `Its name servers are ${names.join(', ') || 'not known'}. ${HINT}`,
  })
}

/** The alias at a name, from whichever server answers first. */
async function aliasAt(name: string, servers: readonly NameServer[], run: Run): Promise<Said<string>> {
  const failures: string[] = []
  const asked = servers.map(async server => {
    const to = [serverText(server.address, server.port)]
    const said = await ask(to, resolver => resolver.resolveCname(name), run)
    if (said.kind !== 'failed') return said
    failures.push(`${serverLabel(server)}: ${said.why}`)
    throw new Error(said.why)
  })
  try {
    return await Promise.any(asked)
  } catch (thrown) {
    const errors = (thrown as AggregateError).errors as unknown[]
    const own = errors.find(error => error instanceof RotationError)
    if (own) throw own
    throw new RotationError('unavailable', `DNS: no server answers for ${name} (${failures.join('; ')})`, {
      hint: 'Check the zone at its DNS service and the delegation to it, or set propagation.nameservers.',
    })
  }
}

interface Found extends Location {
  readonly alias: string | null
}

async function lookAt(
  name: string,
  resolvers: readonly string[] | null,
  configured: readonly NameServer[],
  settings: PropagationSettings,
  run: Run,
): Promise<Found> {
  const zone = configured.length > 0 ? null : await zoneAbove(name, resolvers, run)
  const servers = zone === null ? configured : await serversOf(zone, resolvers, settings, run)
  const said = await aliasAt(name, servers, run)
  if (said.kind === 'records') return { name, zone, servers, alias: bareName(said.records[0] ?? '') }
  // The name may itself be delegated. Its authority says that it exists, so that no resolver can come to
  // remember the opposite for it; a missing NS is remembered for NS alone (RFC 2308 section 5).
  if (zone === null || said.kind !== 'nothing' || !said.exists) return { name, zone, servers, alias: null }
  const delegated = await ask(resolvers, resolver => resolver.resolveNs(name), run)
  if (delegated.kind !== 'records') return { name, zone, servers, alias: null }
  return { name, zone: name, servers: await serversOf(name, resolvers, settings, run), alias: null }
}

/**
 * Follows the aliases of a name (RFC 1034 section 3.6.2) and finds the servers of the zone it ends in. The name
 * itself is asked only of authoritative servers: a resolver would remember that it is not there yet.
 * @throws RotationError `unavailable`: loop, more than ten aliases, no zone, no server that answers
 */
export async function locate(fqdn: string, settings: PropagationSettings, run: Run): Promise<Location> {
  checkName(fqdn, 'DNS')
  const resolvers = await resolversOf(settings)
  const configured: NameServer[] = []
  for (const name of settings.nameservers)
    for (const at of await serverAddresses(name, settings.port)) configured.push({ name, ...at })
  const seen: string[] = []
  let name = bareName(fqdn)
  while (!seen.includes(name) && seen.length <= MAX_ALIASES) {
    seen.push(name)
    const { alias, ...found } = await lookAt(name, resolvers, configured, settings, run)
    if (alias === null) return found
    name = alias
  }
  const what = seen.includes(name)
    ? 'the CNAME records form a loop'
    : `more than ${MAX_ALIASES} CNAME records`
  throw new RotationError('unavailable', `DNS: ${what}: ${[...seen, name].join(' -> ')}`, {
    hint: 'Point the CNAME record of the _acme-challenge name straight at the name that holds the TXT record.',
  })
}
