import { isPast } from '../../base/lifetime.ts'
import { HOUR_MS } from '../../base/time.ts'
import type { CertificateSpec } from '../../model/certificate.ts'
import type { CertificateDocument } from '../../state/documents.ts'

/** Failed runs of one source in a row after which the next one is tried. */
const FAILURES_AT_MOST = 3

/** How long an order may take in the emergency. */
const STUCK_MS = HOUR_MS

/** Which source is asked for the certificate now; or until when none may be. */
export type Choice =
  | { readonly kind: 'use'; readonly source: string }
  | { readonly kind: 'wait'; readonly until: number; readonly why: string }

type State = CertificateDocument['sources'][string]

/**
 * A wait that is not over: from when it was written it lasts no longer than `longestMs`. One that was written by a
 * clock that ran ahead would last until then: it is none.
 */
function waitNow({ notBefore }: State, now: number, longestMs: number): State['notBefore'] {
  if (notBefore === null) return null
  const since = notBefore.since ?? notBefore.at - longestMs
  const at = Math.min(notBefore.at, since + longestMs)
  return now < at && isPast(since, now) ? { ...notBefore, at } : null
}

const UNTRIED: State = { failures: 0, failedForGood: false, notBefore: null }

/** What became of a source since the last certificate. */
export function stateOf(document: CertificateDocument, spec: CertificateSpec, source: string): State {
  const known = document.sources[source] ?? UNTRIED
  const inherited = source === spec.sources[0] ? document.notBefore : null
  return { ...known, notBefore: known.notBefore ?? inherited }
}

/** When it is asked for. */
export interface Moment {
  readonly now: number
  readonly emergency: boolean
  /** What a remembered wait may last. */
  readonly longestWaitMs: number
}

/**
 * The source to ask. The first in the order of the settings, until it has failed for good or three times; in the
 * emergency a single failure, or its word to wait, is enough. An order that is under way is finished first. When
 * all have failed, it is the turn of the one that failed least. Pure.
 */
export function chooseSource(
  spec: CertificateSpec,
  document: CertificateDocument,
  { now, emergency, longestWaitMs }: Moment,
): Choice {
  const { pending } = document
  const candidates = spec.sources.map(source => {
    const state = stateOf(document, spec, source)
    const { failures, failedForGood } = state
    const wait = waitNow(state, now, longestWaitMs)
    const isStuck = pending?.source === source && pending.chainPem === null && now - pending.since > STUCK_MS
    const isPassed =
      failedForGood ||
      failures >= FAILURES_AT_MOST ||
      (emergency && (failures > 0 || wait !== null || isStuck))
    return { source, failures, wait, isPassed }
  })
  const fit = candidates.filter(c => !c.isPassed)
  const begun = fit.find(c => c.source === pending?.source)
  const free = candidates.filter(c => c.wait === null).toSorted((a, b) => a.failures - b.failures)
  const soonest = candidates.toSorted((a, b) => (a.wait?.at ?? 0) - (b.wait?.at ?? 0))
  const chosen = begun ?? fit[0] ?? free[0] ?? soonest[0]
  if (chosen?.wait) return { kind: 'wait', until: chosen.wait.at, why: chosen.wait.why }
  return { kind: 'use', source: chosen?.source ?? '' }
}

/** Whether another source would be asked if this one were given up now. */
export function hasNext(spec: CertificateSpec, document: CertificateDocument, source: string): boolean {
  return spec.sources.some(other => {
    const { failures, failedForGood } = stateOf(document, spec, other)
    return other !== source && !failedForGood && failures < FAILURES_AT_MOST
  })
}
