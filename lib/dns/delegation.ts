import { RotationError } from '../base/rotation-error.ts'
import { iso } from '../base/time.ts'
import type { SolverZone } from '../contracts.ts'
import { type Location, type NameServer, wildcardOver } from './locate.ts'
import { bareName } from './name.ts'
import { askServer } from './resolve/ask-server.ts'
import { type DnsAccess, openLookup } from './resolve/lookup.ts'
import type { Resolved, Signature } from './resolve/response.ts'
import { addressesOf } from './zone-cut.ts'

/** Whether what a solver writes would be seen where DNS leads. */

/** Of those that a service names: each is looked up. */
const SERVERS_AT_MOST = 32

const isBelow = (name: string, zone: string): boolean => name.endsWith(`.${zone}`)

const mismatch = (message: string, hint: string, cause?: unknown): RotationError =>
  new RotationError('delegation-mismatch', message, { cause, retry: 'never', hint })

/** The names to which resolvers are sent: those above the zone, as far as they are known. */
const delegatedTo = ({ delegation, nameServers }: Location): readonly string[] =>
  delegation.length > 0 ? delegation : nameServers

/** What the servers of the delegation take for the primary one; the resolver's word where they are not known. */
async function primariesOf(location: Location, access: DnsAccess): Promise<readonly Resolved<string>[]> {
  const { zone, servers, delegation } = location
  if (delegation.length === 0) return [await (await openLookup(access))('SOA', zone ?? '')]
  const above = servers.filter(({ name }) => delegation.includes(name))
  return Promise.all(above.map(async it => (await askServer(it, zone ?? '', 'SOA', access.run)).resolved))
}

/** Names may differ for the same service: somebody gave its servers names of his own, or others copy the zone from it. */
async function isServedBy(
  theirs: readonly string[],
  location: Location,
  access: DnsAccess,
): Promise<boolean> {
  const lookup = await openLookup(access)
  const all = async (names: readonly string[]) =>
    (await Promise.all(names.map(name => addressesOf(name, lookup)))).flat()
  const [own, delegated, primaries] = await Promise.all([
    all(theirs),
    all(delegatedTo(location)),
    primariesOf(location, access),
  ])
  const isTheirs = (primary: Resolved<string>): boolean =>
    primary.kind === 'records' && primary.records.some(it => theirs.includes(it))
  // What has no address that can be found says nothing.
  return primaries.some(isTheirs) || own.length === 0 || delegated.some(address => own.includes(address))
}

/**
 * Makes sure that DNS leads to the zone that the solver writes to: it is the zone of the name, and one of its name
 * servers at least is in the delegation. Where the servers are given by the settings, or the service does not tell
 * its zone, nothing is compared. @throws RotationError `delegation-mismatch`
 */
export async function requireSameZone(
  location: Location,
  written: SolverZone | null,
  access: DnsAccess,
): Promise<void> {
  const { name, zone, nameServers } = location
  const delegated = delegatedTo(location)
  if (zone === null || written === null) return
  const own = bareName(written.name)
  if (isBelow(zone, own))
    throw mismatch(
      `DNS: ${name} is in the zone ${zone} (NS ${nameServers.join(', ')}), but the solver writes to ${own}`,
      `Let a solver write to ${zone}, remove the NS records of ${zone} from ${own}, or delegate the name by a CNAME record.`,
    )
  if (isBelow(own, zone))
    throw mismatch(
      `DNS: the solver writes to the zone ${own}, which no NS record in ${zone} delegates to`,
      `Add the NS records of ${own} to ${zone}, or remove the zone ${own} where nobody asks it.`,
    )
  const theirs = written.nameServers.slice(0, SERVERS_AT_MOST).map(bareName)
  if (theirs.length === 0 || theirs.some(server => delegated.includes(server))) return
  if (await isServedBy(theirs, location, access)) return
  throw mismatch(
    `DNS: ${zone} is delegated to ${delegated.join(', ')}, but the solver writes to ${theirs.join(', ')}`,
    `Where ${zone} is registered, name the servers of the DNS service, or let a solver write where they are. Servers that copy the zone from it belong into propagation.nameservers.`,
  )
}

/**
 * The error of a solver that holds no zone for a name, told from the side of DNS: an alias, maybe a wildcard's, has
 * led there. Without an alias it is the solver's own.
 */
export async function zoneError(error: unknown, location: Location, access: DnsAccess): Promise<unknown> {
  const [asked] = location.aliases
  const isMissing = error instanceof RotationError && error.code === 'solver-zone-missing'
  if (!isMissing || asked === undefined) return error
  const wildcard = await wildcardOver(location, access)
  const { name } = location
  if (wildcard === null)
    return mismatch(
      `DNS: ${asked} is an alias (CNAME) of ${name}, where the solver cannot write: ${error.message}`,
      `Point the CNAME record of ${asked} to a name in a zone of the solver, or remove it.`,
      error,
    )
  return mismatch(
    `DNS: the wildcard ${wildcard} answers for ${asked} with an alias (CNAME) of ${name}, where the solver cannot write: ${error.message}`,
    `Give ${asked} a record of its own, which no wildcard answers for: a TXT record with any text, or a CNAME record to a zone of the solver.`,
    error,
  )
}

const signaturesIn = (resolved: Resolved<unknown>): readonly Signature[] =>
  resolved.kind === 'failed' ? [] : (resolved.signatures ?? [])

/**
 * The servers in the delegation that do not serve the zone, or not as signed as the others, each with what it says.
 * Waits for all of them.
 */
export async function lameServers(
  { zone, servers }: Location,
  { run }: DnsAccess,
): Promise<readonly { readonly server: NameServer; readonly why: string }[]> {
  if (zone === null) return []
  const asked = await Promise.all(
    servers.map(async server => ({
      server,
      ...(await askServer(server, zone, 'SOA', run, { signatures: true })),
    })),
  )
  const now = run.clock.now()
  const isSigned = asked.some(({ resolved }) => signaturesIn(resolved).length > 0)
  return asked.flatMap(({ server, resolved, message }) => {
    if (resolved.kind === 'failed') return [{ server, why: resolved.why }]
    if (!message?.isAuthoritative) return [{ server, why: 'it is no authority for the zone' }]
    const signatures = signaturesIn(resolved)
    if (isSigned && signatures.length === 0)
      return [{ server, why: 'it gives no DNSSEC signatures, unlike others' }]
    const ended = signatures.find(({ endsAt }) => endsAt <= now)
    return ended ? [{ server, why: `its DNSSEC signatures ended at ${iso(ended.endsAt)}` }] : []
  })
}
