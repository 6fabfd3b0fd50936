import type { Log } from '../base/log.ts'
import { RotationError } from '../base/rotation-error.ts'
import { systemClock } from '../base/time.ts'
import { partsOf } from './fleet/shards.ts'
import { inSession, type SettingsRequest, settingsOf } from './session.ts'

/** What `iotda-cert account rollover` asks for. */
export interface RolloverRequest extends SettingsRequest {
  /** Name of an entry of `sources`. */
  readonly source: string
  readonly deadline: number
  readonly log: Log
}

/** Version 1 of its answer; plain JSON. */
export interface RolloverAnswer {
  readonly version: 1
  readonly ok: true
  readonly source: string
  /** The account's URL, which a new key does not change; of shards, the URL of each. */
  readonly account: string
}

/** Gives the account of a source another key. @throws RotationError `usage` for an unknown source, those of the source */
export async function rollover(request: RolloverRequest): Promise<RolloverAnswer> {
  const { source, deadline, log, clock = systemClock } = request
  const settings = await settingsOf(request)
  if (!Object.hasOwn(settings.sources, source))
    throw usage(
      `there is no source "${source}"`,
      `Sources in the settings: ${Object.keys(settings.sources).join(', ')}.`,
    )
  return inSession(settings, { runId: 'account-rollover', clock, log, deadline }, async session => {
    const accounts: string[] = []
    // Each shard has an account of its own.
    for (const part of partsOf(settings)) {
      const { records } = await session.state(part.store, part)
      const { sources } = await session.issuing(part, records.source)
      const change = sources[source]?.rollover
      if (!change) throw usage(`source "${source}" has no account`, 'Only ACME sources have accounts.')
      accounts.push(await change(session.run))
    }
    return { version: 1, ok: true, source, account: accounts.join(', ') }
  })
}

const usage = (message: string, hint: string): RotationError =>
  new RotationError('usage', message, { retry: 'never', hint })
