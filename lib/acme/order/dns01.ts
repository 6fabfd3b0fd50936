import { asRotationError } from '../../base/rotation-error.ts'
import type { DnsSolver, DriverContext, Run } from '../../contracts.ts'
import { type Issuer, requireCaa } from '../../dns/caa.ts'
import { requireSameZone, zoneError } from '../../dns/delegation.ts'
import { type Location, locate } from '../../dns/locate.ts'
import { awaitPropagation, type Propagated } from '../../dns/propagation.ts'
import type { DnsAccess } from '../../dns/resolve/lookup.ts'
import { endsTooSoon, zoneSignatures } from '../../dns/signatures.ts'

/** One TXT value that answers a dns-01 challenge. */
export interface TxtValue {
  /** Where it is written, after CNAME delegation: absolute, with its final dot. */
  readonly fqdn: string
  readonly value: string
  /** The name it validates, without `*.`; tells which solver writes it. */
  readonly domain: string
}

const baseOf = (name: string): string => name.replace(/^\*\./, '').toLowerCase()

/** Drops repeated values of a name. */
export function distinct(values: readonly TxtValue[]): readonly TxtValue[] {
  const seen = new Map(values.map(txt => [`${txt.fqdn} ${txt.value}`, txt]))
  return [...seen.values()]
}

type SolverFor = (domain: string) => DnsSolver

/** Where the TXT record of a domain is written, asked once in a run. */
const createLocator = (accessFor: (domain: string) => DnsAccess) => {
  const known = new Map<string, Location>()
  return async (domain: string): Promise<Location> => {
    const location = known.get(domain) ?? (await locate(`_acme-challenge.${domain}.`, accessFor(domain)))
    known.set(domain, location)
    return location
  }
}

const bySolver = (
  values: readonly TxtValue[],
  solverFor: SolverFor,
): ReadonlyMap<DnsSolver, readonly TxtValue[]> => {
  const groups = new Map<DnsSolver, TxtValue[]>()
  for (const txt of values) {
    const solver = solverFor(txt.domain)
    groups.set(solver, [...(groups.get(solver) ?? []), txt])
  }
  return groups
}

const removeEach = async (values: readonly TxtValue[], solverFor: SolverFor, run: Run) => {
  const left: TxtValue[] = []
  for (const txt of values) {
    try {
      await solverFor(txt.domain).cleanUp(txt.fqdn, txt.value, run)
    } catch (thrown) {
      const { code, message } = asRotationError(thrown)
      run.log.warn({ code, fqdn: txt.fqdn }, `a TXT value stays for now: ${message}`)
      left.push(txt)
    }
  }
  return left
}

/** Whether one domain's TXT record can be written where DNS leads, by the smallest call of its solver. */
async function requireZone(solver: DnsSolver, location: Location, access: DnsAccess): Promise<void> {
  const zone = await solver.prepare(`${location.name}.`, access.run).catch(async error => {
    throw await zoneError(error, location, access)
  })
  await requireSameZone(location, zone, access)
}

/** DNS-01 (RFC 8555 section 8.4) for the names of one order, in one run. */
export type Dns01 = ReturnType<typeof createDns01>

/**
 * `solverFor` gives the solver of a domain name, `http` the client for DNS over HTTPS. In the emergency a doubt is
 * passed over.
 */
export function createDns01(solverFor: SolverFor, http: DriverContext['http'], run: Run, emergency = false) {
  const accessFor = (domain: string): DnsAccess => {
    const { propagation } = solverFor(domain)
    return { propagation, http, run, emergency }
  }
  const locationOf = createLocator(accessFor)
  const prepared = new Set<string>()
  const requireWritable = async (domain: string, access: DnsAccess): Promise<void> => {
    if (prepared.has(domain)) return
    await requireZone(solverFor(domain), await locationOf(domain), access)
    prepared.add(domain)
  }
  return {
    /**
     * Proves what can be proved before an order is placed: each name's TXT record can be written where DNS leads, once
     * in a run, and CAA lets the issuer issue, as soon as it is known. Changes nothing.
     * @throws RotationError `caa-forbids`, `delegation-mismatch`, `dnssec-broken`, `unavailable`, those of the solver
     */
    prepare: async (names: readonly string[], issuer: Issuer | null): Promise<void> => {
      for (const domain of new Set(names.map(baseOf))) {
        const access = accessFor(domain)
        const wildcards = names.filter(name => baseOf(name) === domain).map(name => name.startsWith('*.'))
        // Both to their end, so that nothing is asked any more behind the back of what comes next.
        const outcomes = await Promise.allSettled([
          issuer && requireCaa({ domain, wildcards }, issuer, access),
          requireWritable(domain, access),
        ])
        for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
      }
    },
    /** What DNSSEC will keep from being validated at that instant, as far as it shows already. */
    outlook: async (names: readonly string[], until: number): Promise<readonly string[]> => {
      const said = new Set<string>()
      for (const domain of new Set(names.map(baseOf))) {
        try {
          const zones = await zoneSignatures(domain, await locationOf(domain), accessFor(domain))
          for (const zone of zones) said.add(endsTooSoon(zone, run.clock.now(), until) ?? '')
        } catch (thrown) {
          const { code, message } = asRotationError(thrown)
          if (run.signal.aborted) throw thrown
          if (code === 'dnssec-broken') said.add(message)
          run.log.debug({ domain, code }, `dns: the look ahead: ${message}`)
        }
      }
      return [...said].filter(text => text !== '')
    },
    /** Where the values go; the same value on the same name once. */
    locate: async (values: readonly Omit<TxtValue, 'fqdn'>[]): Promise<readonly TxtValue[]> => {
      const located: TxtValue[] = []
      for (const { domain, value } of values) {
        const { name } = await locationOf(baseOf(domain))
        located.push({ fqdn: `${name}.`, value, domain: baseOf(domain) })
      }
      return distinct(located)
    },
    /** Writes the values, one after another. @throws RotationError of the solver */
    present: async (values: readonly TxtValue[]): Promise<void> => {
      for (const { fqdn, value, domain } of values) {
        run.log.info({ fqdn, domain }, 'writing the TXT value of a challenge')
        await solverFor(domain).present(fqdn, value, run)
      }
    },
    /** Waits until every authoritative server has every value. @throws RotationError `propagation-timeout` */
    propagated: async (values: readonly TxtValue[]): Promise<Propagated> => {
      for (const [solver, group] of bySolver(values, solverFor)) {
        const outcome = await awaitPropagation(group, {
          propagation: solver.propagation,
          http,
          run,
          emergency,
        })
        if (outcome.kind === 'suspended') return outcome
      }
      return { kind: 'seen' }
    },
    /** Removes exactly these values; returns those that could not be removed. Never throws. */
    remove: (values: readonly TxtValue[]): Promise<readonly TxtValue[]> => removeEach(values, solverFor, run),
  }
}
