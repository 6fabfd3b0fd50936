import { RotationError } from '../base/rotation-error.ts'
import { askServer } from './resolve/ask-server.ts'
import type { Lookup } from './resolve/asking.ts'
import { CHOOSE_RESOLVER, type DnsAccess, recordsIn } from './resolve/lookup.ts'

/** What stands above a name: its zone, and the servers to which the zone above that one refers. */

export const parentOf = (name: string): string => name.split('.').slice(1).join('.')

/** The nearest zone above a name: the first ancestor with an SOA that is not an alias's (RFC 1034 section 4.2). */
export async function zoneAbove(name: string, lookup: Lookup): Promise<string> {
  for (let zone = parentOf(name); zone !== ''; zone = parentOf(zone)) {
    if (recordsIn(await lookup('SOA', zone), `SOA of ${zone}`).length === 0) continue
    // A resolver follows an alias and shows the SOA of where it leads.
    if (recordsIn(await lookup('CNAME', zone), `CNAME of ${zone}`).length === 0) return zone
  }
  throw new RotationError('unavailable', `DNS resolver: no zone is found above ${name}`, {
    hint: `Check that the domain is registered and delegated. ${CHOOSE_RESOLVER}`,
  })
}

/** Every address of a name, of both kinds; what cannot be found out counts as none. */
export async function addressesOf(name: string, lookup: Lookup): Promise<readonly string[]> {
  const answers = await Promise.all([lookup('A', name), lookup('AAAA', name)])
  return answers.flatMap(it => (it.kind === 'records' ? it.records : []))
}

/** Top-level domains have up to thirteen. */
const PARENTS_AT_MOST = 3

/**
 * The servers that the zone above names for a zone (RFC 1034 section 4.2.2), in its own words: a resolver may tell
 * those that the zone itself names. Empty when they are the same servers, or none of them answers.
 */
export async function delegationOf(
  zone: string,
  lookup: Lookup,
  { propagation, run }: DnsAccess,
): Promise<readonly string[]> {
  try {
    const parent = await zoneAbove(zone, lookup)
    const nameServers = recordsIn(await lookup('NS', parent), `NS of ${parent}`)
    for (const name of nameServers.slice(0, PARENTS_AT_MOST)) {
      const [address] = await addressesOf(name, lookup)
      if (address === undefined) continue
      const { resolved, referral } = await askServer({ address, port: propagation.port }, zone, 'NS', run)
      if (resolved.kind !== 'failed') return referral
    }
  } catch (thrown) {
    if (!(thrown instanceof RotationError) || run.signal.aborted) throw thrown
    run.log.debug({ zone }, `dns: the zone above cannot be asked: ${thrown.message}`)
  }
  return []
}
