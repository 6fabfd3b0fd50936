import { createTurns } from '../base/parallel.ts'
import type { Settings } from '../config/load.ts'
import type { DriverContext, Run, StateStore } from '../contracts.ts'
import { createIotdaClient } from '../iotda/client.ts'
import { createEndpoint } from '../iotda/endpoint.ts'
import type { RunEvent } from '../model/outcomes.ts'
import type { Target } from '../model/target.ts'
import type { RotationSetup } from '../rotation/context.ts'
import { type Records, specHashOf } from '../state/state.ts'
import { buildSolvers, buildSources, type Clients, huaweiClient, need } from './drivers.ts'

/** What was made before, for every target. */
export interface Made {
  readonly current: Run
  readonly clients: Clients
  readonly context: (name: string) => DriverContext
  readonly store: StateStore
  readonly records: Records
  readonly isPublished: boolean
  /** Otherwise a source keeps nothing of what it learns. */
  readonly changesSomething: boolean
}

const onlyRead =
  ({ source }: Records): Records['source'] =>
  name => ({ ...source(name), update: async () => {} })

/** Everything that the rotation of a target may touch. */
export async function worlds(
  settings: Settings,
  progress: RotationSetup['progress'],
  { current, clients, context, store, records, isPublished, changesSomething }: Made,
): Promise<(target: Target, event: RunEvent) => RotationSetup> {
  const solver = await buildSolvers(settings, context)
  const memory = changesSomething ? records.source : onlyRead(records)
  const certificateSources = await buildSources(settings, memory, context, solver)
  const inTurn = createTurns()
  return (target, event) => {
    const spec = need(settings.certificates, target.certificate)
    return {
      target,
      spec,
      specHash: specHashOf(spec),
      event,
      run: current,
      intervalMs: settings.intervalMs,
      iotda: createIotdaClient(huaweiClient(settings, target, clients.http, current.clock)),
      endpoint: createEndpoint(),
      sources: certificateSources,
      store,
      records,
      sharing: settings.targets.filter(t => t.certificate === target.certificate),
      inTurn,
      canaryOf: need(settings.access, target.name).canaryOf,
      isPublished,
      progress,
    }
  }
}
