import type { DnsSolver, PropagationSettings, Run, SolverZone } from '../../contracts.ts'
import { bareName } from '../../dns/name.ts'
import { serviceErrorOf } from '../../http/api-call.ts'
import { settled } from '../../http/repeat.ts'
import { inTurn } from './turns.ts'

/** One TXT value as its service keeps it. */
export interface TxtEntry {
  readonly id: string
  readonly text: string
}

/** A DNS service that keeps each value as a record of its own, so that other people's are never touched. */
export interface RecordService<Zone> {
  /** E.g. `solver dns (cloudflare)`. */
  readonly driver: string
  readonly endpoint: string
  readonly propagation: PropagationSettings
  /** The longest zone that holds the name. @throws RotationError `solver-zone-missing` */
  findZone(fqdn: string, run: Run): Promise<Zone>
  /** What the service tells of it. */
  describe(zone: Zone): SolverZone
  /** Every TXT record of exactly this name. */
  list(zone: Zone, fqdn: string, run: Run): Promise<readonly TxtEntry[]>
  /** The new record's id. */
  add(zone: Zone, fqdn: string, value: string, run: Run): Promise<string>
  remove(zone: Zone, id: string, run: Run): Promise<unknown>
  /** The service's codes for a record that is there already, the very same, and for one that is gone already. */
  readonly done: { readonly added: ReadonlySet<string>; readonly removed: ReadonlySet<string> }
}

/** Null when the service says that it is done already. */
const unlessDone = <T>(work: Promise<T>, codes: ReadonlySet<string>): Promise<T | null> =>
  work.catch(error => {
    if (codes.has(serviceErrorOf(error)?.code ?? '')) return null
    throw error
  })

/** A solver over such a service: writes of one name one by one, and no change repeated blindly. */
export function createRecordSolver<Zone>(service: RecordService<Zone>): DnsSolver {
  const { driver, endpoint, propagation, done } = service
  const whatOf = (fqdn: string): string => `${driver}: TXT records of ${fqdn}`
  const queued = (fqdn: string, run: Run, work: () => Promise<void>): Promise<void> =>
    inTurn(`${endpoint} ${bareName(fqdn)}`, whatOf(fqdn), run, work)
  const listed = async (zone: Zone, fqdn: string, value: string, run: Run): Promise<readonly string[]> =>
    (await service.list(zone, fqdn, run)).filter(({ text }) => text === value).map(({ id }) => id)
  // Some services list a new record only after a while; its id is known at once.
  const added = new Map<string, string>()
  const keyOf = (fqdn: string, value: string): string => `${bareName(fqdn)} ${value}`

  return {
    propagation,
    prepare: async (fqdn, run) => service.describe(await service.findZone(fqdn, run)),
    present: (fqdn, value, run) =>
      queued(fqdn, run, async () => {
        const zone = await service.findZone(fqdn, run)
        await settled(run, whatOf(fqdn), async () => {
          if ((await listed(zone, fqdn, value, run)).length > 0) return null
          return async () => {
            const id = await unlessDone(service.add(zone, fqdn, value, run), done.added)
            if (id !== null) added.set(keyOf(fqdn, value), id)
          }
        })
      }),
    cleanUp: (fqdn, value, run) =>
      queued(fqdn, run, async () => {
        const zone = await service.findZone(fqdn, run)
        await settled(run, whatOf(fqdn), async () => {
          const known = added.get(keyOf(fqdn, value)) ?? []
          const ids = new Set((await listed(zone, fqdn, value, run)).concat(known))
          if (ids.size === 0) return null
          return async () => {
            for (const id of ids) await unlessDone(service.remove(zone, id, run), done.removed)
            added.delete(keyOf(fqdn, value))
          }
        })
      }),
  }
}
