import { iso, SECOND_MS } from '../../base/time.ts'
import { type DeviceProbe, nameOf, type ProbeDevice } from '../../iotda/probe.ts'
import type { Served } from '../../model/certificate.ts'
import type { Overruled, Replaced } from '../../state/documents.ts'
import { look } from '../observe/inspect.ts'
import type { World } from '../world.ts'
import { ANYWHERE } from './baseline.ts'
import { addressesOf, complaintOf, keyFor, keyOf, tryAfterLook, tryCanaries } from './device-probes.ts'

const LOOK_EVERY_MS = 2 * SECOND_MS
const CANARY_TRIES = 3

/** What the port showed over a while, measured against what it should show. */
export type Reading =
  | {
      readonly kind: 'new'
      /** Addresses that did not answer before the bind either. */
      readonly silent: readonly string[]
      readonly served: readonly Served[]
      /** Devices that could not connect before the bind either, or for whom preflight was overruled. */
      readonly complaints: readonly Complaint[]
      /** What devices pass over in the chain that is sent, each once. */
      readonly untidy: readonly string[]
    }
  | { readonly kind: 'old'; readonly where: string }
  | { readonly kind: 'unreachable'; readonly where: string }
  | { readonly kind: 'wrong'; readonly where: string }
  /** The run's time was over before anything was certain. */
  | { readonly kind: 'unfinished'; readonly where: string }

type ReadingNew = Extract<Reading, { kind: 'new' }>

export interface Complaint {
  readonly profile: string | null
  readonly why: string
}

/** What the port should show. */
export interface Expected {
  readonly wanted: string
  /** May still be served for a while. */
  readonly old: readonly string[]
  readonly silent: readonly string[]
  /** Who must be able to connect besides; empty: it is enough that the leaf is served. */
  readonly devices: readonly ProbeDevice[]
  /** How they fared before, as `keyOf` says it; null: nothing was there before, everything must work. */
  readonly before: Pick<Replaced, 'working' | 'refusing'> | null
  readonly overruled: Overruled
}

/**
 * Looks until the wanted leaf is steady at every address, something wrong is steady, or the time is over. A port
 * that alternates until then is what else it shows.
 */
export async function read(world: World, expected: Expected): Promise<Reading> {
  const { target, run } = world
  const { steady, withinMs } = target.probe
  const started = run.clock.now()
  let streak: { readonly kind: Reading['kind'] | null; readonly count: number } = { kind: null, count: 0 }
  const others: Exclude<Reading, { kind: 'new' }>[] = []
  for (;;) {
    const reading = await readOnce(world, expected)
    streak = { kind: reading.kind, count: streak.kind === reading.kind ? streak.count + 1 : 1 }
    const isSteady = streak.count >= steady
    if (reading.kind === 'new' && isSteady) return readCanaries(world, expected, reading)
    if (reading.kind !== 'new') others.push(reading)
    const spentMs = run.clock.now() - started
    // Devices are refused while a wrong certificate is served: do not wait the whole time for it to go away.
    const overMs = reading.kind === 'wrong' ? withinMs / 4 : withinMs
    if (reading.kind !== 'new' && spentMs >= overMs && (isSteady || reading.kind === 'old')) return reading
    if (spentMs >= 2 * withinMs) return prevailing(others, reading)
    if (run.clock.now() + LOOK_EVERY_MS > run.deadline)
      return { kind: 'unfinished', where: 'where' in reading ? reading.where : 'not steady yet' }
    await run.clock.sleep(streak.kind === 'new' ? LOOK_EVERY_MS / 4 : LOOK_EVERY_MS, run.signal)
  }
}

/** A port that keeps changing is what it showed most often; one slip says nothing. */
function prevailing(others: readonly Exclude<Reading, { kind: 'new' }>[], last: Reading): Reading {
  const count = (kind: Reading['kind']): number => others.filter(o => o.kind === kind).length
  const most = others.toSorted((x, y) => count(y.kind) - count(x.kind))[0]
  return most ?? last
}

/** One look, and where it shows the wanted leaf, one by every device. */
async function readOnce(world: World, expected: Expected): Promise<Reading> {
  const { signal } = world.run
  const served = await look(world)
  // Addresses were not asked to the end then.
  signal.throwIfAborted()
  const reading = readingOf(served, expected)
  const { devices, wanted } = expected
  if (reading.kind !== 'new' || devices.length === 0) return reading
  const attempts = await tryAfterLook(world, served, { devices, expected: wanted })
  signal.throwIfAborted()
  return withDevices(reading, expected, attempts)
}

