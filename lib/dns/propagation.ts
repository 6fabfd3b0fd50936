import { RotationError } from '../base/rotation-error.ts'
import { stopped } from '../base/stopped.ts'
import { formatDuration, HOUR_MS, SECOND_MS } from '../base/time.ts'
import type { Run } from '../contracts.ts'
import { type Location, locate, serverLabel } from './authorities.ts'
import { askHttps } from './resolve/https.ts'
import type { DnsAccess } from './resolve/lookup.ts'
import { ask, bareName, QUESTION_MS, type Said, serverText } from './resolve/question.ts'

/** A TXT value that was written; `fqdn` with or without the final dot. */
export interface TxtRecord {
  readonly fqdn: string
  readonly value: string
}

export type Propagated =
  | { readonly kind: 'seen' }
  | {
      readonly kind: 'suspended' /** Worth another look then. */
      readonly until: number
      readonly why: string
    }

/** Somebody who is asked for the values of a name: an authoritative address, or a resolver over HTTPS. */
interface Witness {
  readonly label: string
  ask(name: string): Promise<Said<string>>
}

/** What one of them has said so far about one name. */
interface Watch {
  readonly name: string
  readonly values: readonly string[]
  readonly witness: Witness
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
const resolverWitnesses = ({ propagation, http, run }: DnsAccess): readonly Witness[] =>
  propagation.resolvers.map(url => ({
    label: url,
    ask: name => askHttps(http(propagation.caCertificates), url, name, 'TXT', run),
  }))

const serverWitnesses = ({ servers }: Location, run: Run): readonly Witness[] =>
  servers.map(server => ({
    label: serverLabel(server),
    ask: name =>
      ask(
        [serverText(server.address, server.port)],
        async resolver => (await resolver.resolveTxt(name)).map(strings => strings.join('')),
        run,
      ),
  }))

const watchesOf = async (records: readonly TxtRecord[], access: DnsAccess): Promise<readonly Watch[]> => {
  const isHttps = access.propagation.check === 'https'
  const places = new Map<string, { readonly witnesses: readonly Witness[]; readonly values: Set<string> }>()
  for (const asked of new Set(records.map(({ fqdn }) => bareName(fqdn)))) {
    const at = isHttps ? null : await locate(asked, access)
    const name = at?.name ?? asked
    const witnesses = at ? serverWitnesses(at, access.run) : resolverWitnesses(access)
    const { values } = places.get(name) ?? { values: new Set<string>() }
    for (const { fqdn, value } of records) if (bareName(fqdn) === asked) values.add(value)
    places.set(name, { witnesses, values })
  }
  return [...places].flatMap(([name, { witnesses, values }]) =>
    witnesses.map(witness => ({
      ...{ name, values: [...values], witness, seen: false, answered: false, failures: 0, said: '' },
      remembersUntil: 0,
    })),
  )
}

const look = async (watch: Watch, { clock }: Run): Promise<void> => {
  const said = await watch.witness.ask(watch.name)
  if (said.kind === 'failed') {
    watch.failures += 1
    watch.said = said.why
    return
  }
  watch.answered = true
  watch.remembersUntil = clock.now() + Math.min(said.rememberedMs ?? 0, REMEMBERED_AT_MOST_MS)
  const there = said.kind === 'records' ? said.records : []
  watch.seen = watch.values.every(value => there.includes(value))
  if (said.kind === 'nothing') watch.said = said.exists ? 'no TXT record' : 'no such name'
  else watch.said = there.some(value => watch.values.includes(value)) ? 'not all values' : 'other values only'
}

/** A resolver passes over a server that never answers, as the CA's will. */
const isTolerated = ({ answered, failures }: Watch): boolean =>
  !answered && failures >= TOLERATED_AFTER_ROUNDS

const haveAgreed = (watches: readonly Watch[]): boolean =>
  watches.every(
    watch =>
      watch.seen || (isTolerated(watch) && watches.some(other => other.name === watch.name && other.seen)),
  )

const lackOf = (watches: readonly Watch[]): string =>
  watches
    .filter(watch => !watch.seen)
    .map(({ name, witness, said }) => `${witness.label} for ${name}: ${said}`)
    .join('; ')

const timedOut = (watches: readonly Watch[], withinMs: number): RotationError =>
  new RotationError(
    'propagation-timeout',
    `DNS propagation: not everywhere after ${formatDuration(withinMs)}: ${lackOf(watches)}`,
    {
      hint:
        'Check that the zone is delegated to the DNS service the solver writes to (delegation), that it is the ' +
        'zone that holds the name (wrong zone), and that it is in this account (wrong account). A slow service ' +
        'needs a longer propagation.within.',
    },
  )

const pause = async (durationMs: number, run: Run): Promise<void> => {
  try {
    await run.clock.sleep(durationMs, run.signal)
  } catch (error) {
    throw run.signal.aborted ? stopped(run, 'DNS propagation') : error
  }
}

/** The last instant at which one who has not seen the values may still repeat an answer of old. */
const rememberedUntil = (watches: readonly Watch[]): number =>
  Math.max(...watches.map(({ seen, remembersUntil }) => (seen ? 0 : remembersUntil)))

/** How long to wait before another round: what is remembered for long is not asked for all the time. */
const roundMs = (watches: readonly Watch[], everyMs: number, now: number): number =>
  Math.max(everyMs, Math.min(rememberedUntil(watches) - now, ASK_AGAIN_MS))

const warnOfSilent = (watches: readonly Watch[], { log }: Run): void => {
  for (const { name, witness, said } of watches.filter(watch => !watch.seen))
    log.warn({ name, server: witness.label, said }, 'dns: this server never answered; going on without it')
}

/** Null when all that are asked have agreed. */
async function untilAgreed(
  watches: readonly Watch[],
  { propagation, run }: DnsAccess,
): Promise<Propagated | null> {
  const { withinMs, everyMs } = propagation
  const start = run.clock.now()
  let limit: number | null = null
  for (;;) {
    await Promise.all(watches.filter(watch => !watch.seen).map(watch => look(watch, run)))
    if (haveAgreed(watches)) return null
    // Only the first answers may be from before the value was written.
    limit ??= Math.max(start, rememberedUntil(watches)) + withinMs
    const now = run.clock.now()
    if (now >= limit) throw timedOut(watches, limit - start)
    const waitMs = Math.min(roundMs(watches, everyMs, now), limit - now)
    if (now + waitMs + QUESTION_MS > run.deadline) {
      const until = Math.max(now + everyMs, rememberedUntil(watches))
      return { kind: 'suspended', until, why: `DNS propagation, still missing: ${lackOf(watches)}` }
    }
    await pause(waitMs, run)
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
    const watches = await watchesOf(records, access)
    const suspended = await untilAgreed(watches, access)
    if (suspended) return suspended
    warnOfSilent(watches, run)
  }
  const now = run.clock.now()
  if (now + settleMs > run.deadline)
    return {
      kind: 'suspended',
      until: now + settleMs,
      why: `DNS propagation: ${seen}; waiting a little longer`,
    }
  if (settleMs > 0) await pause(settleMs, run)
  return { kind: 'seen' }
}
