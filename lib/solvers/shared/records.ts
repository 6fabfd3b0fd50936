import type { DnsSolver, PropagationSettings, Run, SolverZone } from '../../contracts.ts'
import { bareName } from '../../dns/name.ts'
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
  /** The new record's id, or null when the very same record is there already. */
  add(zone: Zone, fqdn: string, value: string, run: Run): Promise<string | null>
  /** MUST succeed when it is gone already. */
  remove(zone: Zone, id: string, run: Run): Promise<void>
}

/** A solver over such a service: writes of one name one by one, and no change repeated blindly. */
export function createRecordSolver<Zone>(service: RecordService<Zone>): DnsSolver {
  const { driver, endpoint, propagation } = service
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
            const id = await service.add(zone, fqdn, value, run)
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
            for (const id of ids) await service.remove(zone, id, run)
            added.delete(keyOf(fqdn, value))
          }
        })
      }),
  }
}
