import { RotationError } from '../base/rotation-error.ts'
import { formatDuration, HOUR_MS, SECOND_MS } from '../base/time.ts'
import type { Run } from '../contracts.ts'
import { pause } from '../http/repeat.ts'
import { type Location, locate, serverLabel } from './locate.ts'
import { bareName } from './name.ts'
import { askHttps } from './resolve/ask-https.ts'
import { askResolvers, QUESTION_MS } from './resolve/ask-server.ts'
import type { DnsAccess } from './resolve/lookup.ts'
import type { Resolved } from './resolve/response.ts'

/** A TXT value that was written; `fqdn` with or without the final dot. */
export interface TxtRecord {
  readonly fqdn: string
  readonly value: string
}

/** Seen by all that are asked, or worth another look at `until`. */
export type Propagated =
  | { readonly kind: 'seen' }
  | { readonly kind: 'suspended'; readonly until: number; readonly why: string }

/** Who is asked for the values of a name: an authoritative address, or a resolver over HTTPS. */
interface Server {
  readonly label: string
  /** It may repeat what it said before. */
  readonly remembers: boolean
  ask(name: string): Promise<Resolved<string>>
}

/** What one of them has said so far about one name. */
interface Progress {
  readonly name: string
  readonly values: readonly string[]
  readonly server: Server
  seen: boolean
  /** It gave an answer at least once, though maybe not the wanted one. */
  answered: boolean
  failures: number
  said: string
  /** Until when its last answer may be one that it remembered. */
  remembersUntil: number
}

const TOLERATED_AFTER_ROUNDS = 3

/** No resolver should remember for longer that there is nothing (RFC 2308 section 5). */
const REMEMBERED_AT_MOST_MS = 3 * HOUR_MS
/** Not every part of a large resolver remembers the same. */
const ASK_AGAIN_MS = 30 * SECOND_MS

/** Resolvers follow aliases by themselves. */
const resolversOf = ({ propagation, http, run }: DnsAccess): readonly Server[] =>
  propagation.resolvers.map(url => ({
    label: url,
    remembers: true,
    ask: name => askHttps(http(propagation.caCertificates), url, name, 'TXT', run),
  }))

const authoritiesOf = ({ servers }: Location, run: Run): readonly Server[] =>
  servers.map(server => ({
    label: serverLabel(server),
    remembers: false,
    ask: name => askResolvers([server], name, 'TXT', run),
  }))

const progressOf = async (records: readonly TxtRecord[], access: DnsAccess): Promise<readonly Progress[]> => {
  const isHttps = access.propagation.check === 'https'
  const places = new Map<string, { readonly servers: readonly Server[]; readonly values: Set<string> }>()
  for (const asked of new Set(records.map(({ fqdn }) => bareName(fqdn)))) {
    const at = isHttps ? null : await locate(asked, access)
    const name = at?.name ?? asked
    const servers = at ? authoritiesOf(at, access.run) : resolversOf(access)
    const { values } = places.get(name) ?? { values: new Set<string>() }
    for (const { fqdn, value } of records) if (bareName(fqdn) === asked) values.add(value)
    places.set(name, { servers, values })
  }
  return [...places].flatMap(([name, { servers, values }]) =>
    servers.map(server => ({
      name,
      values: [...values],
      server,
      seen: false,
      answered: false,
      failures: 0,
      said: '',
      remembersUntil: 0,
    })),
  )
}

const look = async (progress: Progress, { clock }: Run): Promise<void> => {
  const { server, name, values } = progress
  const resolved = await server.ask(name)
  if (resolved.kind === 'failed') {
    progress.failures += 1
    progress.said = resolved.why
    return
  }
  progress.answered = true
  const rememberedMs = server.remembers ? (resolved.rememberedMs ?? 0) : 0
  progress.remembersUntil = clock.now() + Math.min(rememberedMs, REMEMBERED_AT_MOST_MS)
  const there = resolved.kind === 'records' ? resolved.records : []
  progress.seen = values.every(value => there.includes(value))
  if (resolved.kind === 'nothing') progress.said = resolved.exists ? 'no TXT record' : 'no such name'
  else progress.said = there.some(value => values.includes(value)) ? 'not all values' : 'other values only'
}

