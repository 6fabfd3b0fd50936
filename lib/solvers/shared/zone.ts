import { createShared } from '../../base/parallel.ts'
import { RotationError } from '../../base/rotation-error.ts'
import type { Run } from '../../contracts.ts'
import { bareName, checkName } from '../../dns/name.ts'

/** How a service is asked for a zone by its exact name. */
export interface ZoneLookUp<Zone> {
  /** E.g. `solver dns (cloudflare)`. */
  readonly driver: string
  /** The service's name of the call. */
  readonly operation: string
  /** The zone of that name (lower case, without the final dot), or null. */
  readonly find: (name: string) => Promise<Zone | null>
  readonly hint: string
  readonly run: Run
}

/** A thousand names in one zone ask for it once a run. */
const shared = createShared()

/**
 * The longest zone that holds a name, by asking for the name itself, then for each of its parents.
 * @throws RotationError `solver-zone-missing`, `settings-invalid` for what is no DNS name
 */
export async function longestZone<Zone>(fqdn: string, lookUp: ZoneLookUp<Zone>): Promise<Zone> {
  const { driver, operation, find, hint, run } = lookUp
  checkName(fqdn, driver)
  const labels = bareName(fqdn).split('.')
  for (let at = 0; at < labels.length; at += 1) {
    const name = labels.slice(at).join('.')
    const zone = await shared(run, `${driver} ${name}`, () => find(name))
    if (zone !== null) return zone
  }
  throw new RotationError('solver-zone-missing', `${driver}: ${operation}: no zone holds ${fqdn}`, {
    retry: 'never',
    hint,
  })
}

/** A name relative to its zone: `@` for the zone itself. */
export const relativeName = (fqdn: string, zone: string): string => {
  const name = bareName(fqdn)
  return name === bareName(zone) ? '@' : name.slice(0, -bareName(zone).length - 1)
}
