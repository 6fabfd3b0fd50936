/**
 * The zones of the sandbox's DNS: one truth, and for each server address a view of it that may lag behind.
 */

/** The record types the sandbox holds. */
export type ZoneRecordType = 'SOA' | 'NS' | 'A' | 'AAAA' | 'TXT' | 'CNAME' | 'CAA'

/**
 * All values of one name and type. Names are lower case without the final dot; values are in presentation
 * form, but a TXT value is the bare joined text: `0 issue "ca.test"` (CAA), `primary mail 1 2 3 4 5` (SOA).
 */
export interface RecordSet {
  readonly name: string
  readonly type: ZoneRecordType
  readonly ttl: number
  readonly values: readonly string[]
}

export interface NameServer {
  readonly name: string
  readonly address: string
}

export interface ZoneSpec {
  readonly name: string
  readonly ns: readonly NameServer[]
  /** More records to start with. */
  readonly records?: readonly (Omit<RecordSet, 'ttl'> & { readonly ttl?: number })[]
  /** Last field of the SOA: how long a resolver may remember that a name does not exist. */
  readonly negativeTtl?: number
}

export interface Zone {
  readonly name: string
  readonly ns: readonly NameServer[]
}

export interface SetRecords {
  readonly name: string
  readonly type: ZoneRecordType
  /** All values from now on; none deletes the set. */
  readonly values: readonly string[]
  readonly ttl?: number
  /** Visible in DNS this much later, before any lag of an address. */
  readonly delayMs?: number
  /** The zone to write to, if not the deepest one that holds the name (delegations, glue). */
  readonly zone?: Zone
}

/** What one address currently serves of one zone. */
export interface View {
  readonly serial: number
  get(name: string, type: ZoneRecordType): RecordSet | null
  /** True for names with records and for names above such names. */
  has(name: string): boolean
}

export interface Zones {
  readonly list: readonly Zone[]
  /** The deepest zone that holds the name, among those that `among` admits. */
  find(name: string, among?: (zone: Zone) => boolean): Zone | null
  get(zone: Zone, name: string, type: ZoneRecordType): RecordSet | null
  all(zone: Zone): readonly RecordSet[]
  set(change: SetRecords): void
  add(name: string, type: ZoneRecordType, value: string): void
  /** Removes exactly this value; other values of the name stay. */
  remove(name: string, type: ZoneRecordType, value: string): void
  view(zone: Zone, address: string): View
  /** Later changes reach this address so much later; a shorter lag also hurries those under way. */
  setLag(address: string, lagMs: number): void
}

/** A change that no DNS service would accept. */
export class ZoneError extends Error {
  readonly code: 'no-zone' | 'cname-conflict'
  constructor(code: 'no-zone' | 'cname-conflict', message: string) {
    super(message)
    this.code = code
  }
}

interface Change extends RecordSet {
  readonly changedAtMs: number
  readonly lagsMs: Map<string, number>
}

interface ZoneData extends Zone {
  readonly changes: Change[]
  /** History of each name and type, oldest first. */
  readonly sets: Map<string, Change[]>
}

const DEFAULT_TTL = 300

/** Lower case, without the final dot. */
export const normalizeName = (name: string): string => name.toLowerCase().replace(/\.$/, '')

/** True when the name is the ancestor or lies below it. */
export const isWithin = (name: string, ancestor: string): boolean =>
  ancestor === '' || name === ancestor || name.endsWith(`.${ancestor}`)

const keyOf = (name: string, type: string): string => `${name} ${type}`

const filled = (change: Change | undefined): RecordSet | null =>
  change && change.values.length > 0
    ? { name: change.name, type: change.type, ttl: change.ttl, values: change.values }
    : null

function viewOf(data: ZoneData, address: string, now: () => number): View {
  const isVisible = (change: Change): boolean =>
    change.changedAtMs + (change.lagsMs.get(address) ?? 0) <= now()
  const last = (history: readonly Change[]): RecordSet | null => filled(history.findLast(isVisible))
  return {
    get serial() {
      return data.changes.filter(isVisible).length
    },
    get: (name, type) => last(data.sets.get(keyOf(name, type)) ?? []),
    has: name => {
      for (const [key, history] of data.sets) {
        if (isWithin(key.slice(0, key.indexOf(' ')), name) && last(history)) return true
      }
      return false
    },
  }
}

function refuseCnameBesideOthers(data: ZoneData, name: string, type: ZoneRecordType): void {
  for (const history of data.sets.values()) {
    const set = filled(history.at(-1))
    if (!set || set.name !== name || set.type === type) continue
    if (set.type === 'CNAME' || type === 'CNAME') {
      throw new ZoneError('cname-conflict', `${name} has ${set.type} records, so it cannot have ${type}`)
    }
  }
}

type Truth = Pick<Zones, 'list' | 'find' | 'get' | 'all' | 'set' | 'setLag'> & {
  readonly dataOf: (zone: Zone) => ZoneData
  readonly zoneFor: (name: string) => ZoneData
}