/** The canaries, when everything else is proven; one that fails has two more tries. */
async function readCanaries(world: World, expected: Expected, reading: ReadingNew): Promise<Reading> {
  const { devices, wanted } = expected
  for (let attempt = 1; ; attempt += 1) {
    const addresses = addressesOf(reading.served)
    const after = withDevices(
      reading,
      expected,
      await tryCanaries(world, { devices, addresses, expected: wanted }),
    )
    world.run.signal.throwIfAborted()
    if (after.kind === 'new' || attempt === CANARY_TRIES) return after
    await world.run.clock.sleep(LOOK_EVERY_MS, world.run.signal)
  }
}

/** What devices say of the leaf that everybody else is served. */
function withDevices(reading: ReadingNew, expected: Expected, attempts: readonly DeviceProbe[]): Reading {
  const { old } = expected
  const failed = attempts.filter(a => a.problem !== null)
  const where = (list: readonly DeviceProbe[]): string =>
    list.map(a => complaintOf(a, reading.served)).join(' · ')
  const stale = failed.filter(a => a.leaf && old.includes(a.leaf.fingerprint))
  if (stale.length > 0) return { kind: 'old', where: where(stale) }
  const counting = failed.filter(a => counts(a, expected))
  if (counting.length > 0) return { kind: 'wrong', where: where(counting) }
  const complaints = failed.map(a => ({
    profile: a.profile,
    why: `${isOverruled(a, expected) ? 'as preflight said' : 'as before the bind'}, at ${complaintOf(a, reading.served)}`,
  }))
  const untidy = attempts.flatMap(a => (a.untidy === null ? [] : [`${a.address}: ${a.untidy}`]))
  return {
    ...reading,
    complaints: [...reading.complaints, ...complaints],
    untidy: [...new Set([...reading.untidy, ...untidy])],
  }
}

const isOverruled = ({ profile, fault }: DeviceProbe, { overruled }: Expected): boolean =>
  overruled.some(o => o.profile === profile && o.fault === fault)

/**
 * Whether a device that cannot connect is what the bind has done. Where it could not be heard before, as far as it
 * would have taken what was served then: only its refusal counts, silence may be as before.
 */
function counts(tried: DeviceProbe, expected: Expected): boolean {
  const { before } = expected
  if (tried.fault === 'other-leaf') return true
  if (isOverruled(tried, expected)) return false
  if (before === null || before.working?.includes(keyOf(tried))) return true
  const { refusing } = before
  const isKnown = !refusing || refusing.includes(keyOf(tried)) || refusing.includes(keyFor(tried, ANYWHERE))
  return !isKnown && (tried.fault === 'chain' || tried.fault === 'handshake')
}

/** The worst of what the addresses show: wrong, unreachable, old, new. */
function readingOf(
  all: readonly Served[],
  { wanted, old, silent: silentBefore }: Pick<Expected, 'wanted' | 'old' | 'silent'>,
): Reading {
  const silentStill = all.filter(s => !s.leaf && silentBefore.includes(s.address))
  // Where nothing answers, nothing is left to judge by.
  const served = silentStill.length < all.length ? all.filter(s => !silentStill.includes(s)) : all
  const others = served.filter(s => s.leaf?.fingerprint !== wanted)
  if (served.length > 0 && others.length === 0)
    return { kind: 'new', silent: silentStill.map(s => s.address), served, complaints: [], untidy: [] }
  const wrong = others.find(s => s.leaf && !old.includes(s.leaf.fingerprint))
  if (wrong?.leaf) return { kind: 'wrong', where: `${wrong.address} serves ${nameOf(wrong.leaf)}` }
  const silent = others.find(s => !s.leaf)
  if (silent) return { kind: 'unreachable', where: `${silent.address}: ${silent.error ?? 'no answer'}` }
  const stale = others[0]
  return stale?.leaf
    ? { kind: 'old', where: `${stale.address} serves the one valid until ${iso(stale.leaf.notAfter)}` }
    : { kind: 'unreachable', where: 'no address to look at' }
}
