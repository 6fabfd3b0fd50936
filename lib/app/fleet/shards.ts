import type { Settings } from '../../config/load.ts'
import { type Shard, shardOf, shardText } from '../../config/sections/shards.ts'
import type { StateStore } from '../../contracts.ts'
import type { Target } from '../../model/target.ts'
import type { Answer } from '../../report/answer.ts'
import type { LastRun } from '../../report/status.ts'
import { MARKER } from '../../state/authenticity.ts'
import { segment, targetKey } from '../../state/state.ts'
import { partStore, takingAlong } from '../../stores/shared/part-store.ts'

/** The settings of each shard that has targets, as its function has them; where there is one state, the settings. */
export function partsOf(settings: Settings): readonly [Settings, ...Settings[]] {
  const { shards, store, targets } = settings
  if (store.shard || shards.count === 1) return [settings]
  const parts = Array.from({ length: shards.count }, (_, i): Settings => {
    const shard: Shard = { number: i + 1, ...shards }
    const own = targets.filter(it => shardOf(it.certificate, shards.count) === shard.number)
    return { ...settings, targets: own, store: { ...store, shard } }
  })
  const [first, ...others] = parts.filter(it => it.targets.length > 0)
  return first ? [first, ...others] : [settings]
}

/** Some targets, with the settings that they are looked after by. */
interface Part {
  readonly settings: Settings
  readonly targets: readonly Target[]
}

/** What is asked, done in the state of each shard that has one of the targets; one answer, in their order. */
export async function inParts<Work extends Part>(
  work: Work,
  perform: (part: Work) => Promise<Answer>,
): Promise<Answer> {
  const { settings, targets } = work
  const answers: Answer[] = []
  for (const part of partsOf(settings)) {
    const own = targets.filter(({ name }) => part.targets.some(it => it.name === name))
    if (own.length === 0) continue
    const answer = await perform({ ...work, settings: part, targets: own })
    answers.push({ ...answer, results: answer.results.map(it => withShard(it, part.store.shard)) })
  }
  const [first, ...others] = answers
  // A shard may have no targets.
  return first ? mergedAnswer([first, ...others], targets) : perform(work)
}

/** One answer of those of all shards, in the order of the targets. */
function mergedAnswer(answers: readonly [Answer, ...Answer[]], targets: readonly Target[]): Answer {
  const [first] = answers
  const results = new Map(answers.flatMap(it => it.results.map(result => [result.target, result])))
  const warnings = answers.flatMap(it => it.warnings ?? [])
  const told = answers.flatMap(it => it.told ?? [])
  const okAts = told.map(it => it.okAt)
  const sum = (key: 'sent' | 'undelivered') => told.reduce((all, it) => all + it[key], 0)
  return {
    ...first,
    ok: answers.every(it => it.ok),
    finishedAt: answers.at(-1)?.finishedAt ?? first.finishedAt,
    results: targets.flatMap(({ name }) => results.get(name) ?? []),
    ...(warnings.length > 0 ? { warnings } : {}),
    ...(told.length > 0
      ? { told: { sent: sum('sent'), undelivered: sum('undelivered'), okAt: earliest(okAts) } }
      : {}),
    ...('lastRun' in first ? { lastRun: oldestOf(answers.map(it => it.lastRun ?? null)) } : {}),
  }
}

/** Null: one of them is not known. */
const earliest = (instants: readonly (string | null)[]): string | null =>
  instants.includes(null) ? null : ([...instants].sort()[0] ?? null)

/** The last run of the shard that has not run for the longest time; null: one has never run. */
export const oldestOf = <Run extends Pick<LastRun, 'ok'> & { readonly at: string | number }>(
  runs: readonly (Run | null)[],
): Run | null =>
  runs.reduce((oldest, run) => (run === null || oldest === null ? null : run.at < oldest.at ? run : oldest))

// --- state -------------------------------------------------------------------------------------------------

/** The folder of a shard; that of the whole is the store itself. */
const within = (store: StateStore, { number, count }: Pick<Shard, 'number' | 'count'>): StateStore =>
  count === 1 ? store : partStore(store, `shard-${number}`)

/**
 * The state of one shard. With `previous`, documents of targets and certificates that stood in another shard before are
 * moved when they are first read; what a shard has for itself (accounts at CAs, its last run) is not. The names of
 * documents, which their MACs cover, stay the same.
 */
export function shardStore(
  store: StateStore,
  shard: Shard,
  settings: Pick<Settings, 'targets'> | null,
): StateStore {
  const own = within(store, shard)
  const { previous } = shard
  if (previous === null || previous === shard.count || settings === null) return own
  const before = new Map<string, StateStore>()
  for (const target of settings.targets) {
    const number = shardOf(target.certificate, previous)
    // Under the same name it is where it was.
    if (previous > 1 && shard.count > 1 && number === shard.number) continue
    const place = within(store, { number, count: previous })
    const keys = [`targets/${targetKey(target)}`, `devices/${targetKey(target)}`]
    for (const key of [...keys, `certificates/${segment(target.certificate)}`]) before.set(key, place)
  }
  return takingAlong(own, {
    placeOf: key => before.get(key.split('/').slice(0, 2).join('/')),
    places: [...before.values()],
    common: MARKER,
  })
}

/** As it stands in a result. */
const withShard = <Result extends object>(result: Result, shard: Shard | undefined): Result =>
  shard && shard.count > 1 ? { ...result, shard: shardText(shard) } : result
