import { RotationError } from '../../base/rotation-error.ts'
import { DAY_MS, formatDuration, iso, SECOND_MS } from '../../base/time.ts'
import { type DeviceProbe, nameOf, type ProbeDevice } from '../../iotda/probe.ts'
import type { Served } from '../../model/certificate.ts'
import type { Overruled, Replaced } from '../../state/documents.ts'
import type { Context } from '../context.ts'
import { look } from '../observe/inspect.ts'
import { revocationOf } from '../observe/revocation.ts'
import { done, type StepResult, skipped, untilNextRun, warn } from '../trace.ts'
import { ANYWHERE } from './baseline.ts'
import type { Bound, BoundAgain } from './bind.ts'
import {
  addressesOf,
  complaintOf,
  keyFor,
  keyOf,
  playedDevices,
  tryAfterLook,
  tryCanaries,
} from './device-probes.ts'
import { warnOfOthers } from './ocsp-stapling.ts'
import { type Proof, promote } from './record.ts'

/** Proves on the device port that the bound certificate is served: n looks in a row, at every address. */
export async function verify(context: Context, bound: Bound): Promise<StepResult<Proof>> {
  const { target, run } = context
  const { inspection, binding, deployed } = bound
  if (deployed === null) warnOfOthers(context, inspection.configuration, binding)
  if (target.probe.mode === 'off')
    return skipped({ kind: 'unverified', why: 'the probe is off' }, 'the probe is off')
  const replaced = binding.replaces === 'first' ? null : binding.replaces
  const started = run.clock.now()
  const state = await watchPort(context, {
    wanted: binding.fingerprint,
    old: replaced ? [replaced.fingerprint].filter(print => print !== null) : printsOf(inspection.served),
    silent: replaced?.silent ?? [],
    devices: playedDevices(context),
    before: replaced && { working: replaced.working ?? [], refusing: replaced.refusing },
    overruled: binding.overruled ?? [],
  })
  const took = formatDuration(run.clock.now() - started)
  if (state.kind === 'unfinished')
    throw untilNextRun(context, `the run ends before it is certain: ${state.where}`)
  if (state.kind !== 'new')
    return notServed(context, bound, replaced, { ...state, where: `${state.where}, after ${took}` })
  if (state.silent.length > 0)
    warn(context, 'unverified', `not reached before or after the bind: ${state.silent.join(', ')}`)
  for (const { why } of state.complaints) warn(context, 'device-refuses', why)
  for (const what of state.untidy)
    warn(context, 'chain-untidy', `the port sends more than the chain: ${what}`)
  for (const chainPem of new Set(state.served.flatMap(it => it.chainPem ?? []))) {
    const { revoked } = await revocationOf(context, chainPem)
    for (const why of revoked) warn(context, 'revoked', `of what is served, ${why}`)
  }
  const times = `${target.probe.steady} times in a row, after ${took}`
  return done({ kind: 'served' }, `served at every address${toWhom(target, state.complaints)}, ${times}`)
}

/** How many of the kinds of device that the settings name connect everywhere. */
function toWhom({ profiles }: Context['target'], complaints: readonly Complaint[]): string {
  if (profiles.length === 0) return ''
  const served = profiles.filter(({ name }) => !complaints.some(({ profile }) => profile === name))
  const of = served.length === profiles.length ? '' : ` of ${profiles.length}`
  return ` to ${served.length}${of} kind${profiles.length === 1 ? '' : 's'} of device`
}

/** What it means that the port shows something else. */
async function notServed(
  context: Context,
  bound: Bound,
  replaced: Replaced | null,
  { kind, where }: Exclude<Other, { kind: 'unfinished' }>,
): Promise<StepResult<Proof>> {
  const { target, run } = context
  const { inspection, binding } = bound
  const now = run.clock.now()
  if (kind === 'unreachable' && !replaced?.reachable && target.probe.mode === 'best-effort') {
    warn(context, 'unverified', `the device port could not be reached before or after the bind: ${where}`)
    return skipped({ kind: 'unverified', why: where }, `unverified: ${where}`)
  }
  const predecessor = inspection.slots.find(s => s.serverCertificateId === replaced?.serverCertificateId)
  const predecessorEnds = predecessor?.leaf?.notAfter ?? 0
  if (kind === 'old' && (!replaced || predecessorEnds > now)) {
    const sinceMs = now - (binding.boundAt ?? now)
    if (sinceMs >= DAY_MS) {
      const since = formatDuration(sinceMs)
      warn(context, 'not-propagated', `the old certificate is still served ${since} after the bind`)
    }
    throw untilNextRun(
      context,
      `the old certificate is still served (${where}); it stays bound and is looked at again first thing`,
    )
  }
  if (replaced?.served && predecessor && predecessorEnds > now)
    return done({ kind: 'bad', why: where }, `not served: ${where}`)
  const why = !predecessor
    ? 'it is gone'
    : predecessorEnds <= now
      ? 'it has expired'
      : 'it was not served before either'
  // That is a verdict, too: the new certificate stays, and is looked after like any other.
  await promote(context, bound)
  throw new RotationError('not-served', `the bound certificate is not served: ${where}`, {
    hint: `The new certificate stays bound: the previous one is no way back (${why}). Check DNS of ${target.domain} and the instance's device port.`,
  })
}

