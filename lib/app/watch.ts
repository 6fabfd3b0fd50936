import { randomUUID } from 'node:crypto'
import type { Log } from '../base/log.ts'
import { systemClock } from '../base/time.ts'
import { loadWatch, type WatchSettings } from '../config/watch.ts'
import { type WatchAnswer, type Watching, watch as watchAll } from '../watch/watch.ts'
import { driverSchemas } from './drivers.ts'
import { oldestOf } from './fleet/shards.ts'
import { inSession, type Session, type SettingsRequest, surroundingsOf } from './session.ts'

/** What a door asks for. */
export interface WatchRequest extends SettingsRequest {
  readonly deadline: number
  readonly log: Log
}

/** Opens what the watchdog needs, and lets it look. @throws RotationError when it is not told what to watch */
export async function watch(request: WatchRequest): Promise<WatchAnswer> {
  const { clock = systemClock, log, deadline } = request
  const settings = await loadWatch(request.config, driverSchemas, surroundingsOf(request))
  const asked = { runId: randomUUID(), clock, log, deadline, finishMs: 0 }
  return inSession(settings, asked, async session =>
    watchAll({
      targets: settings.targets,
      rotator: rotatorOf(settings, session),
      run: session.run,
      http: session.http,
      notifiers: await session.notifiers(settings.notifiers),
      record: await recordOf(settings, session),
    }),
  )
}

const rotatorOf = ({ rotator }: WatchSettings, session: Session): Watching['rotator'] =>
  rotator && {
    silentAfterMs: rotator.silentAfterMs,
    lastRun: () => lastRunOf(rotator, session),
  }

/** Of the shard that has not run for the longest time. */
async function lastRunOf({ store, shards: count }: NonNullable<WatchSettings['rotator']>, session: Session) {
  const places = Array.from({ length: count }, (_, i) =>
    count === 1 ? store : { ...store, shard: { number: i + 1, count, previous: null } },
  )
  const runs = places.map(async place => (await session.state(place, null)).records.lastRun())
  return oldestOf(await Promise.all(runs))
}

async function recordOf({ store }: WatchSettings, session: Session): Promise<Watching['record']> {
  if (store === null) return null
  try {
    return (await session.state(store, null)).records.watch()
  } catch (error) {
    session.run.log.warn({ error: (error as Error).message }, 'the watchdog cannot open its store')
    return null
  }
}
