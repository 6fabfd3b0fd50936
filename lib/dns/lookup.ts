import type { CaaRecord as NodeCaaRecord } from 'node:dns'
import type { Resolver } from 'node:dns/promises'
import { RotationError } from '../base/errors.ts'
import type { DriverContext, PropagationSettings, Run } from '../contracts.ts'
import type { Answers, CaaRecord, RecordType } from './answer.ts'
import { askHttps } from './https.ts'
import { ask, bareName, isUrl, type Said, serverAddresses, serverText } from './question.ts'

/** What DNS is asked with. */
export interface DnsAccess {
  readonly propagation: PropagationSettings
  readonly http: DriverContext['http']
  readonly run: Run
}

/** Asks resolvers, one after another until one does not fail. They may remember earlier answers. */
export type Lookup = <T extends RecordType>(type: T, name: string) => Promise<Said<Answers[T]>>

const DNS_PORT = 53

/** Node gives flags and the one property by its tag. */
const caaOf = ({ critical, ...property }: NodeCaaRecord): CaaRecord => {
  const [tag = '', value = ''] = Object.entries(property)[0] ?? []
  return { flags: Number(critical), tag: tag.toLowerCase(), value: String(value) }
}

const names = (found: readonly string[]): readonly string[] => found.map(bareName)

const QUESTIONS: {
  readonly [T in RecordType]: (resolver: Resolver, name: string) => Promise<readonly Answers[T][]>
} = {
  A: (resolver, name) => resolver.resolve4(name),
  AAAA: (resolver, name) => resolver.resolve6(name),
  CAA: async (resolver, name) => (await resolver.resolveCaa(name)).map(caaOf),
  CNAME: async (resolver, name) => names(await resolver.resolveCname(name)),
  NS: async (resolver, name) => names(await resolver.resolveNs(name)),
  SOA: async (resolver, name) => [bareName((await resolver.resolveSoa(name)).nsname)],
  TXT: async (resolver, name) => (await resolver.resolveTxt(name)).map(strings => strings.join('')),
}

const overPort53 = async (servers: readonly string[], run: Run): Promise<Lookup> => {
  const found = await Promise.all(servers.map(server => serverAddresses(server, DNS_PORT)))
  const addresses = found.flat().map(({ address, port }) => serverText(address, port))
  return (type, name) =>
    ask(addresses.length === 0 ? null : addresses, resolver => QUESTIONS[type](resolver, name), run)
}

const overHttps =
  ({ propagation, http, run }: DnsAccess): Lookup =>
  async (type, name) => {
    const failures: string[] = []
    for (const url of propagation.resolvers) {
      const said = await askHttps(http(propagation.caCertificates), url, name, type, run)
      if (said.kind !== 'failed') return said
      failures.push(`${url}: ${said.why}`)
    }
    return { kind: 'failed', why: failures.join('; ') }
  }

/** The resolvers of the settings, or the system's. @throws RotationError `unreachable`: one of them has no address */
export function openLookup(access: DnsAccess): Promise<Lookup> {
  const { resolvers } = access.propagation
  return resolvers.some(isUrl) ? Promise.resolve(overHttps(access)) : overPort53(resolvers, access.run)
}

/** As `openLookup`, but where the settings name only authoritative servers, these. */
export function openPublicLookup(access: DnsAccess): Promise<Lookup> {
  const { resolvers, nameservers } = access.propagation
  return resolvers.length === 0 && nameservers.length > 0
    ? overPort53(nameservers, access.run)
    : openLookup(access)
}

const HINT =
  'Set propagation.resolvers to a resolver that answers, or propagation.nameservers to ask directly.'

/** The records, none for nothing. @throws RotationError `unavailable` */
export const given = <T>(said: Said<T>, what: string): readonly T[] => {
  if (said.kind === 'records') return said.records
  if (said.kind === 'nothing') return []
  throw new RotationError('unavailable', `DNS resolver, ${what}: ${said.why}`, { hint: HINT })
}
