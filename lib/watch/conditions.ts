import type { Condition } from '../alerts/decide.ts'
import { daysLeft, levelOf } from '../alerts/levels.ts'
import { type Clock, formatDuration, iso } from '../base/time.ts'
import { judge } from '../devices/judge.ts'
import { rootsOf } from '../devices/roots.ts'
import type { Handshake } from '../iotda/endpoint.ts'
import type { Leaf } from '../model/certificate.ts'
import type { DeviceProfile } from '../model/device-profile.ts'
import type { EventName } from '../model/events.ts'
import type { Document } from '../state/document.ts'
import type { RunDocument, WatchDocument } from '../state/documents.ts'
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

/** The rotator, by the last run that it wrote down. */
export interface Rotator {
  readonly silentAfterMs: number
  readonly lastRun: () => Promise<RunDocument['last']>
  /** The watchdog's own record; null: it has none. */
  readonly record?: Document<WatchDocument> | null
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
  key,
  event,
  reason,
  level,
  error: null,
})

/** What is wrong with a device port, for people. Pure. */
export function portConditions(look: Look): readonly Condition[] {
  const { seen, now } = look
  const answered = seen.filter(({ leaf }) => leaf !== null)
  const silent = seen.filter(({ leaf }) => leaf === null).map(({ address, error }) => `${address}: ${error}`)
  const partly = answered.length > 0 ? 'at some addresses, ' : ''
  const unreachable = `${partly}${silent.join('; ')}`
  const first = firstToEnd(answered)
  const level = first && levelOf(first, now)
  const isLate = level !== null && level <= LATE_LEVEL
  return [
    ...(silent.length > 0 ? [state('reach', 'watch-unreachable', unreachable)] : []),
    ...answered.flatMap(one => complaintOf(one, look) ?? []).slice(0, 1),
    ...(first && isLate ? [state('days', 'expiring', endsText(first, now), level)] : []),
  ]
}

/** What is served was revoked. */
export const revokedCondition = (revoked: readonly string[]): readonly Condition[] =>
  revoked.length === 0 ? [] : [state('revoked', 'watch-revoked', [...new Set(revoked)].join('; '))]

const firstToEnd = (answered: readonly Handshake[]): Leaf | null =>
  answered.flatMap(({ leaf }) => leaf ?? []).toSorted((a, b) => a.notAfter - b.notAfter)[0] ?? null

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
      chainPem,
      profile,
      roots: rootsOf({ trustedRoots: roots }, profile),
      at: now,
      servedPem: null,
      asSent: true,
      domain,
      otherKeyAsked: false,
      minAgeMs: 0,
      stapling: null,
    }),
  )
  const first = lines.find(({ verdict }) => verdict === 'refuse')
  return first ? `profile ${first.profile}: ${first.reason}` : null
}

/** Days left of what ends first; null: nothing was seen. */
export function daysLeftOf(seen: readonly Handshake[], now: number): number | null {
  const first = firstToEnd(seen)
  return first && daysLeft(first, now)
}

/** What is wrong with the rotator. Never throws: that its state cannot be read is wrong, too. */
export async function rotatorConditions(
  { silentAfterMs, lastRun, record = null }: Rotator,
  clock: Pick<Clock, 'now'>,
): Promise<readonly Condition[]> {
  const silent = (reason: string): readonly Condition[] => [state('rotator', 'watch-rotator-silent', reason)]
  try {
    const last = await lastRun()
    if (last === null) {
      const found = silent('no run is written down')
      // A watchdog may be there before the first run: it is silent when none comes in time.
      return (await hasSeenRuns(record)) ? found : found.map(it => ({ ...it, graceMs: silentAfterMs }))
    }
    await noteRuns(record)
    const now = clock.now()
    const agoMs = now - last.at
    if (Math.abs(agoMs) < silentAfterMs) return []
    return silent(
      agoMs < 0
        ? `the last run is said to end in ${formatDuration(-agoMs)}, at ${iso(last.at)}: a clock is wrong`
        : `the last run ended ${formatDuration(agoMs)} ago`,
    )
  } catch (error) {
    return silent(`its state cannot be read: ${(error as Error).message}`)
  }
}

/** Whether there were runs before, as far as is remembered: nobody who remembers nothing may wait. */
async function hasSeenRuns(record: Document<WatchDocument> | null): Promise<boolean> {
  const kept = record && (await record.get().catch(() => null))
  return kept === null || kept.sawRun === true
}

/** That it cannot be remembered is said where alerts are written down. */
async function noteRuns(record: Document<WatchDocument> | null): Promise<void> {
  await record?.update(d => (d.sawRun ? d : { ...d, sawRun: true })).catch(() => {})
}