/** A resolver passes over a server that never answers, as the CA's will. */
const isTolerated = ({ answered, failures }: Progress): boolean =>
  !answered && failures >= TOLERATED_AFTER_ROUNDS

const haveAgreed = (all: readonly Progress[]): boolean =>
  all.every(it => it.seen || (isTolerated(it) && all.some(other => other.name === it.name && other.seen)))

const lackOf = (all: readonly Progress[]): string =>
  all
    .filter(it => !it.seen)
    .map(({ name, server, said }) => `${server.label} for ${name}: ${said}`)
    .join('; ')

const timedOut = (all: readonly Progress[], withinMs: number): RotationError =>
  new RotationError(
    'propagation-timeout',
    `DNS propagation: not everywhere after ${formatDuration(withinMs)}: ${lackOf(all)}`,
    {
      hint:
        'Check that the zone is delegated to the DNS service the solver writes to (delegation), that it is the ' +
        'zone that holds the name (wrong zone), and that it is in this account (wrong account). A slow service ' +
        'needs a longer propagation.within.',
    },
  )

/** The last instant at which one who has not seen the values may still repeat an answer of old. */
const rememberedUntil = (all: readonly Progress[]): number =>
  Math.max(...all.map(({ seen, remembersUntil }) => (seen ? 0 : remembersUntil)))

/** How long to wait before another round: what is remembered for long is not asked for all the time. */
const roundMs = (all: readonly Progress[], everyMs: number, now: number): number =>
  Math.max(everyMs, Math.min(rememberedUntil(all) - now, ASK_AGAIN_MS))

const warnOfSilent = (all: readonly Progress[], { log }: Run): void => {
  for (const { name, server, said } of all.filter(it => !it.seen))
    log.warn({ name, server: server.label, said }, 'dns: this server never answered; going on without it')
}

/** Null when all that are asked have agreed. */
async function untilAgreed(
  all: readonly Progress[],
  { propagation, run }: DnsAccess,
): Promise<Propagated | null> {
  const { withinMs, everyMs } = propagation
  const start = run.clock.now()
  let limit: number | null = null
  for (;;) {
    await Promise.all(all.filter(it => !it.seen).map(it => look(it, run)))
    if (haveAgreed(all)) return null
    // Only the first answers may be from before the value was written.
    limit ??= Math.max(start, rememberedUntil(all)) + withinMs
    const now = run.clock.now()
    if (now >= limit) throw timedOut(all, limit - start)
    const waitMs = Math.min(roundMs(all, everyMs, now), limit - now)
    if (now + waitMs + QUESTION_MS > run.deadline) {
      const until = Math.max(now + everyMs, rememberedUntil(all))
      return { kind: 'suspended', until, why: `DNS propagation, still missing: ${lackOf(all)}` }
    }
    await pause(waitMs, 'DNS propagation', run)
  }
}

/**
 * Waits until everybody who is asked answers with the values: every address of every authoritative server, or every
 * resolver over HTTPS, or with `provider` nobody; then `settleMs` more. Aliases are followed; other values of a name
 * do not matter. One who never answered is passed over after three rounds when the others agree. A resolver that
 * remembers that there was nothing gets `withinMs` from when it forgets it. Instead of waiting past `run.deadline`
 * it answers `suspended`.
 * @throws RotationError `propagation-timeout` after `withinMs`, naming the servers that lack a value;
 *   `unavailable` when the servers cannot be found
 */
export async function awaitPropagation(
  records: readonly TxtRecord[],
  access: DnsAccess,
): Promise<Propagated> {
  const { propagation, run } = access
  const { check, settleMs } = propagation
  const seen = check === 'provider' ? 'the DNS service has taken it' : 'seen everywhere'
  if (check !== 'provider') {
    const all = await progressOf(records, access)
    const suspended = await untilAgreed(all, access)
    if (suspended) return suspended
    warnOfSilent(all, run)
  }
  const now = run.clock.now()
  if (now + settleMs > run.deadline)
    return {
      kind: 'suspended',
      until: now + settleMs,
      why: `DNS propagation: ${seen}; waiting a little longer`,
    }
  if (settleMs > 0) await pause(settleMs, 'DNS propagation', run)
  return { kind: 'seen' }
}
