import type { Run } from '../../contracts.ts'
import { profilesOf, rootsOf } from '../../devices/roots.ts'
import { clientHelloOf } from '../../iotda/client-hello.ts'
import { type DeviceProbe, nameOf, type ProbeDevice, probeAs, probeOfLook } from '../../iotda/probe.ts'
import type { Served } from '../../model/certificate.ts'
import type { Target } from '../../model/target.ts'
import type { World } from '../world.ts'

/** What is asked of a device port. */
export interface Question {
  readonly target: Pick<Target, 'domain' | 'probe' | 'trustedRoots' | 'profiles'>
  readonly run: Pick<Run, 'clock' | 'signal'>
  readonly canaryOf: World['canaryOf']
}

/** The devices in the field, played: one for each profile, else one with the target's roots. */
export const playedDevices = ({ target, canaryOf }: Question): readonly ProbeDevice[] =>
  profilesOf(target).map(profile => ({
    profile: profile?.name ?? null,
    hello: profile ? clientHelloOf(profile) : {},
    roots: rootsOf(target, profile).certificates,
    canary: canaryOf(profile?.name ?? null),
    needsWholeChain: profile?.needsWholeChain ?? false,
  }))

export interface AttemptsOptions {
  readonly devices: readonly ProbeDevice[]
  readonly addresses: readonly string[]
  /** Fingerprint that should be served; null: any. */
  readonly expected: string | null
  /** Those not to be tried again, as {@link keyFor} says it. */
  readonly skip?: ReadonlySet<string>
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
  { devices, addresses, expected, skip }: AttemptsOptions,
): Promise<readonly DeviceProbe[]> {
  const options = { ...common(question), expected, withCanary: false }
  const pairs = addresses.flatMap(address => devices.map(device => ({ device, address })))
  const wanted = pairs.filter(({ device, address }) => !skip?.has(keyFor(device, address)))
  return Promise.all(wanted.map(pair => probeAs({ ...options, ...pair })))
}

/**
 * The same after a look, at every address that answered it. A device without a profile is judged by what the look
 * showed, and opens no connection.
 */
export async function tryAfterLook(
  question: Question,
  served: readonly Served[],
  options: Omit<AttemptsOptions, 'addresses'>,
): Promise<readonly DeviceProbe[]> {
  const { devices, expected, skip } = options
  const heard = served.filter(s => s.leaf)
  const shown = devices
    .filter(device => device.profile === null)
    .flatMap(device =>
      heard
        .filter(({ address }) => !skip?.has(keyFor(device, address)))
        .map(one => probeOfLook(one, { ...common(question), device, expected })),
    )
  const others = devices.filter(device => device.profile !== null)
  const tried = await tryAll(question, { ...options, devices: others, addresses: addressesOf(heard) })
  return [...shown, ...tried]
}

/** Every canary at every address, one after the other: where a client id connects twice, the first one is cut off. */
export async function tryCanaries(
  question: Question,
  { devices, addresses, expected, skip }: AttemptsOptions,
): Promise<readonly DeviceProbe[]> {
  const options = { ...common(question), expected, withCanary: true }
  const attempts: DeviceProbe[] = []
  for (const device of devices.filter(d => d.canary))
    for (const address of addresses) {
      if (skip?.has(keyFor(device, address, true))) continue
      question.run.signal.throwIfAborted()
      attempts.push(await probeAs({ ...options, device, address }))
    }
  return attempts
}

/** What an attempt is remembered by. */
export const keyFor = (
  { profile }: Pick<DeviceProbe, 'profile'>,
  address: string,
  isCanary = false,
): string => `${profile ?? ''}@${address}${isCanary ? '+canary' : ''}`
export const keyOf = (tried: DeviceProbe): string => keyFor(tried, tried.address, tried.canary !== null)

/** Addresses at which anybody is served. */
export const addressesOf = (served: readonly Served[]): readonly string[] =>
  served.filter(s => s.leaf).map(s => s.address)

/** Why a device would not connect, and, if it was shown nothing, what others are served there. */
export function reasonOf({ address, leaf, problem }: DeviceProbe, served: readonly Served[]): string {
  const instead = served.find(s => s.address === address)?.leaf
  return leaf || !instead
    ? `${problem}`
    : `${problem}; others are served ${nameOf(instead)}, ${instead.keyType}`
}

/** Which device, at which address, and why. */
export function complaintOf(failed: DeviceProbe, served: readonly Served[]): string {
  const who = failed.profile === null ? 'devices' : `devices of profile "${failed.profile}"`
  return `${failed.address}: ${who} would not connect: ${reasonOf(failed, served)}`
}
