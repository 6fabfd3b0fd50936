import { type Clock, systemClock } from './base/time.ts'
import { loadSettings, processSurroundings, type Surroundings } from './config/load.ts'
import type { Diagnosis, DoctorRequest } from './doctor/doctor.ts'
import { driverSchemas } from './parts.ts'
import { remoteOf } from './remote.ts'

export { CLOUDS, type Cloud, permissions } from './permissions.ts'

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
  const { examine } = await import('./doctor/doctor.ts')
  return examine(request, settings, clock)
}
