import { getServers, type Resolver } from 'node:dns/promises'
import { RotationError } from '../../base/rotation-error.ts'
import type { DriverContext, PropagationSettings, Run } from '../../contracts.ts'
import type { Answers, CaaRecord, RecordType } from './answer.ts'
import { askServer } from './direct.ts'
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

type Address = Awaited<ReturnType<typeof serverAddresses>>[number]

const names = (found: readonly string[]): readonly string[] => found.map(bareName)

type AskedOfNode = Exclude<RecordType, 'CAA'>

const QUESTIONS: {
  readonly [T in AskedOfNode]: (resolver: Resolver, name: string) => Promise<readonly Answers[T][]>
} = {
  A: (resolver, name) => resolver.resolve4(name),
  AAAA: (resolver, name) => resolver.resolve6(name),
  CNAME: async (resolver, name) => names(await resolver.resolveCname(name)),
  NS: async (resolver, name) => names(await resolver.resolveNs(name)),
  SOA: async (resolver, name) => [bareName((await resolver.resolveSoa(name)).nsname)],
  TXT: async (resolver, name) => (await resolver.resolveTxt(name)).map(strings => strings.join('')),
}

/** Node's own reader stumbles over values that CAA may have, e.g. an empty one. */
const caaOverPort53 =
  (servers: readonly Address[], run: Run) =>
  async (name: string): Promise<Said<CaaRecord>> => {
    const failures: string[] = []
    for (const { address, port } of servers) {
      const { said } = await askServer({ address, port }, name, 'CAA', run, true)
      if (said.kind !== 'failed') return said
      failures.push(said.why)
    }
    return { kind: 'failed', why: [...new Set(failures)].join(', ') || 'there is no resolver' }
  }

const overPort53 = async (servers: readonly string[], run: Run): Promise<Lookup> => {
  const addressesOf = async (of: readonly string[]): Promise<readonly Address[]> =>
    (await Promise.all(of.map(server => serverAddresses(server, DNS_PORT)))).flat()
  const given = await addressesOf(servers)
  const texts = given.length === 0 ? null : given.map(({ address, port }) => serverText(address, port))
  const caa = caaOverPort53(given.length === 0 ? await addressesOf(getServers()) : given, run)
  const others = <T extends AskedOfNode>(type: T, name: string): Promise<Said<Answers[T]>> =>
    ask(texts, resolver => QUESTIONS[type](resolver, name), run)
  return ((type: RecordType, name: string) => (type === 'CAA' ? caa(name) : others(type, name))) as Lookup
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

export const CHOOSE_RESOLVER =
  'Set propagation.resolvers to a resolver that answers, or propagation.nameservers to ask directly.'

/** The records, none for nothing. @throws RotationError `unavailable` */
export const given = <T>(said: Said<T>, what: string): readonly T[] => {
  if (said.kind === 'records') return said.records
  if (said.kind === 'nothing') return []
  throw new RotationError('unavailable', `DNS resolver, ${what}: ${said.why}`, { hint: CHOOSE_RESOLVER })
}
