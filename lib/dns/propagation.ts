import { RotationError } from '../base/errors.ts'
import { formatDuration } from '../base/time.ts'
import type { PropagationSettings, Run } from '../contracts.ts'
import { type Location, locate, type NameServer, serverLabel } from './authorities.ts'
import { ask, bareName, QUESTION_MS, serverText, stopped } from './question.ts'

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

/** What one address has said so far about one name. */
interface Watch {
  readonly name: string
  readonly values: readonly string[]
  readonly server: NameServer
  seen: boolean
  /** It gave an answer at least once, though maybe not the wanted one. */
  answered: boolean
  failures: number
  said: string
}

const TOLERATED_AFTER_ROUNDS = 3

/**
 * The name where the TXT record of `fqdn` must be written: the end of its chain of CNAME records, absolute, lower
 * case, with its final dot. Only authoritative servers (or `settings.nameservers`) are asked about the name.
 * @throws RotationError `unavailable`: a loop, more than ten aliases, no zone, no server that answers
 */
export async function effectiveName(fqdn: string, settings: PropagationSettings, run: Run): Promise<string> {
  return `${(await locate(fqdn, settings, run)).name}.`
}

const watchesOf = async (
  records: readonly TxtRecord[],
  settings: PropagationSettings,
  run: Run,
): Promise<readonly Watch[]> => {
  const places = new Map<string, { readonly at: Location; readonly values: Set<string> }>()
  for (const name of new Set(records.map(({ fqdn }) => bareName(fqdn)))) {
    const at = await locate(name, settings, run)
    const { values } = places.get(at.name) ?? { values: new Set<string>() }
    for (const { fqdn, value } of records) if (bareName(fqdn) === name) values.add(value)
    places.set(at.name, { at, values })
  }
  return [...places.values()].flatMap(({ at, values }) =>
    at.servers.map(server => ({
      name: at.name,
      values: [...values],
      server,
      seen: false,
      answered: false,
      failures: 0,
      said: '',
    })),
  )
}

const look = async (watch: Watch, run: Run): Promise<void> => {
  const { address, port } = watch.server
  const said = await ask([serverText(address, port)], resolver => resolver.resolveTxt(watch.name), run)
  if (said.kind === 'failed') {
    watch.failures += 1
    watch.said = said.why
    return
  }
  watch.answered = true
  const there = said.kind === 'records' ? said.records.map(strings => strings.join('')) : []
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
    .map(({ name, server, said }) => `${serverLabel(server)} for ${name}: ${said}`)
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

/**
 * Waits until every address of every authoritative server answers with the values, then `settleMs` more. Aliases
 * are followed; other values of a name do not matter. A server that never answered is passed over after three
 * rounds when the others agree. Instead of waiting past `run.deadline` it answers `suspended`.
 * @throws RotationError `propagation-timeout` after `withinMs`, naming the servers that lack a value;
 *   `unavailable` when the servers cannot be found
 */
export async function awaitPropagation(
  records: readonly TxtRecord[],
  settings: PropagationSettings,
  run: Run,
): Promise<Propagated> {
  const { withinMs, everyMs, settleMs } = settings
  const limit = run.clock.now() + withinMs
  const watches = await watchesOf(records, settings, run)
  const suspended = (afterMs: number, why: string): Propagated => ({
    kind: 'suspended',
    until: run.clock.now() + afterMs,
    why,
  })
  for (;;) {
    await Promise.all(watches.filter(watch => !watch.seen).map(watch => look(watch, run)))
    if (haveAgreed(watches)) break
    const now = run.clock.now()
    if (now >= limit) throw timedOut(watches, withinMs)
    const waitMs = Math.min(everyMs, limit - now)
    if (now + waitMs + QUESTION_MS > run.deadline)
      return suspended(everyMs, `DNS propagation, still missing: ${lackOf(watches)}`)
    await pause(waitMs, run)
  }
  for (const { name, server, said } of watches.filter(watch => !watch.seen))
    run.log.warn(
      { name, server: serverLabel(server), said },
      'dns: this server never answered; going on without it',
    )
  if (run.clock.now() + settleMs > run.deadline)
    return suspended(settleMs, 'DNS propagation: seen everywhere; waiting a little longer')
  if (settleMs > 0) await pause(settleMs, run)
  return { kind: 'seen' }
}
