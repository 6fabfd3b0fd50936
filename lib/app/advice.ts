import { type Clock, systemClock } from '../base/time.ts'
import { loadSettings, processSurroundings, type Surroundings } from '../config/load.ts'
import { loadWatch } from '../config/watch.ts'
import type { Diagnosis, DoctorRequest } from '../doctor/doctor.ts'
import { driverSchemas } from './drivers.ts'
import { type AwsPolicy, type HuaweiPolicy, type PermissionsRequest, policyFor } from './permissions.ts'
import { remoteOf } from './remote.ts'

/** The policy that settings need in one cloud; no secret is looked up for it. @throws RotationError for the settings */
export async function permissions(request: PermissionsRequest): Promise<AwsPolicy | HuaweiPolicy> {
  const { config, isWatch, surroundings = processSurroundings(), clock = systemClock } = request
  const around = { remote: remoteOf(surroundings, clock), ...surroundings, withoutValues: true }
  if (isWatch) await loadWatch(config, driverSchemas, around)
  else await loadSettings(config, driverSchemas, around)
  return policyFor(request)
}

/** Before the first rotation, or when something is wrong: is each link as it should be? @throws RotationError for the settings */
export async function doctor(
  request: DoctorRequest & {
    readonly config: string | null
    readonly surroundings?: Surroundings
    readonly clock?: Clock
  },
): Promise<Diagnosis> {
  const { config, surroundings = processSurroundings(), clock = systemClock } = request
  const settings = await loadSettings(config, driverSchemas, {
    remote: remoteOf(surroundings, clock),
    ...surroundings,
  })
  const { examine } = await import('../doctor/doctor.ts')
  return examine(request, settings, clock)
}
