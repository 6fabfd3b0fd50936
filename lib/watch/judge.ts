import type { Condition } from '../alerts/decide.ts'
import { daysLeft, levelOf } from '../alerts/levels.ts'
import { formatDuration, iso } from '../base/time.ts'
import { judge } from '../devices/judge.ts'
import { rootsOf } from '../devices/roots.ts'
import type { Handshake } from '../iotda/endpoint.ts'
import type { Leaf } from '../model/certificate.ts'
import type { DeviceProfile } from '../model/device-profile.ts'
import type { EventName } from '../model/events.ts'
import { covers, parseChain } from '../x509/certificate.ts'
import { parseRoots } from '../x509/path.ts'
import { verifySent } from '../x509/sent.ts'

/** What was seen of one device port. */
export interface Look {
  readonly sni: string
  /** PEM; null: Node's. */
  readonly roots: string | null
  readonly profiles: readonly DeviceProfile[]
  readonly seen: readonly Handshake[]
  readonly now: number
}

/** One target with what is wrong with it. */
export interface Found {
  readonly name: string
  readonly domain: string | null
  readonly daysLeft: number | null
  readonly conditions: readonly Condition[]
}

/** From here on days left are worth a word: a rotator that is well has renewed by then. */
const LATE_LEVEL = 14

const state = (key: string, event: EventName, reason: string, level: number | null = null): Condition => ({
  ...{ key, event, reason, level, error: null },
})

/** What is wrong with a device port, for people. Pure. */
export function judgeLook(look: Look): readonly Condition[] {
  const answered = look.seen.filter(s => s.leaf !== null)
  const silent = look.seen.filter(s => s.leaf === null).map(s => `${s.address}: ${s.error}`)
  const found: Condition[] = []
  if (silent.length > 0) {
    const isPartly = answered.length > 0
    found.push({
      ...state('reach', 'watch-unreachable', `${isPartly ? 'at some addresses, ' : ''}${silent.join('; ')}`),
    })
  }
  const complaints = answered.map(s => complaintOf(s, look)).filter(c => c !== null)
  if (complaints[0]) found.push(complaints[0])
  const first = firstToEnd(answered)
  const level = first && levelOf(first, look.now)
  if (first && level !== null && level <= LATE_LEVEL)
    found.push(state('days', 'expiring', endsText(first, look.now), level))
  return found
}

const firstToEnd = (answered: readonly Handshake[]): Leaf | null =>
  answered.flatMap(({ leaf }) => (leaf ? [leaf] : [])).toSorted((a, b) => a.notAfter - b.notAfter)[0] ?? null

const endsText = ({ notAfter }: Leaf, now: number): string =>
  notAfter <= now
    ? `what is served expired ${formatDuration(now - notAfter)} ago, at ${iso(notAfter)}`
    : `what is served ends in ${formatDuration(notAfter - now)}, at ${iso(notAfter)}`

function complaintOf({ address, leaf, chainPem }: Handshake, look: Look): Condition | null {
  if (leaf === null || chainPem === null) return null
  const domain = look.sni.replace(/\.$/, '')
  if (!covers(leaf.names, domain)) {
    const names = leaf.names.join(', ') || leaf.subject
    return state('identity', 'watch-wrong-name', `${address} serves a certificate for ${names}`)
  }
  // That it has expired is told by its days.
  if (leaf.notAfter <= look.now) return null
  const refusal = look.profiles.length > 0 ? refusalOf(chainPem, domain, look) : distrust(chainPem, look)
  return refusal === null ? null : state('identity', 'watch-untrusted', `${address}: ${refusal}`)
}

function distrust(chainPem: string, { roots, now }: Look): string | null {
  const path = verifySent({ chain: parseChain(chainPem), roots: parseRoots(roots), at: now })
  return path.ok ? null : path.message
}

/** What the first kind of device that would not take a chain has against it. */
function refusalOf(chainPem: string, domain: string, { roots, profiles, now }: Look): string | null {
  const lines = profiles.flatMap(profile =>
    judge({
      ...{ chainPem, profile, roots: rootsOf({ trustedRoots: roots }, profile), at: now, servedPem: null },
      ...{ asSent: true, domain, otherKeyAsked: false, minAgeMs: 0, stapling: null },
    }),
  )
  const first = lines.find(({ verdict }) => verdict === 'refuse')
  return first ? `profile ${first.profile}: ${first.reason}` : null
}

/** Days left of what ends first; null: nothing was seen. */
export function daysOf(seen: readonly Handshake[], now: number): number | null {
  const first = firstToEnd(seen)
  return first && daysLeft(first, now)
}

/** What is wrong with the rotator, by the last run that it wrote down. Pure. */
export function judgeRotator(
  last: { readonly at: number; readonly ok: boolean } | null,
  silentAfterMs: number,
  now: number,
): Condition | null {
  if (last !== null && Math.abs(now - last.at) < silentAfterMs) return null
  return state(
    'rotator',
    'watch-rotator-silent',
    last === null ? 'no run is written down' : endText(last.at, now),
  )
}

const endText = (at: number, now: number): string =>
  at > now
    ? `the last run is said to end in ${formatDuration(at - now)}, at ${iso(at)}: a clock is wrong`
    : `the last run ended ${formatDuration(now - at)} ago`

export const rotatorUnknown = (why: string): Condition =>
  state('rotator', 'watch-rotator-silent', `its state cannot be read: ${why}`)
