import { SECOND_MS } from '../../base/time.ts'
import { LOOK_TIMEOUT_MS } from '../../iotda/endpoint.ts'
import type { DeviceProbe, ProbeDevice } from '../../iotda/probe.ts'
import type { Served } from '../../model/certificate.ts'
import type { Overruled, Replaced } from '../../state/documents.ts'
import { look } from '../observe/inspect.ts'
import { type Job, timeToBindMs, type World } from '../world.ts'
import { addressesOf, keyFor, keyOf, playedDevices, tryAfterLook, tryCanaries } from './device-probes.ts'
import { examine, type Line } from './examine.ts'

const PAUSE_MS = SECOND_MS / 2
const CANARY_TRIES = 3

/** What stands at the port before a bind: only what worked may count against the new certificate. */
export type Before = Pick<Replaced, 'served' | 'reachable' | 'silent' | 'working' | 'refusing'>

/**
 * Looks as often as verify will, until every device has connected everywhere: one lost connection must not be what
 * a device cut off by the bind is excused with. Ends early where the run would not be left enough time to verify.
 */
export async function lookBefore(world: World, job: Job): Promise<Before> {
  const expected = job.inspection.bound?.slot?.leaf?.fingerprint ?? null
  const devices = world.target.probe.mode === 'off' ? [] : playedDevices(world)
  const { served, attempts } = await lookUntilKnown(world, job, { devices, expected })
  const canaries = await connectUntilKnown(world, { devices, expected, addresses: addressesOf(served) })
  const all = [...attempts, ...canaries]
  const working = workingIn(all)
  return {
    served: served.some(s => s.leaf !== null && s.leaf.fingerprint === expected),
    reachable: served.some(s => s.leaf !== null),
    silent: served.filter(s => s.leaf === null).map(s => s.address),
    working: [...working],
    refusing: [...refusedIn(all, working), ...strangersTo(world, job, { devices, attempts, served })],
  }
}

interface Asked {
  readonly devices: readonly ProbeDevice[]
  readonly expected: string | null
}

async function lookUntilKnown(
  world: World,
  job: Job,
  { devices, expected }: Asked,
): Promise<{ readonly served: readonly Served[]; readonly attempts: readonly DeviceProbe[] }> {
  const { run, target } = world
  let { served } = job.inspection
  const attempts: DeviceProbe[] = []
  for (let round = 1; devices.length > 0; round += 1) {
    const skip = workingIn(attempts)
    attempts.push(...(await tryAfterLook(world, served, { devices, expected, skip })))
    run.signal.throwIfAborted()
    const working = workingIn(attempts)
    const isKnown = served.every(({ address }) => devices.every(d => working.has(keyFor(d, address))))
    if (isKnown || round >= target.probe.steady || !isTimeLeft(world)) break
    await run.clock.sleep(PAUSE_MS, run.signal)
    served = merged(served, await look(world))
    run.signal.throwIfAborted()
  }
  return { served, attempts }
}

/** Every canary until it is let in; one that is not has two more tries, as after the bind. */
async function connectUntilKnown(
  world: World,
  asked: Asked & { readonly addresses: readonly string[] },
): Promise<readonly DeviceProbe[]> {
  const attempts: DeviceProbe[] = []
  for (let round = 1; asked.devices.some(d => d.canary); round += 1) {
    const tried = await tryCanaries(world, { ...asked, skip: workingIn(attempts) })
    world.run.signal.throwIfAborted()
    attempts.push(...tried)
    const isKnown = tried.every(a => a.problem === null)
    if (isKnown || round >= CANARY_TRIES || !isTimeLeft(world)) break
    await world.run.clock.sleep(PAUSE_MS, world.run.signal)
  }
  return attempts
}

/** Whether another round leaves enough for the bind and all that must come after it. */
const isTimeLeft = ({ run, target }: World): boolean =>
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
function strangersTo(
  world: World,
  job: Job,
  {
    devices,
    attempts,
    served,
  }: Pick<Asked, 'devices'> & {
    readonly attempts: readonly DeviceProbe[]
    readonly served: readonly Served[]
  },
): readonly string[] {
  const unheard = devices.filter(d => !attempts.some(a => a.profile === d.profile && a.problem === null))
  if (unheard.length === 0) return []
  const slot = job.inspection.bound?.slot
  const shown = served.find(s => s.leaf && s.leaf.fingerprint === slot?.leaf?.fingerprint)?.chainPem
  const chainPem = shown ?? slot?.certificatePem
  const obstacles = chainPem ? faultsIn(examine(world, job, chainPem)) : null
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
function faultsIn(lines: readonly Line[]): Overruled {
  // A stray that devices live with today is only doubtful, and shows all the same.
  const objected = lines.filter(
    l => l.verdict === 'refuse' || (l.verdict === 'warn' && l.check === 'whole-chain'),
  )
  return objected.flatMap(({ profile, check }) => {
    const fault = SHOWN_AS[check]
    return fault === undefined ? [] : [{ profile, fault }]
  })
}

/** What verify will see of what was overruled, so that it does not take it for harm done by the bind. */
export const overruled = (world: World, job: Job): Overruled =>
  job.material && world.target.probe.mode !== 'off'
    ? faultsIn(examine(world, job, job.material.chainPem))
    : []
