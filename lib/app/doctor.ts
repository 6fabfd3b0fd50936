import { randomUUID } from 'node:crypto'
import type { Log } from '../base/log.ts'
import { systemClock } from '../base/time.ts'
import type { SourceMemory } from '../contracts.ts'
import { type Diagnosis, diagnose } from '../doctor/diagnose.ts'
import { serviceErrorOf } from '../http/api-call.ts'
import { createEndpoint } from '../iotda/endpoint.ts'
import { huaweiClient } from './drivers.ts'
import { partsOf } from './fleet/shards.ts'
import { inSession, type SettingsRequest, settingsOf } from './session.ts'

export interface DoctorRequest extends SettingsRequest {
  /** A TXT value and documents of the state are written, seen and removed. */
  readonly write: boolean
  /** A test message is sent to every notifier. */
  readonly notify: boolean
  readonly deadline: number
  readonly log: Log
}

/** Before the first rotation, or when something is wrong: is each link as it should be? @throws RotationError for the settings */
export async function doctor(request: DoctorRequest): Promise<Diagnosis> {
  const { write, notify, deadline, log, clock = systemClock } = request
  const whole = await settingsOf(request)
  // The state of one shard stands for that of all.
  const settings = { ...whole, store: partsOf(whole)[0].store }
  const asked = { runId: `doctor-${randomUUID()}`, clock, log, deadline }
  return inSession(settings, asked, ({ run, http, state, issuing, notifiers }) =>
    diagnose({
      settings,
      write,
      notify,
      run,
      http,
      endpoint: createEndpoint(),
      state: () => state(settings.store, settings),
      issuing: async () =>
        issuing(settings, beforeDeployment((await state(settings.store, settings)).records.source)),
      notifiers: () => notifiers(settings.notifiers),
      client: ({ name, instance }, signing) =>
        huaweiClient(settings, { name, instance: { ...instance, signing } }, http, clock),
    }),
  )
}

/** In a bucket that the deployment has yet to make nothing is remembered; that it is absent is told of the store. */
const beforeDeployment =
  (source: (name: string) => SourceMemory) =>
  (name: string): SourceMemory => {
    const memory = source(name)
    const unlessAbsent = <T>(work: Promise<T>, instead: T): Promise<T> =>
      work.catch(error => {
        if (serviceErrorOf(error)?.code === 'NoSuchBucket') return instead
        throw error
      })
    return {
      ...memory,
      read: () => unlessAbsent(memory.read(), {}),
      update: change => unlessAbsent(memory.update(change), undefined),
    }
  }