/** After a repair: the bound leaf must be served now. */
export async function verifyAgain(
  context: Context,
  { inspection, decision: { leaf } }: BoundAgain,
): Promise<StepResult<null>> {
  const { target, run } = context
  // Somebody may have bound it a moment ago: what stood there before is no failure yet.
  const others = inspection.slots.flatMap(({ leaf: other }) =>
    other && other.fingerprint !== leaf.fingerprint && other.notAfter > run.clock.now()
      ? [other.fingerprint]
      : [],
  )
  const silent = inspection.served.filter(s => !s.leaf).map(s => s.address)
  const state = await watchPort(context, { ...ANYBODY, wanted: leaf.fingerprint, old: others, silent })
  if (state.kind === 'new') return done(null, 'the bound certificate is served at every address')
  if (state.kind === 'old' || state.kind === 'unfinished')
    throw untilNextRun(context, `a change of the binding has not reached the port yet: ${state.where}`)
  throw new RotationError('not-served', `the bound certificate is not served: ${state.where}`, {
    hint: `It was bound again without effect. Check DNS of ${target.domain} and the instance's custom domain in the console.`,
  })
}

const printsOf = (served: readonly Served[]): readonly string[] =>
  served.flatMap(s => (s.leaf ? [s.leaf.fingerprint] : []))

// --- what the port shows -----------------------------------------------------------------------------------

/** Nothing is asked of devices: it is enough that the leaf is served. */
export const ANYBODY = { devices: [], before: null, overruled: [] }

/** Often enough for a port that switches at once; then as slow as one that takes its time deserves. */
const LOOK_FIRST_MS = SECOND_MS / 10
const LOOK_EVERY_MS = 2 * SECOND_MS
const CANARY_TRIES = 3

