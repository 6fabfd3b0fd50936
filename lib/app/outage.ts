import { alertFailure } from '../alerts/alert-run.ts'
import { createHeartbeat } from '../alerts/heartbeat.ts'
import type { Log } from '../base/log.ts'
import { abortAfter, type Clock, MINUTE_MS } from '../base/time.ts'
import type { Alerting } from '../config/load.ts'
import { contextOf, openClients, openState } from './drivers.ts'
import { openNotifiers } from './open-notifiers.ts'

/** A run that did not get as far as its targets. */
export interface Outage {
  readonly alerting: Alerting
  readonly deadline: number
  readonly clock: Clock
  readonly log: Log
  readonly runId: string
}

const AT_MOST_MS = MINUTE_MS / 2

/** Tells people, with whatever of the settings can be used. Never throws. */
export async function tellOutage(
  { alerting, deadline, clock, log, runId }: Outage,
  thrown: unknown,
): Promise<void> {
  if (alerting.notifiers.length === 0 && alerting.heartbeat === null) return
  const clients = openClients(alerting.proxy)
  const until = Math.min(deadline, clock.now() + AT_MOST_MS)
  const { signal, clear } = abortAfter(Math.max(1, until - clock.now()))
  try {
    const context = contextOf(alerting, clients, { clock, log })
    const notifiers = await openNotifiers(alerting, context)
    const { store } = alerting
    const state = store && (await openState({ store }, context).catch(() => null))
    const run = { runId, clock, log, deadline: until, signal }
    const { intervalMs, heartbeat } = alerting
    await alertFailure({ run, records: state?.records ?? null, notifiers, intervalMs }, thrown)
    await createHeartbeat(heartbeat, { http: clients.http, runId, log }).end(false, String(thrown))
  } finally {
    clear()
    await clients.close()
  }
}
