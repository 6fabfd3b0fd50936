import { asRotationError, RotationError } from '../../base/rotation-error.ts'
import { MINUTE_MS } from '../../base/time.ts'
import { quoted } from '../../base/visible.ts'
import type { Endpoint } from '../../iotda/endpoint.ts'
import type { Leaf } from '../../model/certificate.ts'
import type { DeviceProfile } from '../../model/device-profile.ts'
import type { Target } from '../../model/target.ts'
import type { ReportedProbe } from '../../report/reported-probe.ts'
import { nothingSeen, reportedError, type TargetResult } from '../../report/result.ts'
import type { RotationSetup } from '../context.ts'
import { onlyConfiguration, readLeaf } from '../observe/inspect.ts'
import type { Question } from '../steps/device-probes.ts'
import { probePort } from './probe-port.ts'

/** `probe`: looks at the device port as every device would. Reads IoTDA, writes nothing anywhere. Never throws. */
export async function probe(setup: RotationSetup): Promise<TargetResult> {
  const { target, event, run, endpoint, canaryOf } = setup
  try {
    const profiles = chosenProfiles(target, event.profiles)
    // What is served is told even if what is bound cannot be.
    const bound = await boundLeaf(setup).then(
      leaf => ({ leaf, error: null }),
      thrown => ({ leaf: null, error: asRotationError(thrown) }),
    )
    const probed = await probePort({
      target: { ...target, profiles },
      run,
      endpoint,
      canaryOf,
      expected: bound.leaf?.fingerprint ?? null,
    })
    return probeResult(target.name, probed, bound.error)
  } catch (thrown) {
    return probeResult(target.name, null, asRotationError(thrown))
  }
}

/** A device port that no settings need to know. */
export interface AnyPort extends Pick<Question, 'run'> {
  readonly endpoint: Endpoint
  readonly host: string
  readonly port: number
  /** Sent as SNI. */
  readonly serverName: string
  readonly profiles: readonly DeviceProfile[]
}

/** Looks at any device port as devices of these profiles would; they trust Node's roots unless they say otherwise. */
export async function probeAnyPort(asked: AnyPort): Promise<TargetResult> {
  const { host, port, serverName, profiles, run, endpoint } = asked
  const name = `${host.includes(':') ? `[${host}]` : host}:${port}`
  const where = { mode: 'require', host, port, addresses: [], steady: 1, withinMs: MINUTE_MS } as const
  const target = { domain: serverName, probe: where, trustedRoots: null, profiles }
  try {
    const probed = await probePort({ target, run, endpoint, canaryOf: () => null, expected: null })
    return probeResult(name, probed, null)
  } catch (thrown) {
    return probeResult(name, null, asRotationError(thrown))
  }
}

function chosenProfiles(
  { name, profiles }: Target,
  names: readonly string[] | undefined,
): readonly DeviceProfile[] {
  if (names === undefined) return profiles
  return names.map(wanted => {
    const profile = profiles.find(p => p.name === wanted)
    if (profile) return profile
    const known = profiles.map(p => p.name).join(', ') || 'none'
    throw new RotationError('usage', `target ${name} has no profile ${quoted(wanted)}`, {
      retry: 'never',
      hint: `Its profiles: ${known}.`,
    })
  })
}

/** The leaf that is bound; null when nothing is. */
async function boundLeaf(setup: RotationSetup): Promise<Leaf | null> {
  const { iotda, run, target } = setup
  const configuration = onlyConfiguration(target, await iotda.listDomainConfigurations(run.signal))
  if (!configuration?.serverCertificateId) return null
  const shown = await iotda.showServerCertificate(configuration.serverCertificateId, run.signal)
  return shown ? readLeaf(shown.certificatePem) : null
}

function probeResult(
  name: string,
  probed: ReportedProbe | null,
  failure: RotationError | null,
): TargetResult {
  const error = failure ?? (probed && !probed.ok ? notWell(probed) : null)
  return {
    target: name,
    outcome: error ? 'failed' : 'probed',
    decision: { due: false, reason: 'probed', detail: 'only looked at', nextCheckAt: null },
    steps: [],
    before: null,
    after: null,
    deleted: [],
    warnings: warningsOf(probed),
    error: error && reportedError(error),
    outlook: nothingSeen,
    ...(probed ? { probe: probed } : {}),
  }
}

function notWell({ addresses }: ReportedProbe): RotationError {
  const bad = addresses
    .filter(a => !a.skipped)
    .flatMap(a => a.verdicts.filter(v => !v.ok).map(v => `${a.address}: ${who(v.profile)}: ${v.problem}`))
  const more = bad.length > 1 ? ` (and ${bad.length - 1} more)` : ''
  return new RotationError('not-served', `${bad[0] ?? 'no address can be used from here'}${more}`, {
    hint: 'Nothing was changed. The verdicts say what each device would make of each address.',
  })
}

const who = (profile: string | null): string => (profile === null ? 'devices' : `profile "${profile}"`)

function warningsOf(probed: ReportedProbe | null): TargetResult['warnings'] {
  const skipped = probed?.addresses.filter(a => a.skipped) ?? []
  return skipped.map(({ address }) => ({
    code: 'no-ipv6',
    message: `${address} was not looked at: this machine has no IPv6`,
  }))
}
