import { formatDuration, iso } from '../base/time.ts'
import type { Location } from './locate.ts'
import { type DnsAccess, openLookup, recordsIn } from './resolve/lookup.ts'
import type { Signature } from './resolve/response.ts'
import { zoneAbove } from './zone-cut.ts'

/** How long the signatures of zones hold, as their resolver shows them: nothing is verified here. */

export interface ZoneSignatures {
  readonly zone: string
  /** Over its SOA, its keys and its name servers; empty: it is not signed. */
  readonly signatures: readonly Signature[]
  /** Whether the resolver has validated them. */
  readonly isValidated: boolean
}

const SIGNED_TYPES = ['DNSKEY', 'NS'] as const

async function signaturesOf(zone: string, access: DnsAccess): Promise<ZoneSignatures> {
  const lookup = await openLookup(access)
  const soa = await lookup('SOA', zone, { signatures: true })
  recordsIn(soa, `SOA of ${zone}`)
  const first = soa.kind === 'failed' ? [] : (soa.signatures ?? [])
  const isValidated = soa.kind !== 'failed' && soa.isValidated === true
  if (first.length === 0) return { zone, signatures: [], isValidated }
  const others = await Promise.all(SIGNED_TYPES.map(type => lookup(type, zone, { signatures: true })))
  const rest = others.flatMap(it => (it.kind === 'failed' ? [] : (it.signatures ?? [])))
  return { zone, signatures: [...first, ...rest].filter(({ name }) => name === zone), isValidated }
}

/**
 * Of the zone of a domain, and of the one to which an alias of its challenge leads: one question for a zone that is not
 * signed, three for one that is. Nothing where the settings name the servers.
 * @throws RotationError `dnssec-broken`, `unavailable`
 */
export async function zoneSignatures(
  domain: string,
  { zone, aliases }: Location,
  access: DnsAccess,
): Promise<readonly ZoneSignatures[]> {
  if (zone === null) return []
  const own =
    aliases.length === 0 ? zone : await zoneAbove(`_acme-challenge.${domain}`, await openLookup(access))
  return Promise.all([...new Set([own, zone])].map(it => signaturesOf(it, access)))
}

/** Who signs by himself has signed anew by then. */
const LATE_SHARE = 1 / 4

/** When the first of a zone's signatures ends; null: it is not signed. */
export const signedUntil = ({ signatures }: ZoneSignatures): number | null =>
  signatures.length === 0 ? null : Math.min(...signatures.map(it => it.endsAt))

/**
 * What is to be said of a zone whose signatures end before the next renewal although what is left of them, less than a
 * quarter of the time that they are made for, should have been used to make new ones; null: nothing. Pure.
 */
export function endsTooSoon(zone: ZoneSignatures, now: number, renewalAt: number): string | null {
  const late = zone.signatures.filter(
    ({ startsAt, endsAt }) => endsAt < renewalAt && endsAt - now < (endsAt - startsAt) * LATE_SHARE,
  )
  if (late.length === 0) return null
  const endsAt = Math.min(...late.map(it => it.endsAt))
  return `DNSSEC signatures of ${zone.zone} end at ${iso(endsAt)}, in ${formatDuration(Math.max(0, endsAt - now))}, and are not made anew: no CA validates a name there after that`
}

export const SIGN_AGAIN = 'Let the DNS service sign the zone anew, and see that it goes on doing so.'