/** What the port shows, measured against what it should show. */
type PortState =
  | {
      readonly kind: 'new'
      /** Addresses that did not answer before the bind either. */
      readonly silent: readonly string[]
      readonly served: readonly Served[]
      /** At every address, the silent ones too. */
      readonly looked: readonly Served[]
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

type New = Extract<PortState, { kind: 'new' }>
type Other = Exclude<PortState, { kind: 'new' }>

interface Complaint {
  readonly profile: string | null
  readonly why: string
}

/** What the port should show. */
interface Expected {
  readonly wanted: string
  /** May still be served for a while. */
  readonly old: readonly string[]
  /** May go on not answering, e.g. IPv6 where there is none; where the probe is required, nobody may. */
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
export async function watchPort(context: Context, asked: Expected): Promise<PortState> {
  const { target, run } = context
  const expected = target.probe.mode === 'require' ? { ...asked, silent: [] } : asked
  const { steady, withinMs } = target.probe
  const started = run.clock.now()
  let streak: { readonly kind: PortState['kind'] | null; readonly count: number } = { kind: null, count: 0 }
  const others: Other[] = []
  for (let looks = 0; ; looks += 1) {
    const state = await lookOnce(context, expected)
    streak = { kind: state.kind, count: streak.kind === state.kind ? streak.count + 1 : 1 }
    const isSteady = streak.count >= steady
    if (state.kind === 'new' && isSteady) {
      const proven = await askCanaries(context, expected, state)
      // What the run saw at first is no longer so. A look that proves nothing does not count: the port may alternate.
      if (proven.kind === 'new') context.trace.add('looks', proven.looked)
      return proven
    }
    if (state.kind !== 'new') others.push(state)
    const spentMs = run.clock.now() - started
    // Devices are refused while a wrong certificate is served: do not wait the whole time for it to go away.
    const overMs = state.kind === 'wrong' ? withinMs / 4 : withinMs
    if (state.kind !== 'new' && spentMs >= overMs && (isSteady || state.kind === 'old')) return state
    if (spentMs >= 2 * withinMs) return prevailing(others, state)
    if (run.clock.now() + LOOK_EVERY_MS > run.deadline)
      return { kind: 'unfinished', where: 'where' in state ? state.where : 'not steady yet' }
    const mostMs = streak.kind === 'new' ? LOOK_EVERY_MS / 4 : LOOK_EVERY_MS
    await run.clock.sleep(Math.min(LOOK_FIRST_MS * 2 ** looks, mostMs), run.signal)
  }
}

/** A port that keeps changing is what it showed most often; one slip says nothing. */
function prevailing(others: readonly Other[], last: PortState): PortState {
  const count = (kind: PortState['kind']): number => others.filter(o => o.kind === kind).length
  const most = others.toSorted((x, y) => count(y.kind) - count(x.kind))[0]
  return most ?? last
}

/** One look, and where it shows the wanted leaf, one by every device. */
async function lookOnce(context: Context, expected: Expected): Promise<PortState> {
  const { signal } = context.run
  const served = await look(context)
  // Addresses were not asked to the end then.
  signal.throwIfAborted()
  const state = stateOf(served, expected)
  const { devices, wanted } = expected
  if (state.kind !== 'new' || devices.length === 0) return state
  const attempts = await tryAfterLook(context, served, { devices, expected: wanted })
  signal.throwIfAborted()
  return withDevices(state, expected, attempts)
}

/** The canaries, when everything else is proven; one that fails has two more tries. */
async function askCanaries(context: Context, expected: Expected, state: New): Promise<PortState> {
  const { devices, wanted } = expected
  for (let tried = 1; ; tried += 1) {
    const addresses = addressesOf(state.served)
    const after = withDevices(
      state,
      expected,
      await tryCanaries(context, { devices, addresses, expected: wanted }),
    )
    context.run.signal.throwIfAborted()
    if (after.kind === 'new' || tried === CANARY_TRIES) return after
    await context.run.clock.sleep(LOOK_EVERY_MS, context.run.signal)
  }
}

/** What devices say of the leaf that everybody else is served. */
function withDevices(state: New, expected: Expected, attempts: readonly DeviceProbe[]): PortState {
  const { old } = expected
  const failed = attempts.filter(a => a.problem !== null)
  const where = (list: readonly DeviceProbe[]): string =>
    list.map(a => complaintOf(a, state.served)).join(' · ')
  const stale = failed.filter(a => a.leaf && old.includes(a.leaf.fingerprint))
  if (stale.length > 0) return { kind: 'old', where: where(stale) }
  const counting = failed.filter(a => counts(a, expected))
  if (counting.length > 0) return { kind: 'wrong', where: where(counting) }
  const complaints = failed.map(a => ({
    profile: a.profile,
    why: `${isOverruled(a, expected) ? 'as preflight said' : 'as before the bind'}, at ${complaintOf(a, state.served)}`,
  }))
  const untidy = attempts.flatMap(a => (a.untidy === null ? [] : [`${a.address}: ${a.untidy}`]))
  return {
    ...state,
    complaints: [...state.complaints, ...complaints],
    untidy: [...new Set([...state.untidy, ...untidy])],
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
function stateOf(
  all: readonly Served[],
  { wanted, old, silent: silentBefore }: Pick<Expected, 'wanted' | 'old' | 'silent'>,
): PortState {
  const silentStill = all.filter(s => !s.leaf && silentBefore.includes(s.address))
  // Where nothing answers, nothing is left to judge by.
  const served = silentStill.length < all.length ? all.filter(s => !silentStill.includes(s)) : all
  const others = served.filter(s => s.leaf?.fingerprint !== wanted)
  if (served.length > 0 && others.length === 0)
    return {
      kind: 'new',
      silent: silentStill.map(s => s.address),
      served,
      looked: all,
      complaints: [],
      untidy: [],
    }
  const wrong = others.find(s => s.leaf && !old.includes(s.leaf.fingerprint))
  if (wrong?.leaf) return { kind: 'wrong', where: `${wrong.address} serves ${nameOf(wrong.leaf)}` }
  const silent = others.find(s => !s.leaf)
  if (silent) return { kind: 'unreachable', where: `${silent.address}: ${silent.error ?? 'no answer'}` }
  const stale = others[0]
  return stale?.leaf
    ? { kind: 'old', where: `${stale.address} serves the one valid until ${iso(stale.leaf.notAfter)}` }
    : { kind: 'unreachable', where: 'no address to look at' }
}
