import { DAY_MS } from '../base/time.ts'
import type { EventName } from '../model/events.ts'
import type { TargetResult } from '../report/result.ts'
import type { TargetDocument } from '../state/documents.ts'
import type { Condition, Moment, Observation } from './decide.ts'
import { type Lifetime, levelOf } from './levels.ts'

/** One matter for people: whether the certificate of a target gets renewed. */
export const RENEWAL = 'renewal'
const TOO_LONG_MS = DAY_MS

/** States that warnings of a run speak of: one for all of these codes. */
const WARNED = {
  'root-ending': ['root-ends', 'other-chains'],
  recalled: ['recalled'],
} as const satisfies Partial<Record<EventName, readonly string[]>>
/** Warnings of a run that are told as events of their own. */
const MOMENTS: Readonly<Record<string, EventName>> = {
  adopted: 'adopted',
  unverified: 'unverified',
  'rollback-unverified': 'unverified',
}

/** What the result of a rotation shows a person; null: another run is at work and will tell. Pure. */
export function observe(result: TargetResult, document: TargetDocument, now: number): Observation | null {
  const { outcome, error } = result
  if (outcome === 'busy') return null
  const lifetime = lifetimeOf(result, document)
  const level = lifetime && levelOf(lifetime, now)
  const trouble = troubleOf(result, document, level) ?? lagging(result, level)
  const isConclusive = outcome === 'idle' || outcome === 'rotated' || outcome === 'repaired'
  return {
    now,
    conditions: [...(trouble ? [trouble] : []), ...warned(result)],
    evaluated: [...(isConclusive ? [RENEWAL] : []), ...(error === null ? Object.keys(WARNED) : [])],
    moments: momentsOf(result),
  }
}

const warned = ({ warnings }: TargetResult): readonly Condition[] =>
  (Object.keys(WARNED) as (keyof typeof WARNED)[]).flatMap(event => {
    const codes: readonly string[] = WARNED[event]
    const said = warnings.filter(({ code }) => codes.includes(code)).map(({ message }) => message)
    return said.length > 0 ? [{ key: event, event, reason: said.join('; '), error: null, level: null }] : []
  })

function troubleOf(result: TargetResult, document: TargetDocument, level: number | null): Condition | null {
  const { outcome, decision, error } = result
  const about = { key: RENEWAL, level, reason: error?.message ?? decision.detail }
  if (outcome === 'suspended') return waitingOf(result, document, { ...about, error: null })
  if (outcome !== 'failed' && outcome !== 'refused' && outcome !== 'held' && outcome !== 'rolled-back')
    return null
  const own = error && { code: error.code, message: error.message, hint: error.hint }
  return { ...about, event: outcome, error: own ?? lastError(document) }
}

function waitingOf(
  { decision, warnings, steps }: TargetResult,
  document: TargetDocument,
  about: Omit<Condition, 'event'>,
): Condition | null {
  // What was told goes on, and gets worse with the days left; waiting says nothing new of it.
  if (document.alerts.open[RENEWAL]?.toldAt != null) return { ...about, event: null }
  if (decision.reason === 'backing-off') return { ...about, event: 'failed', error: lastError(document) }
  if (decision.reason === 'paused') return { ...about, event: 'paused' }
  const stuck = warnings.find(({ code }) => code === 'not-propagated' || code === 'too-little-time')
  if (stuck) return { ...about, event: 'suspended', reason: stuck.message }
  if (decision.reason === 'emergency' || decision.reason === 'expired')
    return { ...about, event: 'suspended', severity: 'critical' }
  // Waits that a target is configured for: soak, and a change window.
  const isPlanned = steps.at(-1)?.step === 'bind'
  return isPlanned ? null : { ...about, event: 'suspended', graceMs: TOO_LONG_MS }
}

/** The error that a run wrote down before, where this one has none of its own. */
const lastError = ({ alerts }: TargetDocument): Condition['error'] => alerts.open[RENEWAL]?.error ?? null

/** All is well with what is bound, but an older certificate is still served somewhere, and it runs out. */
function lagging({ outlook }: TargetResult, level: number | null): Condition | null {
  const { bound, served } = outlook
  if (level === null || !served || !bound || served.fingerprint === bound.fingerprint) return null
  const reason = 'the device port serves another certificate than the one that is bound'
  return { key: RENEWAL, event: 'expiring', reason, error: null, level }
}

/** The life of what is served, or bound where it cannot be seen, or as last seen where neither can. */
export const lifetimeOf = (result: TargetResult, { life }: Pick<TargetDocument, 'life'>): Lifetime | null =>
  lifetimeSeen(result) ?? life

function lifetimeSeen({ outlook }: TargetResult): Lifetime | null {
  const leaf = outlook.served ?? outlook.bound
  return leaf && { notBefore: Date.parse(leaf.notBefore), notAfter: Date.parse(leaf.notAfter) }
}

/** Keeps what is to be known of the days left when nothing can be seen any more. */
export function withLife(document: TargetDocument, result: TargetResult): TargetDocument {
  const life = lifetimeSeen(result)
  const isKnown = life?.notBefore === document.life?.notBefore && life?.notAfter === document.life?.notAfter
  return life === null || isKnown ? document : { ...document, life }
}

function momentsOf(result: TargetResult): readonly Moment[] {
  const { outcome, decision, warnings, deleted, before, after } = result
  const until = `${before ? `until ${before.notAfter} before, ` : ''}until ${after?.notAfter} now`
  return [
    ...(outcome === 'rotated' ? [{ event: outcome, reason: after ? until : decision.detail }] : []),
    ...(outcome === 'repaired' ? [{ event: outcome, reason: decision.detail }] : []),
    ...warnings.flatMap(({ code, message }) => {
      const event = MOMENTS[code]
      return event ? [{ event, reason: message }] : []
    }),
    ...deleted.map(({ serverCertificateId, why }) => ({
      event: 'slot-deleted' as const,
      reason: `${serverCertificateId}: ${why}`,
    })),
  ]
}
