import type { DnsSolver, PropagationSettings, Run, SolverZone } from '../../contracts.ts'
import { bareName } from '../../dns/name.ts'
import { inTurn } from './turns.ts'
import { quotedTxt, textOfTxt } from './txt.ts'

/** What a record set is to hold, by what it holds; as many values as before: nothing is to be done. */
export type Apply = (values: readonly string[]) => readonly string[]

/** A DNS service that keeps all values of a name in one record set, other people's among them. */
export interface RecordSetService<Changed> {
  readonly propagation: PropagationSettings
  /** What writes are queued by, besides the name. */
  readonly queue: string
  /** What a write of a name is called in messages. */
  whatOf(fqdn: string): string
  prepare(fqdn: string, run: Run): Promise<SolverZone | null>
  /** Reads the record set, applies the change and writes it, so that no other writer's value is lost. */
  change(fqdn: string, apply: Apply, run: Run): Promise<Changed>
  /** Waits for a value that was added to be carried out. */
  confirm(fqdn: string, changed: Changed, run: Run): Promise<void>
}

/** A solver over such a service: values are merged in and taken out one by one. */
export function createRecordSetSolver<Changed>(service: RecordSetService<Changed>): DnsSolver {
  const { propagation, queue, whatOf, prepare, confirm } = service
  const change = (fqdn: string, apply: Apply, run: Run): Promise<Changed> =>
    inTurn(`${queue} ${bareName(fqdn)}`, whatOf(fqdn), run, () => service.change(fqdn, apply, run))
  return {
    propagation,
    prepare,
    present: async (fqdn, value, run) => {
      const add: Apply = values =>
        values.some(it => textOfTxt(it) === value) ? values : [...values, quotedTxt(value)]
      await confirm(fqdn, await change(fqdn, add, run), run)
    },
    cleanUp: async (fqdn, value, run) => {
      await change(fqdn, values => values.filter(it => textOfTxt(it) !== value), run)
    },
  }
}
