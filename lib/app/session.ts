import type { NamedNotifier } from '../alerts/outbox.ts'
import { type Log, logWith } from '../base/log.ts'
import { abortAfter, type Clock, SECOND_MS, systemClock } from '../base/time.ts'
import { readObject } from '../clouds/aws/s3.ts'
import { readSecret } from '../clouds/aws/secretsmanager.ts'
import { readCsms } from '../clouds/huawei/csms.ts'
import { type Alerting, loadSettings, processSurroundings, type Settings } from '../config/load.ts'
import { proxyFrom } from '../config/proxy.ts'
import type { Remote } from '../config/remote.ts'
import { functionSurroundings, type Runtime, type Surroundings } from '../config/surroundings.ts'
import type { Run, StateStore } from '../contracts.ts'
import { createHttp } from '../http/client.ts'
import { type Clients, openClients } from './clients.ts'
import {
  type ContextOf,
  contextOf,
  driverSchemas,
  type Issuing,
  makeNotifiers,
  makeSources,
  makeState,
  type State,
} from './drivers.ts'
import type { Warm } from './warm-cache.ts'

// --- settings ----------------------------------------------------------------------------------------------

/** Where a door's settings stand, and what they are read with. */
export interface SettingsRequest {
  /** A file's path, or inline JSON; null: what the environment says. */
  readonly config: string | null
  readonly clock?: Clock
  readonly surroundings?: Surroundings
  /** Inside a function: what its runtime tells besides the environment. */
  readonly runtime?: Runtime
  /** What the process keeps from one event to the next. */
  readonly warm?: Warm
}

/** Reads settings, and secrets of them, from the cloud service that keeps them. */
export const remoteOf =
  (around: Surroundings, clock: Clock): Remote =>
  async question => {
    const caCertificates = question.scheme === 'csms' ? null : question.caCertificates
    const http = createHttp({ proxy: proxyFrom(around), caCertificates })
    try {
      if (question.scheme === 'csms') {
        const { keys, ...access } = question
        return await readCsms(question.name, { ...access, http, clock, keys: async () => keys })
      }
      const read = question.scheme === 's3' ? readObject : readSecret
      return await read(question.name, { ...question, http, clock })
    } finally {
      await http.close()
    }
  }

const withRemote = (around: Surroundings, clock: Clock): Surroundings => ({
  remote: remoteOf(around, clock),
  ...around,
})

function processOf({ surroundings = processSurroundings(), runtime }: SettingsRequest): Surroundings {
  if (runtime) return functionSurroundings(surroundings, runtime)
  const awsKeys = async () => (await import('../clouds/aws/credential-chain.ts')).credentialChain()
  // Its keys are taken, so its region is expected to be.
  const absent = (name: string) =>
    surroundings.env.AWS_PROFILE && name.split(' or ').includes('AWS_REGION')
      ? 'environment variable AWS_REGION is not set, and the region of AWS_PROFILE is not read: export AWS_REGION=...'
      : undefined
  return { awsKeys, absent, ...surroundings }
}

/** What the process stands on, with a way to what stands in a cloud service. */
export const surroundingsOf = (request: SettingsRequest): Surroundings =>
  withRemote(processOf(request), request.clock ?? systemClock)

/** The settings of the rotator; `salvaged` is told first with what a mistake can be reported. @throws RotationError */
export function settingsOf(
  request: SettingsRequest,
  salvaged?: (alerting: Alerting) => void,
): Promise<Settings> {
  const { config, warm, clock = systemClock } = request
  const load = (around: Surroundings): Promise<Settings> =>
    loadSettings(config, driverSchemas, withRemote(around, clock), salvaged)
  const around = processOf(request)
  return warm ? warm.settings(config, around, load, clock) : load(around)
}

// --- what is opened ----------------------------------------------------------------------------------------

export interface SessionRequest {
  readonly runId: string
  readonly clock: Clock
  readonly log: Log
  /** Whatever still hangs then is let go of. */
  readonly deadline: number
  /** What is kept of that for finishing. */
  readonly finishMs?: number
  readonly signal?: AbortSignal
  /** Clients of whoever asks, to be closed like any other; otherwise the session has its own. */
  readonly clients?: Clients
}

/** What one piece of work may use, until it ends. */
export interface Session {
  readonly run: Run
  readonly http: Clients['http']
  readonly context: ContextOf
  /** `settings` null: what documents there may be is not known. */
  readonly state: (store: Settings['store'], settings: Settings | null) => Promise<State>
  readonly notifiers: (chosen: Alerting['notifiers']) => Promise<readonly NamedNotifier[]>
  readonly issuing: (settings: Settings, memory: State['records']['source']) => Promise<Issuing>
}

/** The answer must be out before the platform ends the process. */
export const FINISH_MS = 2 * SECOND_MS

/** Where in a store the documents of a shard are; of the whole: the store itself. */
async function placeIn({ shard }: Settings['store'], settings: Settings | null) {
  if (!shard) return undefined
  const { shardStore } = await import('./fleet/shards.ts')
  return (store: StateStore) => shardStore(store, shard, settings)
}

/** Opens what the work needs, and closes it when the work has ended. */
export async function inSession<Done>(
  settings: Pick<Alerting, 'credentials' | 'proxy'>,
  request: SessionRequest,
  work: (session: Session) => Promise<Done>,
): Promise<Done> {
  const { runId, clock, deadline, finishMs = FINISH_MS } = request
  const log = logWith(request.log, { runId })
  const clients = request.clients ?? openClients(settings.proxy, clock)
  const { signal, clear } = abortAfter(Math.max(1, deadline - clock.now()), request.signal)
  const context = contextOf(settings, { http: clients.http, clock, log })
  try {
    return await work({
      run: { runId, clock, log, deadline: deadline - finishMs, signal },
      http: clients.http,
      context,
      state: async (store, chosen) => makeState(store, context, chosen, await placeIn(store, chosen)),
      notifiers: chosen => makeNotifiers(chosen, context),
      issuing: (chosen, memory) => makeSources(chosen, memory, context),
    })
  } finally {
    clear()
    await clients.close()
  }
}
