import type { Log } from '../base/log.ts'
import { RotationError } from '../base/rotation-error.ts'
import { abortAfter, type Clock, SECOND_MS } from '../base/time.ts'
import type { Settings } from '../config/load.ts'
import { buildSolvers, buildSources, contextOf, openClients, openState } from './drivers.ts'

/** What `iotda-cert account rollover` asks for. */
export interface RolloverRequest {
  /** Name of an entry of `sources`. */
  readonly source: string
  readonly deadline: number
  readonly log: Log
  readonly signal?: AbortSignal
}

/** Version 1 of its answer; plain JSON. */
export interface RolloverAnswer {
  readonly version: 1
  readonly ok: true
  readonly source: string
  /** The account's URL, which a new key does not change. */
  readonly account: string
}

const FINISH_MS = 2 * SECOND_MS

/** Gives the account of a source another key. @throws RotationError `usage` for an unknown source, those of the source */
export async function rollover(
  { source: name, deadline, log, signal: parent }: RolloverRequest,
  settings: Settings,
  clock: Clock,
): Promise<RolloverAnswer> {
  if (!Object.hasOwn(settings.sources, name))
    throw usage(
      `there is no source "${name}"`,
      `Sources in the settings: ${Object.keys(settings.sources).join(', ')}.`,
    )
  const clients = openClients(settings.proxy)
  const { signal, clear } = abortAfter(Math.max(1, deadline - clock.now()), parent)
  try {
    const context = contextOf(settings, clients, { clock, log })
    const { records } = await openState(settings, context)
    const sources = await buildSources(
      settings,
      records.source,
      context,
      await buildSolvers(settings, context),
    )
    const change = sources[name]?.rollover
    if (!change) throw usage(`source "${name}" has no account`, 'Only ACME sources have accounts.')
    const run = { runId: 'account-rollover', clock, log, deadline: deadline - FINISH_MS, signal }
    return { version: 1, ok: true, source: name, account: await change(run) }
  } finally {
    clear()
    await clients.close()
  }
}

const usage = (message: string, hint: string): RotationError =>
  new RotationError('usage', message, { retry: 'never', hint })
