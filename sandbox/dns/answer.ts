import type { Answer } from 'dns-packet'
import {
  isWithin,
  normalizeName,
  type RecordSet,
  type View,
  type Zone,
  type ZoneRecordType,
  type Zones,
} from './zones.ts'

/** Response codes: https://www.rfc-editor.org/rfc/rfc1035#section-4.1.1 */
export const RCODE = { noError: 0, formErr: 1, servFail: 2, nxDomain: 3, notImp: 4, refused: 5 } as const

export interface Resolution {
  readonly rcode: number
  readonly authoritative: boolean
  readonly answers: readonly Answer[]
  readonly authorities: readonly Answer[]
  readonly additionals: readonly Answer[]
}

export interface Asked {
  readonly name: string
  readonly type: string
  readonly address: string
  /** Answer from every zone, as a resolver that reaches all of them would. */
  readonly recursive: boolean
}

type Step =
  | { readonly kind: 'refused' }
  | { readonly kind: 'lame' }
  | { readonly kind: 'found'; readonly set: RecordSet }
  | { readonly kind: 'alias'; readonly set: RecordSet; readonly target: string }
  | { readonly kind: 'referral'; readonly set: RecordSet }
  | { readonly kind: 'nothing'; readonly exists: boolean; readonly zone: Zone }

const MAX_ALIASES = 16
const MAX_STRING_BYTES = 255

const chunk = (text: string): Buffer[] => {
  const bytes = Buffer.from(text, 'utf8')
  const chunks: Buffer[] = []
  for (let at = 0; at < bytes.length; at += MAX_STRING_BYTES)
    chunks.push(bytes.subarray(at, at + MAX_STRING_BYTES))
  return chunks.length > 0 ? chunks : [Buffer.alloc(0)]
}

const soaAnswer = (name: string, ttl: number, value: string, serial: number): Answer => {
  const [mname = '', rname = '', , refresh, retry, expire, minimum] = value.split(' ')
  return {
    name,
    type: 'SOA',
    ttl,
    data: {
      mname,
      rname,
      serial,
      refresh: Number(refresh),
      retry: Number(retry),
      expire: Number(expire),
      minimum: Number(minimum),
    },
  }
}

const caaAnswer = (name: string, ttl: number, value: string): Answer => {
  const [, flags = '0', tag = '', text = ''] = /^(\d+) ([a-z0-9]+) "(.*)"$/i.exec(value) ?? []
  // The type knows three tags; a zone may hold any.
  return {
    name,
    type: 'CAA',
    ttl,
    data: { flags: Number(flags), tag: tag as 'issue', value: text, issuerCritical: Number(flags) >= 128 },
  }
}

const toAnswers = (set: RecordSet, owner: string, serial: number): Answer[] =>
  set.values.map((value): Answer => {
    const { type, ttl } = set
    if (type === 'SOA') return soaAnswer(owner, ttl, value, serial)
    if (type === 'CAA') return caaAnswer(owner, ttl, value)
    if (type === 'TXT') return { name: owner, type, ttl, data: chunk(value) }
    return { name: owner, type, ttl, data: normalizeName(value) }
  })

/** The name itself, then its parents down to, and without, the given ancestor. */
const upwards = (name: string, ancestor: string): string[] => {
  const names: string[] = []
  let current = name
  while (current !== ancestor && isWithin(current, ancestor)) {
    names.push(current)
    if (!current.includes('.')) break
    current = current.slice(current.indexOf('.') + 1)
  }
  return names
}

const wildcardFor = (view: View, zone: Zone, name: string): string | null => {
  if (view.has(name)) return null
  const parents = [...upwards(name, zone.name).slice(1), zone.name]
  const encloser = parents.find(parent => view.has(parent))
  return encloser === undefined ? null : `*.${encloser}`
}

const servedBy =
  (address: string) =>
  (zone: Zone): boolean =>
    zone.ns.some(ns => ns.address === address)

