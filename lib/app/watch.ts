import { randomUUID } from 'node:crypto'
import type { Log } from '../base/log.ts'
import { abortAfter, type Clock, systemClock } from '../base/time.ts'
import { functionSurroundings, type Runtime } from '../config/function.ts'
import { processSurroundings, type Surroundings } from '../config/load.ts'
import { loadWatch, type WatchSettings } from '../config/watch.ts'
import type { DriverContext, Run } from '../contracts.ts'
import { type WatchAnswer, type Watching, watch as watchAll } from '../watch/watch.ts'
import { contextOf, driverSchemas, openClients, openState } from './drivers.ts'
import { openNotifiers } from './open-notifiers.ts'
import { remoteOf } from './remote.ts'

/** What a door asks for. */
export interface WatchRequest {
  /** A file's path, or inline JSON; null: what IOTDA_CERT_WATCH says. */
  readonly config: string | null
  readonly deadline: number
  readonly log: Log
  readonly clock?: Clock
  readonly surroundings?: Surroundings
  readonly runtime?: Runtime
}

/** Opens what the watchdog needs, and lets it look. @throws RotationError when it is not told what to watch */
export async function watch(request: WatchRequest): Promise<WatchAnswer> {
  const { clock = systemClock, log, deadline } = request
  const startedAt = clock.now()
  const settings = await settingsOf(request, clock)
  const clients = openClients(settings.proxy)
  const { signal, clear } = abortAfter(Math.max(1, deadline - startedAt))
  const run: Run = { runId: randomUUID(), clock, log, deadline, signal }
  const context = contextOf(settings, clients, { clock, log })
  try {
    return await watchAll({
      targets: settings.targets,
      rotator: rotatorOf(settings, context),
      run,
      notifiers: await openNotifiers(settings, context),
      record: await openRecord(settings, context, log),
    })
  } finally {
    clear()
    await clients.close()
  }
}

function settingsOf({ config, surroundings, runtime }: WatchRequest, clock: Clock): Promise<WatchSettings> {
  const process = surroundings ?? processSurroundings()
  const around = runtime ? functionSurroundings(process, runtime) : process
  return loadWatch(config, driverSchemas, { remote: remoteOf(around, clock), ...around })
}

type Context = (name: string) => DriverContext

const rotatorOf = ({ rotator }: WatchSettings, context: Context): Watching['rotator'] =>
  rotator && {
    silentAfterMs: rotator.silentAfterMs,
    lastRun: async () => (await (await openState(rotator, context)).records.run().get()).last,
  }

async function openRecord({ store }: WatchSettings, context: Context, log: Log): Promise<Watching['record']> {
  if (store === null) return null
  try {
    return (await openState({ store }, context)).records.watch()
  } catch (error) {
    log.warn({ error: (error as Error).message }, 'the watchdog cannot open its store')
    return null
  }
}
