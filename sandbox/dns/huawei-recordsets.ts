/** The record sets of Huawei Cloud DNS: their rules, states and errors, over the zones that are really served. */
import { createHash, randomBytes } from 'node:crypto'
import { isIPv4, isIPv6 } from 'node:net'
import { isWithin, type RecordSet, type Zone, ZoneError, type ZoneRecordType, type Zones } from './zones.ts'

export interface HuaweiDnsSwitches {
  /** How long a change stays pending; it is visible in DNS only afterwards. Default 0. */
  pendingMs: number
  /** The largest page of any list, whatever `limit` says. Default 500. */
  pageSize: number
  /** Record sets one zone may hold, SOA and NS included; one more is refused with DNS.0403. */
  recordSetQuota: number
}

/** An error answer of the service: https://support.huaweicloud.com/intl/en-us/api-dns/ErrorCode.html */
export class HuaweiDnsError extends Error {
  readonly status: number
  readonly code: string
  constructor(status: number, code: string, message: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

/** A record set as the service keeps it. */
export interface Entry {
  readonly id: string
  readonly zone: Zone
  readonly set: RecordSet
  readonly status: 'ACTIVE' | PendingStatus
  readonly description: string
  readonly createdAtMs: number
  readonly updatedAtMs: number
  /** SOA and NS of the zone itself. */
  readonly isDefault: boolean
}

export interface RecordSetStore {
  list(zone: Zone): readonly Entry[]
  show(zone: Zone, id: string): Entry
  create(zone: Zone, body: unknown): Entry
  update(zone: Zone, id: string, body: unknown): Entry
  remove(zone: Zone, id: string): Entry
}

type PendingStatus = 'PENDING_CREATE' | 'PENDING_UPDATE' | 'PENDING_DELETE'

interface Kept extends Omit<Entry, 'status' | 'isDefault'> {
  readonly pending: PendingStatus
  readonly pendingUntilMs: number
}

const TYPES: readonly string[] = ['A', 'AAAA', 'TXT', 'CNAME', 'NS', 'CAA']
const DEFAULT_TTL = 300
const MAX_TTL = 2_147_483_647
const MAX_STRING = 255
const LABEL = /^(\*|[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)$/
const QUOTED_STRINGS = /^"(?:[^"\\]|\\.)*"(?: "(?:[^"\\]|\\.)*")*$/

/** The zone's id: 32 hex digits, the same in every run. */
export const zoneIdOf = (zone: Zone): string =>
  createHash('sha256').update(zone.name).digest('hex').slice(0, 32)

const invalid = (code: string, message: string): HuaweiDnsError => new HuaweiDnsError(400, code, message)

const textOf = (record: string): string => {
  const strings = QUOTED_STRINGS.test(record) ? (record.match(/"(?:[^"\\]|\\.)*"/g) ?? []) : []
  if (strings.length === 0) throw invalid('DNS.0308', `TXT value without double quotes: ${record}`)
  const texts = strings.map(string => string.slice(1, -1).replace(/\\(.)/g, '$1'))
  if (texts.some(text => Buffer.byteLength(text) > MAX_STRING)) {
    throw invalid('DNS.0308', `a string of a TXT value has at most ${MAX_STRING} characters`)
  }
  return texts.join('')
}

const FORMS: Readonly<Record<string, (record: string) => boolean>> = {
  A: isIPv4,
  AAAA: isIPv6,
  CAA: record => /^\d{1,3} [a-z0-9]+ ".*"$/.test(record),
  CNAME: record => /^[a-z0-9_.-]+\.$/i.test(record),
  NS: record => /^[a-z0-9_.-]+\.$/i.test(record),
}

const valueFrom = (type: string, record: unknown): string => {
  if (typeof record !== 'string') throw invalid('DNS.0308', 'a record is a string')
  if (type === 'TXT') return textOf(record)
  if (!FORMS[type]?.(record)) throw invalid('DNS.0308', `invalid ${type} value: ${record}`)
  return type === 'CNAME' || type === 'NS' ? record.toLowerCase().replace(/\.$/, '') : record
}

const quoted = (text: string): string => {
  const bytes = Buffer.from(text, 'utf8')
  const strings: string[] = []
  for (let at = 0; at === 0 || at < bytes.length; at += MAX_STRING) {
    strings.push(
      `"${bytes
        .subarray(at, at + MAX_STRING)
        .toString('utf8')
        .replace(/["\\]/g, '\\$&')}"`,
    )
  }
  return strings.join(' ')
}

/** The values in the form of the API: TXT in literal double quotes, names with a final dot. */
export const recordsOf = (set: RecordSet): string[] =>
  set.values.map(value => {
    if (set.type === 'TXT') return quoted(value)
    if (set.type === 'NS' || set.type === 'CNAME') return `${value}.`
    if (set.type !== 'SOA') return value
    const [primary, mail, ...numbers] = value.split(' ')
    return `${primary}. ${mail}. (${numbers.join(' ')})`
  })

interface Wanted extends RecordSet {
  readonly description: string
}

const nameFrom = (zone: Zone, given: unknown): string => {
  if (typeof given !== 'string' || !given.endsWith('.')) throw invalid('DNS.0304', 'name must end with a dot')
  const name = given.slice(0, -1).toLowerCase()
  if (!isWithin(name, zone.name)) throw invalid('DNS.0304', `${given} is not in zone ${zone.name}.`)
  if (!name.split('.').every(label => LABEL.test(label))) throw invalid('DNS.0304', `invalid name: ${given}`)
  return name
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null

function parse(zone: Zone, body: unknown): Wanted {
  if (!isObject(body)) throw invalid('DNS.0002', 'invalid request')
  const { name, type, ttl = DEFAULT_TTL, records, description = '' } = body as Record<string, unknown>
  const wantedName = nameFrom(zone, name)
  if (typeof type !== 'string' || !TYPES.includes(type)) throw invalid('DNS.0307', 'invalid type')
  if (typeof ttl !== 'number' || !Number.isInteger(ttl) || ttl < 1 || ttl > MAX_TTL) {
    throw invalid('DNS.0303', `ttl must be a whole number from 1 to ${MAX_TTL}`)
  }
  if (!Array.isArray(records) || records.length === 0) throw invalid('DNS.0308', 'records are missing')
  const values = records.map(record => valueFrom(type, record))
  if (new Set(values).size < values.length) throw invalid('DNS.0308', 'the same record twice')
  if (typeof description !== 'string' || description.length > 255) {
    throw invalid('DNS.0002', 'description has at most 255 characters')
  }
  return { name: wantedName, type: type as ZoneRecordType, ttl, values, description }
}

const refusingConflicts = (change: () => void): void => {
  try {
    change()
  } catch (error) {
    if (error instanceof ZoneError) throw invalid('DNS.0016', error.message)
    throw error
  }
}

interface Ledger {
  /** The zone's record sets by name and type, those that are being deleted included. */
  current(zone: Zone): Kept[]
  keep(zone: Zone, set: RecordSet, change: Partial<Kept>): Kept
  isPending(kept: Kept): boolean
}

const keyOf = (zone: Zone, set: Pick<RecordSet, 'name' | 'type'>): string =>
  `${zone.name} ${set.name} ${set.type}`

/** What the service knows beyond the zones: ids, times, states. */
function createLedger(zones: Zones, now: () => number): Ledger {
  const known = new Map<string, Kept>()
  const isPending = (kept: Kept): boolean => now() < kept.pendingUntilMs
  const keep = (zone: Zone, set: RecordSet, change: Partial<Kept>): Kept => {
    const kept: Kept = {
      id: randomBytes(16).toString('hex'),
      description: '',
      createdAtMs: now(),
      updatedAtMs: now(),
      pending: 'PENDING_CREATE',
      pendingUntilMs: now(),
      ...change,
      zone,
      set,
    }
    known.set(keyOf(zone, set), kept)
    return kept
  }
  const current = (zone: Zone): Kept[] => {
    const present = zones.all(zone).map(set => {
      const kept = known.get(keyOf(zone, set))
      // Others write to the zones too: a set they made gets its id when it is first seen.
      return keep(zone, set, kept && kept.pending !== 'PENDING_DELETE' ? kept : {})
    })
    const leaving = [...known.values()].filter(
      kept => kept.zone === zone && kept.pending === 'PENDING_DELETE' && isPending(kept),
    )
    return [...present, ...leaving].sort((a, b) => (keyOf(zone, a.set) < keyOf(zone, b.set) ? -1 : 1))
  }
  return { current, keep, isPending }
}

const entryOf = (kept: Kept, status: Entry['status']): Entry => ({
  ...kept,
  status,
  isDefault: kept.set.name === kept.zone.name && ['SOA', 'NS'].includes(kept.set.type),
})

const findIn = (sets: readonly Kept[], id: string): Kept => {
  const kept = sets.find(candidate => candidate.id === id)
  if (!kept) throw new HuaweiDnsError(404, 'DNS.0313', `record set ${id} does not exist`)
  return kept
}

/** The record sets of all zones: those made through the API and those that others put into the zones. */
export function createRecordSetStore(
  zones: Zones,
  switches: Readonly<HuaweiDnsSwitches>,
  now: () => number,
): RecordSetStore {
  const { current, keep, isPending } = createLedger(zones, now)
  const asOfNow = (kept: Kept): Entry => entryOf(kept, isPending(kept) ? kept.pending : 'ACTIVE')
  const find = (zone: Zone, id: string): Kept => findIn(current(zone), id)
  const findSettled = (zone: Zone, id: string): Kept => {
    const kept = find(zone, id)
    if (isPending(kept)) throw invalid('DNS.0314', `record set ${id} is ${kept.pending}`)
    return kept
  }
  const change = (zone: Zone, set: RecordSet, values: readonly string[], kept: Partial<Kept>): Entry => {
    const delayMs = switches.pendingMs
    refusingConflicts(() => zones.set({ ...set, zone, values, delayMs }))
    const changed = keep(zone, set, { ...kept, updatedAtMs: now(), pendingUntilMs: now() + delayMs })
    return entryOf(changed, changed.pending)
  }
  return {
    list: zone => current(zone).map(asOfNow),
    show: (zone, id) => asOfNow(find(zone, id)),
    create: (zone, body) => {
      const { description, ...set } = parse(zone, body)
      const sets = current(zone)
      if (sets.some(({ set: other }) => keyOf(zone, other) === keyOf(zone, set))) {
        throw invalid('DNS.0312', `${set.name}. already has a ${set.type} record set`)
      }
      if (sets.length >= switches.recordSetQuota) {
        throw new HuaweiDnsError(403, 'DNS.0403', 'the record set quota is exhausted')
      }
      return change(zone, set, set.values, { description, pending: 'PENDING_CREATE' })
    },
    update: (zone, id, body) => {
      const kept = findSettled(zone, id)
      // What is left out stays as it is.
      const before = { name: `${kept.set.name}.`, type: kept.set.type, ttl: kept.set.ttl }
      const { description, ...set } = parse(zone, isObject(body) ? { ...before, ...body } : body)
      if (set.name !== kept.set.name) throw invalid('DNS.0304', 'the name of a record set does not change')
      if (set.type !== kept.set.type) throw invalid('DNS.0307', 'the type of a record set does not change')
      return change(zone, set, set.values, { ...kept, description, pending: 'PENDING_UPDATE' })
    },
    remove: (zone, id) => {
      const kept = findSettled(zone, id)
      if (entryOf(kept, 'ACTIVE').isDefault)
        throw invalid('DNS.0317', 'a default record set cannot be deleted')
      return change(zone, kept.set, [], { ...kept, pending: 'PENDING_DELETE' })
    },
  }
}
