import type { X509Certificate } from 'node:crypto'
import { DAY_MS, formatDuration, iso } from '../base/time.ts'
import type { DeviceProfile } from '../model/device-profile.ts'
import type { Target } from '../model/target.ts'
import { leafOf, parseChain } from '../x509/certificate.ts'
import { pinOf } from '../x509/details.ts'
import { verifySent } from '../x509/sent.ts'
import { profilesOf, rootsOf } from './roots.ts'

export interface CalendarInput {
  readonly target: Pick<Target, 'trustedRoots' | 'profiles'>
  /** PEM of what is bound, as it is sent; null when it is not known. */
  readonly chainPem: string | null
  readonly at: number
  /** How far ahead to look. Default: 90 days. */
  readonly aheadMs?: number
}

/** One day to come on which devices lose something they trust by. */
export interface CalendarEntry {
  readonly at: number
  readonly message: string
}

const AHEAD_MS = 90 * DAY_MS

/**
 * The roots that the settings name, and the intermediates and cross-signs on the served path, that end soon, the
 * first one first. Pure. Of Node's roots only the one on the path is looked at.
 */
export function calendar({
  target,
  chainPem,
  at,
  aheadMs = AHEAD_MS,
}: CalendarInput): readonly CalendarEntry[] {
  const chain = readChain(chainPem)
  const trusted = profilesOf(target).map(profile => ({ profile, ...rootsOf(target, profile) }))
  const endsSoon = (one: X509Certificate): boolean => Date.parse(one.validTo) <= at + aheadMs
  // Nearly always: no path has to be looked for then.
  if (![...chain.slice(1), ...trusted.flatMap(it => it.certificates)].some(endsSoon)) return []
  const found = new Map<string, Noted>()
  const note = (certificate: X509Certificate, what: string, profile: DeviceProfile | null = null): void => {
    if (!endsSoon(certificate)) return
    const { fingerprint } = leafOf(certificate)
    const known = found.get(fingerprint) ?? { certificate, what, profiles: [] }
    // In use by some and only held by others: that it is in use is what counts.
    const isMore = known.what === what && profile !== null && !known.profiles.includes(profile.name)
    found.set(fingerprint, isMore ? { ...known, profiles: [...known.profiles, profile.name] } : known)
  }
  for (const { profile, certificates } of chain.length === 0 ? [] : trusted) {
    const verdict = verifySent({ chain, roots: certificates, at })
    const root = verdict.ok ? verdict.path.at(-1) : undefined
    if (root) note(root, IN_USE, profile)
  }
  for (const { profile, certificates } of trusted) {
    if ((profile?.trustedRoots ?? target.trustedRoots) === null) continue
    // One that ended is burnt in for good: only what is still of use is worth a word.
    for (const one of certificates)
      if (leafOf(one).notAfter >= at && !outlived(one, certificates)) note(one, HELD, profile)
  }
  for (const one of chain.slice(1)) note(one, ON_PATH)
  return [...found.values()].map(noted => entryOf(noted, at)).toSorted((a, b) => a.at - b.at)
}

const IN_USE = 'in use'
const HELD = 'held'
const ON_PATH = 'on the path'

interface Noted {
  readonly certificate: X509Certificate
  readonly what: string
  /** Names of those that hold it; empty: all devices. */
  readonly profiles: readonly string[]
}

function entryOf({ certificate, what, profiles }: Noted, at: number): CalendarEntry {
  const { subject, notAfter } = leafOf(certificate)
  const [first, ...more] = profiles
  const whom =
    first === undefined ? 'of the devices' : `of profile${more.length > 0 ? 's' : ''} ${profiles.join(', ')}`
  const which =
    what === ON_PATH ? 'on the served path' : `the root ${whom}${what === IN_USE ? ' that is in use,' : ''}`
  const when =
    notAfter < at
      ? `ended at ${iso(notAfter)}`
      : `ends in ${formatDuration(notAfter - at)}, at ${iso(notAfter)}`
  return { at: notAfter, message: `${which} "${subject}" ${when}` }
}

/** A newer certificate of the same root stands beside it. */
const outlived = (one: X509Certificate, all: readonly X509Certificate[]): boolean =>
  all.some(
    other =>
      other.subject === one.subject &&
      pinOf(other) === pinOf(one) &&
      leafOf(other).notAfter > leafOf(one).notAfter,
  )

const readChain = (pem: string | null): readonly X509Certificate[] => {
  try {
    return pem === null ? [] : parseChain(pem)
  } catch {
    return []
  }
}
