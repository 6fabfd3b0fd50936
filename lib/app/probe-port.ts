import { randomUUID } from 'node:crypto'
import { RotationError } from '../base/rotation-error.ts'
import { abortAfter, iso, systemClock } from '../base/time.ts'
import { quoted } from '../base/visible.ts'
import { toProfile } from '../config/profiles.ts'
import { PRESETS } from '../devices/presets.ts'
import { createEndpoint } from '../iotda/endpoint.ts'
import type { DeviceProfile } from '../model/device-profile.ts'
import type { Answer } from '../report/answer.ts'
import { probeAnyPort } from '../rotation/actions/probe.ts'
import { type SettingsRequest, settingsOf } from './session.ts'

/** A device port that no settings need to know, for `iotda-cert probe HOST[:PORT]`. */
export interface PortRequest extends SettingsRequest {
  readonly host: string
  readonly port: number
  /** Sent as SNI. */
  readonly serverName: string
  /** Names of presets, or of profiles in the settings; empty: any device with Node's roots. */
  readonly profiles: readonly string[]
  readonly deadline: number
  readonly signal?: AbortSignal
}

/**
 * Probes it; the answer has one result, named `host:port`. The settings are read only if a profile is none of the
 * presets. @throws RotationError `usage` for an unknown profile
 */
export async function probePort(request: PortRequest): Promise<Answer> {
  const { host, port, serverName, clock = systemClock, deadline } = request
  const startedAt = clock.now()
  const profiles = await profilesNamed(request)
  const { signal, clear } = abortAfter(Math.max(1, deadline - startedAt), request.signal)
  try {
    const run = { clock, signal }
    const result = await probeAnyPort({ host, port, serverName, profiles, run, endpoint: createEndpoint() })
    return {
      version: 1,
      runId: randomUUID(),
      trigger: 'manual',
      ok: result.error === null,
      startedAt: iso(startedAt),
      finishedAt: iso(clock.now()),
      results: [result],
    }
  } finally {
    clear()
  }
}

async function profilesNamed(request: PortRequest): Promise<readonly DeviceProfile[]> {
  const { profiles: names } = request
  if (names.every(name => Object.hasOwn(PRESETS, name))) return names.map(toProfile)
  const targets = await settingsOf(request).then(
    loaded => loaded.targets,
    thrown => {
      if (thrown instanceof RotationError && thrown.code === 'usage') return []
      throw thrown
    },
  )
  const own = targets.flatMap(({ profiles, trustedRoots }) =>
    profiles.map(profile => ({ ...profile, trustedRoots: profile.trustedRoots ?? trustedRoots })),
  )
  return names.map(name => {
    const profile = own.find(p => p.name === name)
    if (profile) return profile
    if (Object.hasOwn(PRESETS, name)) return toProfile(name)
    const known = [...new Set([...own.map(p => p.name), ...Object.keys(PRESETS)])].join(', ')
    throw new RotationError('usage', `there is no profile ${quoted(name)}`, {
      retry: 'never',
      hint: `Known here: ${known}. Profiles of a settings file are known with --config FILE.`,
    })
  })
}
