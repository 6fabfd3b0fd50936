import { asRotationError } from '../base/errors.ts'
import type { DnsSolver, Run } from '../contracts.ts'
import { awaitPropagation, effectiveName } from '../dns/propagation.ts'

/** One TXT value that answers a dns-01 challenge. */
export interface TxtValue {
  /** Where it is written, after CNAME delegation: absolute, with its final dot. */
  readonly fqdn: string
  readonly value: string
  /** The name it validates, without `*.`; tells which solver writes it. */
  readonly domain: string
}

export type Propagated = Awaited<ReturnType<typeof awaitPropagation>>

/** DNS-01 (RFC 8555 section 8.4) for the names of one order, in one run. */
export interface Dns01 {
  /**
   * Proves that each name's TXT record can be written, before an order is placed; once in a run. Changes nothing.
   * @throws RotationError of the solver
   */
  prepare(names: readonly string[]): Promise<void>
  /** Where the values go; the same value on the same name once. */
  locate(values: readonly Omit<TxtValue, 'fqdn'>[]): Promise<readonly TxtValue[]>
  /** Writes the values, one after another. @throws RotationError of the solver */
  present(values: readonly TxtValue[]): Promise<void>
  /** Waits until every authoritative server has every value. @throws RotationError `propagation-timeout` */
  propagated(values: readonly TxtValue[]): Promise<Propagated>
  /** Removes exactly these values; returns those that could not be removed. Never throws. */
  remove(values: readonly TxtValue[]): Promise<readonly TxtValue[]>
}

const baseOf = (name: string): string => name.replace(/^\*\./, '').toLowerCase()

/** Drops repeated values of a name. */
export function distinct(values: readonly TxtValue[]): readonly TxtValue[] {
  const seen = new Map(values.map(txt => [`${txt.fqdn} ${txt.value}`, txt]))
  return [...seen.values()]
}

type SolverFor = (domain: string) => DnsSolver

/** Where the TXT record of a domain is written, asked once in a run. */
const createLocator = (solverFor: SolverFor, run: Run) => {
  const known = new Map<string, string>()
  return async (domain: string): Promise<string> => {
    const { propagation } = solverFor(domain)
    const fqdn = known.get(domain) ?? (await effectiveName(`_acme-challenge.${domain}.`, propagation, run))
    known.set(domain, fqdn)
    return fqdn
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

/** `solverFor` gives the solver of a domain name. */
export function createDns01(solverFor: SolverFor, run: Run): Dns01 {
  const fqdnOf = createLocator(solverFor, run)
  const prepared = new Set<string>()
  return {
    prepare: async names => {
      for (const domain of new Set(names.map(baseOf))) {
        if (prepared.has(domain)) continue
        await solverFor(domain).prepare(await fqdnOf(domain), run)
        prepared.add(domain)
      }
    },
    locate: async values => {
      const located: TxtValue[] = []
      for (const { domain, value } of values)
        located.push({ fqdn: await fqdnOf(baseOf(domain)), value, domain: baseOf(domain) })
      return distinct(located)
    },
    present: async values => {
      for (const { fqdn, value, domain } of values) {
        run.log.info({ fqdn, domain }, 'writing the TXT value of a challenge')
        await solverFor(domain).present(fqdn, value, run)
      }
    },
    propagated: async values => {
      for (const [solver, group] of bySolver(values, solverFor)) {
        const outcome = await awaitPropagation(group, solver.propagation, run)
        if (outcome.kind === 'suspended') return outcome
      }
      return { kind: 'seen' }
    },
    remove: values => removeEach(values, solverFor, run),
  }
}
