import { SECOND_MS } from '../../base/time.ts'
import type { JudgeLine } from '../../devices/judge.ts'
import { LOOK_TIMEOUT_MS } from '../../iotda/endpoint.ts'
import type { DeviceProbe, ProbeDevice } from '../../iotda/probe.ts'
import type { Served } from '../../model/certificate.ts'
import type { Overruled, Replaced } from '../../state/documents.ts'
import type { Context } from '../context.ts'
import { checkChain } from '../decide/check-chain.ts'
import type { Decided } from '../decide/decision.ts'
import { look } from '../observe/inspect.ts'
import { boundLeaf, type Inspection } from '../observe/inspection.ts'
import { timeToBindMs } from './bind-time.ts'
import { addressesOf, keyFor, keyOf, playedDevices, tryAfterLook, tryCanaries } from './device-probes.ts'

const PAUSE_MS = SECOND_MS / 2
const CANARY_TRIES = 3

type Given = Pick<Decided, 'inspection' | 'decision'>

/** What stands at the port before a bind: only what worked may count against the new certificate. */
type Before = Pick<Replaced, 'served' | 'reachable' | 'silent' | 'working' | 'refusing'>

/**
 * Looks as often as verify will, until every device has connected everywhere: one lost connection must not be what
 * a device cut off by the bind is excused with. Ends early where the run would not be left enough time to verify.
 */
export async function lookBefore(context: Context, given: Given): Promise<Before> {
  const expected = boundLeaf(given.inspection)?.fingerprint ?? null
  const devices = context.target.probe.mode === 'off' ? [] : playedDevices(context)
  const { served, attempts } = await lookUntilKnown(context, given.inspection, { devices, expected })
  const canaries = await connectUntilKnown(context, { devices, expected, addresses: addressesOf(served) })
  const all = [...attempts, ...canaries]
  const working = workingIn(all)
  return {
    served: served.some(s => s.leaf !== null && s.leaf.fingerprint === expected),
    reachable: served.some(s => s.leaf !== null),
    silent: served.filter(s => s.leaf === null).map(s => s.address),
    working: [...working],
    refusing: [...refusedIn(all, working), ...unservedOf(context, given, devices, { attempts, served })],
  }
}

interface Question {
  readonly devices: readonly ProbeDevice[]
  readonly expected: string | null
}

interface Heard {
  readonly served: readonly Served[]
  readonly attempts: readonly DeviceProbe[]
}

async function lookUntilKnown(
  context: Context,
  inspection: Inspection,
  { devices, expected }: Question,
): Promise<Heard> {
  const { run, target } = context
  let { served } = inspection
  const attempts: DeviceProbe[] = []
  for (let round = 1; devices.length > 0; round += 1) {
    const skip = workingIn(attempts)
    attempts.push(...(await tryAfterLook(context, served, { devices, expected, skip })))
    run.signal.throwIfAborted()
    const working = workingIn(attempts)
    const isKnown = served.every(({ address }) => devices.every(d => working.has(keyFor(d, address))))
    if (isKnown || round >= target.probe.steady || !isTimeLeft(context)) break
    await run.clock.sleep(PAUSE_MS, run.signal)
    served = merged(served, await look(context))
    run.signal.throwIfAborted()
  }
  return { served, attempts }
}

/** Every canary until it is let in; one that is not has two more tries, as after the bind. */
async function connectUntilKnown(
  context: Context,
  asked: Question & { readonly addresses: readonly string[] },
): Promise<readonly DeviceProbe[]> {
  const attempts: DeviceProbe[] = []
  for (let round = 1; asked.devices.some(d => d.canary); round += 1) {
    const tried = await tryCanaries(context, { ...asked, skip: workingIn(attempts) })
    context.run.signal.throwIfAborted()
    attempts.push(...tried)
    const isKnown = tried.every(a => a.problem === null)
    if (isKnown || round >= CANARY_TRIES || !isTimeLeft(context)) break
    await context.run.clock.sleep(PAUSE_MS, context.run.signal)
  }
  return attempts
}

/** Whether another round leaves enough for the bind and all that must come after it. */
const isTimeLeft = ({ run, target }: Context): boolean =>
  run.deadline - run.clock.now() >= timeToBindMs(target) + 2 * LOOK_TIMEOUT_MS

/** Each address of the newest look, with the last answer that it gave. */
const merged = (before: readonly Served[], now: readonly Served[]): readonly Served[] =>
  now.map(one => (one.leaf ? one : (before.find(b => b.address === one.address && b.leaf) ?? one)))

const workingIn = (attempts: readonly DeviceProbe[]): ReadonlySet<string> =>
  new Set(attempts.filter(a => a.problem === null && a.canary !== 'not-sent').map(keyOf))

/** A lost connection is no refusal, nor is another certificate a refusal of this one. */
const refusedIn = (attempts: readonly DeviceProbe[], working: ReadonlySet<string>): ReadonlySet<string> => {
  const refused = attempts.filter(a => a.fault !== null && a.fault !== 'lost' && a.fault !== 'other-leaf')
  return new Set(refused.map(keyOf).filter(key => !working.has(key)))
}

/** Everywhere that is not known by then. */
export const ANYWHERE = '*'

/** Devices that were heard nowhere, and would not take what they are served today either: they cannot be cut off. */
function unservedOf(
  context: Context,
  given: Given,
  devices: readonly ProbeDevice[],
  { attempts, served }: Heard,
): readonly string[] {
  const unheard = devices.filter(d => !attempts.some(a => a.profile === d.profile && a.problem === null))
  if (unheard.length === 0) return []
  const slot = given.inspection.bound?.slot
  const shown = served.find(s => s.leaf && s.leaf.fingerprint === slot?.leaf?.fingerprint)?.chainPem
  const chainPem = shown ?? slot?.certificatePem
  const obstacles = chainPem ? faultsIn(checkChain(context, given, chainPem)) : null
  return unheard
    .filter(({ profile }) => obstacles?.some(o => o.profile === profile) ?? true)
    .map(device => keyFor(device, ANYWHERE))
}

/** How a handshake shows what preflight says; what it does not show excuses nothing. */
const SHOWN_AS: Readonly<Record<string, Overruled[number]['fault']>> = {
  pem: 'chain',
  path: 'chain',
  'whole-chain': 'chain',
  names: 'chain',
  key: 'handshake',
  ciphers: 'handshake',
  signatures: 'handshake',
  'key-usage': 'handshake',
}

/** What a device would say at the port of a chain that preflight refuses. */
function faultsIn(lines: readonly JudgeLine[]): Overruled {
  // A certificate beside the path that devices live with today is only doubtful, and shows all the same.
  const objected = lines.filter(
    l => l.verdict === 'refuse' || (l.verdict === 'warn' && l.check === 'whole-chain'),
  )
  return objected.flatMap(({ profile, check }) => {
    const fault = SHOWN_AS[check]
    return fault === undefined ? [] : [{ profile, fault }]
  })
}

/** What verify will see of what was overruled, so that it does not take it for harm done by the bind. */
export const overruled = (context: Context, given: Given, chainPem: string): Overruled =>
  context.target.probe.mode === 'off' ? [] : faultsIn(checkChain(context, given, chainPem))
