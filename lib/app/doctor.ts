import { randomUUID } from 'node:crypto'
import type { Log } from '../base/log.ts'
import { systemClock } from '../base/time.ts'
import { type Diagnosis, diagnose } from '../doctor/diagnose.ts'
import { createEndpoint } from '../iotda/endpoint.ts'
import { huaweiClient } from './drivers.ts'
import { inSession, type SettingsRequest, settingsOf } from './session.ts'

export interface DoctorRequest extends SettingsRequest {
  /** A TXT value is written, seen and removed. */
  readonly write: boolean
  /** A test message is sent to every notifier. */
  readonly notify: boolean
  readonly deadline: number
  readonly log: Log
}

/** Before the first rotation, or when something is wrong: is each link as it should be? @throws RotationError for the settings */
export async function doctor(request: DoctorRequest): Promise<Diagnosis> {
  const { write, notify, deadline, log, clock = systemClock } = request
  const settings = await settingsOf(request)
  const asked = { runId: `doctor-${randomUUID()}`, clock, log, deadline }
  return inSession(settings, asked, ({ run, http, state, issuing, notifiers }) =>
    diagnose({
      settings,
      write,
      notify,
      run,
      http,
      endpoint: createEndpoint(),
      state: () => state(settings.store),
      issuing: async () => issuing(settings, (await state(settings.store)).records.source),
      notifiers: () => notifiers(settings.notifiers),
      client: ({ name, instance }, signing) =>
        huaweiClient(settings, { name, instance: { ...instance, signing } }, http, clock),
    }),
  )
}
