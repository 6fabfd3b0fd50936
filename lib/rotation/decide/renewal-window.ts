import { createHash } from 'node:crypto'
import { DAY_MS, formatDuration, iso } from '../../base/time.ts'
import type { Leaf, RenewalInfo, RenewBefore, Slot } from '../../model/certificate.ts'
import type { DueReason } from '../../model/outcomes.ts'
import type { CertificateDocument } from '../../state/documents.ts'
import type { Inspection } from '../observe/inspection.ts'

export type Validity = Pick<Leaf, 'notBefore' | 'notAfter'>

/** By the leaf; by what the list says where the leaf cannot be read. */
export const validityOf = ({ leaf, effectiveDate, expiryDate }: Slot): Validity =>
  leaf ?? { notBefore: effectiveDate, notAfter: expiryDate }

/** Of what is bound; null: nothing is. */
export const lifetimeIn = ({ bound }: Pick<Inspection, 'bound'>): Validity | null =>
  bound?.slot ? validityOf(bound.slot) : null

type Window = NonNullable<RenewalInfo['window']>

/**
 * One instant of the window, drawn from the certificate itself so that every run draws the same
 * (RFC 9773 section 4.2 asks for a uniformly random one).
 */
export function instantIn(window: Window, fingerprint: string): number {
  const drawn = createHash('sha256')
    .update(`${fingerprint}|${window.start}|${window.end}`)
    .digest()
    .readUInt32BE(0)
  return Math.floor(window.start + (window.end - window.start) * (drawn / 2 ** 32))
}

/** When the bound certificate is looked at, and how often. */
export interface Timing {
  readonly now: number
  readonly intervalMs: number
  /** How much earlier than otherwise it is renewed, for what still has to wait after it. Default: 0. */
  readonly leadMs?: number
}

/** What the CA suggests for the bound certificate. `due` at the drawn instant, or at the last run before the end. */
interface Suggestion {
  readonly window: Window
  readonly at: number
  readonly due: boolean
}

const suggestionFor = (info: RenewalInfo | null, validity: Validity, timing: Timing): Suggestion | null => {
  const window = info?.window
  // To renew what has ended by then is no suggestion.
  if (!window || window.start >= validity.notAfter) return null
  const { now, intervalMs, leadMs = 0 } = timing
  // Never in the first third of its life, or it would be renewed again and again.
  const soonest = validity.notBefore + (validity.notAfter - validity.notBefore) / 3
  const drawn = instantIn(window, info.fingerprint)
  const at = Math.min(drawn, Math.max(drawn - leadMs, soonest))
  // Inside the window a CA may count no limits. Runs that are rarer than certificates must not renew at each.
  const withinMs = Math.min(intervalMs, (validity.notAfter - validity.notBefore) / 4)
  return { window, at, due: now >= at || now + withinMs >= window.end }
}

/** The CA wants a certificate replaced that is new, or whose window was over early: it is revoked, or part of an incident. */
export interface Recall {
  readonly fingerprint: string
  readonly message: string
  /** The one before was called back as well: this one is not replaced by the CA's word alone before. Or null. */
  readonly quietUntil: number | null
}

/** Of a lifetime: a certificate that is due sooner is called back. */
const NEW_SHARE = 1 / 5
/** No CA suggests so early a renewal by the calendar. */
const USUAL_SHARE = 2 / 5

const quietMs = ({ notBefore, notAfter }: Validity): number => {
  const lifetimeMs = notAfter - notBefore
  return Math.min(Math.max(lifetimeMs / 10, 3 * DAY_MS), lifetimeMs / 3)
}

/**
 * Whether the CA calls the bound certificate back. One that does so with each certificate it issues would have us
 * order without end: the successor of a recalled one is left alone for a tenth of its lifetime. Pure.
 */
