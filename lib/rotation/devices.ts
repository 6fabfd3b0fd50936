import type { Run } from '../contracts.ts'
import { profilesOf, rootsOf } from '../devices/roots.ts'
import { offerOf } from '../iotda/offer.ts'
import { type Attempt, attempt, nameOf, type PlayedDevice } from '../iotda/probe.ts'
import type { Served, Target } from '../model.ts'
import { examine } from './examine.ts'
import type { Job, World } from './world.ts'

/** What is asked of a device port. */
export interface Question {
  readonly target: Pick<Target, 'domain' | 'probe' | 'trustedRoots' | 'profiles'>
  readonly run: Pick<Run, 'clock' | 'signal'>
  readonly canaryOf: World['canaryOf']
}

/** The devices in the field, played: one for each profile, else one with the target's roots. */
export const playedDevices = ({ target, canaryOf }: Question): readonly PlayedDevice[] =>
  profilesOf(target).map(profile => ({
    profile: profile?.name ?? null,
    offer: profile ? offerOf(profile) : {},
    roots: rootsOf(target, profile).certificates,
    canary: canaryOf(profile?.name ?? null),
  }))

/** Whether proving takes more than one look for everybody: there are profiles, or a canary. */
export const needsAttempts = ({ target, canaryOf }: World): boolean =>
  target.probe.mode !== 'off' && (target.profiles.length > 0 || canaryOf(null) !== null)

export interface AttemptsOptions {
  readonly devices: readonly PlayedDevice[]
  readonly addresses: readonly string[]
  /** Fingerprint that should be served; null: any. */
  readonly expected: string | null
}

const common = ({ target, run }: Question) => ({
  port: target.probe.port,
  serverName: target.domain,
  clock: run.clock,
  signal: run.signal,
})

/** Every device at every address, side by side; no canary. */
export async function tryAll(
  question: Question,
  { devices, addresses, expected }: AttemptsOptions,
): Promise<readonly Attempt[]> {
  const options = { ...common(question), expected, withCanary: false }
  return Promise.all(
    addresses.flatMap(address => devices.map(device => attempt({ ...options, device, address }))),
  )
}

/** Every canary at every address, one after the other: where a client id connects twice, the first one is cut off. */
export async function tryCanaries(
  question: Question,
  { devices, addresses, expected }: AttemptsOptions,
): Promise<readonly Attempt[]> {
  const options = { ...common(question), expected, withCanary: true }
  const attempts: Attempt[] = []
  for (const device of devices.filter(d => d.canary))
    for (const address of addresses) {
      question.run.signal.throwIfAborted()
      attempts.push(await attempt({ ...options, device, address }))
    }
  return attempts
}

/** What an attempt that worked is remembered by. */
export const keyOf = ({ profile, address, canary }: Attempt): string =>
  `${profile ?? ''}@${address}${canary === null ? '' : '+canary'}`

/**
 * What works now, before a bind, as {@link keyOf} says it: only that may count against the new certificate. A
 * profile that refuses it and was overruled does not count.
 */
export async function workingNow(world: World, job: Job): Promise<readonly string[]> {
  const { served, bound } = job.inspection
  const lines = job.material ? examine(world, job, job.material.chainPem) : []
  const overruled = lines.filter(line => line.verdict === 'refuse').map(line => line.profile)
  const devices = playedDevices(world).filter(device => !overruled.includes(device.profile))
  const expected = bound?.slot?.leaf?.fingerprint ?? null
  const options = { devices, addresses: addressesOf(served), expected }
  const attempts = [...(await tryAll(world, options)), ...(await tryCanaries(world, options))]
  world.run.signal.throwIfAborted()
  return attempts.filter(a => a.problem === null && a.canary !== 'not-sent').map(keyOf)
}

/** Addresses at which anybody is served. */
export const addressesOf = (served: readonly Served[]): readonly string[] =>
  served.filter(s => s.leaf).map(s => s.address)

/** Why a device would not connect, and, if it was shown nothing, what others are served there. */
export function reasonOf({ address, leaf, problem }: Attempt, served: readonly Served[]): string {
  const instead = served.find(s => s.address === address)?.leaf
  return leaf || !instead
    ? `${problem}`
    : `${problem}; others are served ${nameOf(instead)}, ${instead.keyType}`
}

/** Which device, at which address, and why. */
export function complaintOf(failed: Attempt, served: readonly Served[]): string {
  const who = failed.profile === null ? 'devices' : `devices of profile "${failed.profile}"`
  return `${failed.address}: ${who} would not connect: ${reasonOf(failed, served)}`
}
