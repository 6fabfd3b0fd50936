/** For services that keep each value as a record of its own: the records of the zones that are really served. */
import { createHash } from 'node:crypto'
import { isWithin, normalizeName, type Zone, ZoneError, type ZoneRecordType, type Zones } from '../zones.ts'

export interface Entry {
  /** 32 hex digits; the same as long as name, type and value are. */
  readonly id: string
  readonly zone: Zone
  /** Lower case, without the final dot. */
  readonly name: string
  readonly type: ZoneRecordType
  readonly value: string
  readonly ttl: number
}

export interface Entries {
  list(zone: Zone): readonly Entry[]
  /** Says why not, without changing anything. */
  add(entry: Omit<Entry, 'id'>): Added
  remove(entry: Entry): void
}

export type Added =
  | { readonly kind: 'added'; readonly entry: Entry }
  | { readonly kind: 'duplicate' | 'conflict' | 'bad-name' | 'quota' }

/** Letters, digits, hyphen and underscore, 63 to a label, 253 in all, within the zone. */
const isName = (name: string, zone: Zone): boolean =>
  name.length <= 253 &&
  isWithin(name, zone.name) &&
  name.split('.').every(label => /^(\*|[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)$/.test(label))

const entryOf = (entry: Omit<Entry, 'id'>): Entry => {
  const key = [entry.zone.name, entry.name, entry.type, entry.value].join('\n')
  return { ...entry, id: createHash('sha256').update(key).digest('hex').slice(0, 32) }
}

/** A number with up to nine digits for services whose ids are numbers. */
export const numberOf = ({ id }: Entry): number => Number.parseInt(id.slice(0, 7), 16) + 1

/** `quota`: how many records a zone may hold, SOA and NS included. */
export function createEntries(zones: Zones, quota = Number.POSITIVE_INFINITY): Entries {
  const list: Entries['list'] = zone =>
    zones
      .all(zone)
      .flatMap(({ name, type, ttl, values }) =>
        values.map(value => entryOf({ zone, name, type, value, ttl })),
      )
  return {
    list,
    add: given => {
      const entry = entryOf({ ...given, name: normalizeName(given.name) })
      const { zone, name, type, value, ttl } = entry
      if (!isName(name, zone)) return { kind: 'bad-name' }
      const there = list(zone)
      if (there.some(({ id }) => id === entry.id)) return { kind: 'duplicate' }
      if (there.length >= quota) return { kind: 'quota' }
      const values = zones.get(zone, name, type)?.values ?? []
      try {
        zones.set({ zone, name, type, ttl, values: [...values, value] })
      } catch (error) {
        if (error instanceof ZoneError) return { kind: 'conflict' }
        throw error
      }
      return { kind: 'added', entry }
    },
    remove: ({ zone, name, type, value }) => {
      const values = zones.get(zone, name, type)?.values ?? []
      zones.set({ zone, name, type, values: values.filter(other => other !== value) })
    },
  }
}