export function recallOf({ bound, renewalInfo, documents }: Inspection, timing: Timing): Recall | null {
  const leaf = bound?.slot?.leaf
  const suggested = leaf ? suggestionFor(renewalInfo, leaf, timing) : null
  const { now } = timing
  if (!leaf || !suggested?.due || leaf.notAfter <= now) return null
  const lifetimeMs = leaf.notAfter - leaf.notBefore
  const { start, end } = suggested.window
  const isNew = now < leaf.notBefore + lifetimeMs * NEW_SHARE
  // A usual window that is over was only missed.
  const isOver = end <= now && end < leaf.notBefore + lifetimeMs * USUAL_SHARE
  if (!isNew && !isOver) return null
  const { recalled } = documents.certificate
  const quiet = recalled && recalled.fingerprint !== leaf.fingerprint ? recalled.at + quietMs(leaf) : 0
  const why = renewalInfo?.explanationUrl
  const message = `the CA suggests to replace the bound certificate from ${iso(start)} to ${iso(end)}, ${end > now ? 'soon after it was issued' : 'which is over'}${why ? `; why: ${why}` : ''}`
  return { fingerprint: leaf.fingerprint, message, quietUntil: quiet > now ? quiet : null }
}

/** What is written down with a certificate that was obtained because of a recall. */
export const recalledNow = (
  inspection: Inspection,
  timing: Timing,
  before: CertificateDocument['recalled'],
): CertificateDocument['recalled'] => {
  const recall = recallOf(inspection, timing)
  return recall && recall.quietUntil === null ? { fingerprint: recall.fingerprint, at: timing.now } : before
}

/** When the bound certificate is to be renewed, and by whose word. */
export interface Renewal {
  readonly due: boolean
  readonly reason: DueReason
  readonly at: number
  readonly detail: string
}

const thresholdMs = (lifetimeMs: number, renewBefore: RenewBefore | null, isHolder: boolean): number => {
  // Who makes nothing to order renews by itself, at its own time: only the end says that it did not.
  const share = isHolder ? 1 / 8 : lifetimeMs < 10 * DAY_MS ? 1 / 2 : 1 / 3
  const asked =
    renewBefore === null
      ? lifetimeMs * share
      : 'share' in renewBefore
        ? lifetimeMs * renewBefore.share
        : renewBefore.durationMs
  return Math.min(asked, (lifetimeMs * 2) / 3)
}

/** By the CA's window, the threshold of the settings, or a share of the lifetime. Pure. */
export function renewalOf(
  {
    inspection,
    renewBefore,
    ...timing
  }: Timing & { inspection: Inspection; renewBefore: RenewBefore | null },
  slot: Slot,
): Renewal {
  const { now } = timing
  const validity = validityOf(slot)
  const { notBefore: starts, notAfter: ends } = validity
  const left = `${formatDuration(ends - now)} left`
  const suggested = suggestionFor(inspection.renewalInfo, validity, timing)
  const quietUntil = recallOf(inspection, timing)?.quietUntil ?? null
  if (suggested?.due && quietUntil === null) {
    const { start, end } = suggested.window
    const why = inspection.renewalInfo?.explanationUrl
    const detail = `the CA suggests ${iso(start)} to ${iso(end)}; ${left}${why ? `; why: ${why}` : ''}`
    return { due: true, reason: 'renewal-window', at: now, detail }
  }
  const spoken = quietUntil ?? suggested?.at ?? null
  if (renewBefore === null && spoken !== null && quietUntil === null) {
    const detail = `${left}; the CA suggests ${iso(spoken)}`
    return { due: false, reason: 'renewal-window', at: spoken, detail }
  }
  const askedMs = thresholdMs(ends - starts, renewBefore, inspection.inventory !== null)
  const at = ends - Math.min(askedMs + (timing.leadMs ?? 0), ((ends - starts) * 2) / 3)
  const earliest = spoken === null ? at : Math.min(at, spoken)
  const recalled = quietUntil === null ? '' : '; the CA calls back this certificate as it did the one before'
  const detail = now >= at ? left : `${left}; renewal at ${iso(earliest)}${recalled}`
  return { due: now >= at, reason: 'expiring', at: earliest, detail }
}