/** The addresses of name servers whose own zone is not configured, as any resolver would find them. */
const hostOutside = (zones: Zones, name: string, type: string): RecordSet | null => {
  if (type !== 'A' && type !== 'AAAA') return null
  const all = zones.list.flatMap(zone => zone.ns).filter(ns => ns.name === name)
  const values = new Set(all.map(ns => ns.address).filter(a => a.includes(':') === (type === 'AAAA')))
  return values.size > 0 ? { name, type, ttl: 300, values: [...values] } : null
}

function lookUp(zones: Zones, asked: Asked): Step {
  const { name, address, recursive } = asked
  const type = asked.type as ZoneRecordType
  const zone = zones.find(name, recursive ? () => true : servedBy(address))
  if (!zone) {
    const host = recursive ? hostOutside(zones, name, type) : null
    return host ? { kind: 'found', set: host } : { kind: 'refused' }
  }
  const view = zones.view(zone, address)
  const cut = upwards(name, zone.name)
    .reverse()
    .map(owner => view.get(owner, 'NS'))
    .find(set => set !== null)
  if (cut) return recursive ? { kind: 'lame' } : { kind: 'referral', set: cut }
  const owner = wildcardFor(view, zone, name) ?? name
  const set = view.get(owner, type)
  if (set) return { kind: 'found', set }
  const alias = view.get(owner, 'CNAME')
  const target = alias?.values[0]
  if (alias && target !== undefined) return { kind: 'alias', set: alias, target }
  return { kind: 'nothing', exists: view.has(owner), zone }
}

const serialAt = (zones: Zones, name: string, address: string): number => {
  const zone = zones.find(name)
  return zone ? zones.view(zone, address).serial : 0
}

const glue = (zones: Zones, set: RecordSet): Answer[] =>
  set.values.flatMap(host =>
    (['A', 'AAAA'] as const).flatMap(type => {
      const found = hostOutside(zones, normalizeName(host), type)
      return found ? toAnswers(found, found.name, 0) : []
    }),
  )

/** The SOA that says how long "nothing there" may be remembered: https://www.rfc-editor.org/rfc/rfc2308#section-3 */
const negativeSoa = (zones: Zones, zone: Zone, address: string): Answer[] => {
  const view = zones.view(zone, address)
  const set = view.get(zone.name, 'SOA')
  if (!set) return []
  const minimum = Number(set.values[0]?.split(' ').at(-1))
  return toAnswers({ ...set, ttl: Math.min(set.ttl, minimum) }, zone.name, view.serial)
}

/** Answers a question from the zones: https://www.rfc-editor.org/rfc/rfc1034#section-4.3.2 */
export function resolve(zones: Zones, asked: Asked): Resolution {
  const answers: Answer[] = []
  const seen = new Set<string>()
  const done = (rcode: number, extra: Partial<Resolution> = {}): Resolution => ({
    rcode,
    authoritative: !asked.recursive && rcode !== RCODE.refused,
    answers: rcode === RCODE.servFail ? [] : answers,
    authorities: [],
    additionals: [],
    ...extra,
  })
  let owner = asked.name
  while (!seen.has(normalizeName(owner)) && seen.size < MAX_ALIASES) {
    const name = normalizeName(owner)
    seen.add(name)
    const step = lookUp(zones, { ...asked, name })
    if (step.kind === 'lame') return done(RCODE.servFail)
    // An authoritative server ends the chain where its zones end; a resolver could not.
    if (step.kind === 'refused' && answers.length === 0) return done(RCODE.refused)
    if (step.kind === 'refused') return done(asked.recursive ? RCODE.servFail : RCODE.noError)
    if (step.kind === 'referral') {
      return done(RCODE.noError, {
        authoritative: answers.length > 0,
        authorities: toAnswers(step.set, step.set.name, 0),
        additionals: glue(zones, step.set),
      })
    }
    if (step.kind === 'nothing') {
      const authorities = negativeSoa(zones, step.zone, asked.address)
      return done(step.exists ? RCODE.noError : RCODE.nxDomain, { authorities })
    }
    answers.push(...toAnswers(step.set, owner, serialAt(zones, name, asked.address)))
    if (step.kind === 'found') return done(RCODE.noError)
    owner = normalizeName(step.target)
  }
  return done(asked.recursive ? RCODE.servFail : RCODE.noError)
}