const findIn = (list: readonly ZoneData[], name: string, among: (zone: Zone) => boolean): ZoneData | null =>
  list
    .filter(zone => isWithin(normalizeName(name), zone.name) && among(zone))
    .sort((a, b) => b.name.length - a.name.length)[0] ?? null

function createTruth(list: readonly ZoneData[], now: () => number): Truth {
  const lagsMs = new Map<string, number>()
  const orThrow = (data: ZoneData | null | undefined, name: string): ZoneData => {
    if (data) return data
    throw new ZoneError('no-zone', `no zone for ${name}`)
  }
  const dataOf = (zone: Zone): ZoneData =>
    orThrow(
      list.find(known => known.name === zone.name),
      zone.name,
    )
  const zoneFor = (name: string): ZoneData =>
    orThrow(
      findIn(list, name, () => true),
      name,
    )
  const get = (zone: Zone, name: string, type: ZoneRecordType): RecordSet | null =>
    filled(
      dataOf(zone)
        .sets.get(keyOf(normalizeName(name), type))
        ?.at(-1),
    )
  const set = (change: SetRecords): void => {
    const name = normalizeName(change.name)
    const data = change.zone ? dataOf(change.zone) : zoneFor(name)
    if (!isWithin(name, data.name)) throw new ZoneError('no-zone', `${name} is not in ${data.name}`)
    if (change.values.length > 0) refuseCnameBesideOthers(data, name, change.type)
    const entry: Change = {
      name,
      type: change.type,
      ttl: change.ttl ?? get(data, name, change.type)?.ttl ?? DEFAULT_TTL,
      values: [...change.values],
      changedAtMs: now() + (change.delayMs ?? 0),
      lagsMs: new Map(lagsMs),
    }
    const key = keyOf(name, change.type)
    data.sets.set(key, [...(data.sets.get(key) ?? []), entry])
    data.changes.push(entry)
  }
  const setLag = (address: string, lagMs: number): void => {
    lagsMs.set(address, lagMs)
    for (const change of list.flatMap(zone => zone.changes)) {
      change.lagsMs.set(address, Math.min(change.lagsMs.get(address) ?? 0, lagMs))
    }
  }
  const all = (zone: Zone): readonly RecordSet[] =>
    [...dataOf(zone).sets.values()].flatMap(history => filled(history.at(-1)) ?? [])
  const find: Zones['find'] = (name, among = () => true) => findIn(list, name, among)
  return { list, find, get, all, set, setLag, dataOf, zoneFor }
}

/** Creates the zones with their SOA, NS, the addresses of their name servers, and delegations from parents. */
export function createZones(specs: readonly ZoneSpec[], now: () => number = Date.now): Zones {
  const list: readonly ZoneData[] = specs.map(spec => ({
    name: normalizeName(spec.name),
    ns: spec.ns.map(ns => ({ name: normalizeName(ns.name), address: ns.address })),
    changes: [],
    sets: new Map(),
  }))
  const { dataOf, zoneFor, ...truth } = createTruth(list, now)
  const valuesOf = (name: string, type: ZoneRecordType): readonly string[] =>
    truth.get(zoneFor(name), name, type)?.values ?? []
  const zones: Zones = {
    ...truth,
    add: (name, type, value) => {
      const values = valuesOf(name, type)
      if (!values.includes(value)) truth.set({ name, type, values: [...values, value] })
    },
    remove: (name, type, value) => {
      const values = valuesOf(name, type)
      if (!values.includes(value)) return
      truth.set({ name, type, values: values.filter(other => other !== value) })
    },
    view: (zone, address) => viewOf(dataOf(zone), address, now),
  }
  for (const spec of specs) fill(zones, spec)
  return zones
}

function fill(zones: Zones, spec: ZoneSpec): void {
  const name = normalizeName(spec.name)
  const zone = zones.find(name, candidate => candidate.name === name)
  if (!zone) throw new ZoneError('no-zone', `no zone ${name}`)
  const primary = zone.ns[0]?.name ?? `ns.${name}`
  const soa = `${primary} hostmaster.${name} 1 7200 900 1209600 ${spec.negativeTtl ?? 300}`
  zones.set({ zone, name, type: 'SOA', values: [soa] })
  const parent = zones.find(name, candidate => candidate.name !== name)
  const nsNames = [...new Set(zone.ns.map(ns => ns.name))]
  for (const holder of parent ? [zone, parent] : [zone]) {
    if (nsNames.length > 0) zones.set({ zone: holder, name, type: 'NS', values: nsNames })
    for (const host of nsNames.filter(host => isWithin(host, holder.name))) {
      for (const { address } of zone.ns.filter(ns => ns.name === host)) {
        const type = address.includes(':') ? 'AAAA' : 'A'
        const known = zones.get(holder, host, type)?.values ?? []
        zones.set({ zone: holder, name: host, type, values: [...new Set([...known, address])] })
      }
    }
  }
  for (const record of spec.records ?? []) zones.set({ zone, ...record })
}
