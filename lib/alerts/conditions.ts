import type { Lifetime } from '../base/lifetime.ts'
import type { EventName } from '../model/events.ts'
import { lifeOf, STATES, type StateName, shareLeft, stateOf } from '../report/health.ts'
import type { TargetResult } from '../report/result.ts'
import type { TargetDocument } from '../state/documents.ts'
import type { Condition, Moment, Observation } from './decide.ts'
import { levelOf } from './levels.ts'

/** One matter for people: whether the certificate of a target gets renewed. */
export const RENEWAL = 'renewal'

/** States that warnings of a run speak of: one for all of these codes. */
const WARNED = {
  'root-ending': ['root-ends', 'other-chains'],
  recalled: ['recalled', 'revoked'],
  'dnssec-ending': ['dnssec'],
  'rollout-frozen': ['rollout-frozen'],
  'devices-missing': ['devices-missing'],
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
  const state = stateOf(result, now)
  const trouble = troubleOf(result, state, document, level) ?? runningOut(result, state, level)
  const isConclusive = outcome === 'idle' || outcome === 'rotated' || outcome === 'repaired'
  return {
    now,
    conditions: [...(trouble ? [trouble] : []), ...warned(result, now)],
    evaluated: [...(isConclusive ? [RENEWAL] : []), ...(error === null ? Object.keys(WARNED) : [])],
    moments: momentsOf(result),
  }
}

const warned = (result: TargetResult, now: number): readonly Condition[] =>
  (Object.keys(WARNED) as (keyof typeof WARNED)[]).flatMap(event => {
    const codes: readonly string[] = WARNED[event]
    const said = result.warnings.filter(({ code }) => codes.includes(code)).map(({ message }) => message)
    if (said.length === 0) return []
    const life = lifeOf(result)
    const isPressing = event === 'rollout-frozen' && life !== null && shareLeft(life, now) < 1 / 3
    const severity = isPressing ? { severity: 'critical' as const } : {}
    return [{ key: event, event, reason: said.join('; '), error: null, level: null, ...severity }]
  })

/** What the state of a target is told as, with what is known besides. */
function troubleOf(
  { outcome, decision, error, warnings, steps }: TargetResult,
  state: StateName,
  { alerts }: TargetDocument,
  level: number | null,
): Condition | null {
  const { tells } = STATES[state]
  if (tells === null || state === 'ending') return null
  const open = alerts.open[RENEWAL]
  const about = { key: RENEWAL, level, reason: error?.message ?? decision.detail, error: null }
  // What was told goes on, and gets worse with the days left; waiting says nothing new of it.
  if (outcome === 'suspended' && open?.toldAt != null) return { ...about, event: null }
  if (state === 'paused') return { ...about, ...tells }
  if (state === 'under-way' || state === 'late') {
    const stuck = warnings.find(({ code }) => code === 'not-propagated' || code === 'too-little-time')
    if (stuck) return { ...about, event: tells.event, reason: stuck.message }
    // Waits that a target is configured for: soak, a change window, and the rings before its own.
    const waits = warnings.some(({ code }) => code === 'rollout-waits' || code === 'rollout-frozen')
    const isPlanned = state === 'under-way' && (waits || steps.at(-1)?.step === 'bind')
    return isPlanned ? null : { ...about, ...tells }
  }
  if (error)
    return { ...about, ...tells, error: { code: error.code, message: error.message, hint: error.hint } }
  // Where this run has no error of its own, an earlier one wrote one down, and maybe did not tell what it came to.
  const isUntold = open?.toldAt === null && open.event !== 'suspended'
  return {
    ...about,
    ...tells,
    ...(isUntold ? { event: open.event as EventName } : {}),
    error: open?.error ?? null,
  }
}

/** No run is at it, or all is well with what is bound, but an older certificate is still served; and it runs out. */
function runningOut(
  { outlook, decision }: TargetResult,
  state: StateName,
  level: number | null,
): Condition | null {
  const { bound, served } = outlook
  const isOther = level !== null && bound && served && served.fingerprint !== bound.fingerprint
  if (!isOther && state !== 'ending') return null
  const reason = 'the device port serves another certificate than the one that is bound'
  return { key: RENEWAL, event: 'expiring', reason: isOther ? reason : decision.detail, error: null, level }
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
  const { outcome, decision, warnings, deleted, before, after, nextKey } = result
  const until = `${before ? `until ${before.notAfter} before, ` : ''}until ${after?.notAfter} now`
  return [
    ...(outcome === 'rotated' ? [{ event: outcome, reason: after ? until : decision.detail }] : []),
    ...(outcome === 'repaired' ? [{ event: outcome, reason: decision.detail }] : []),
    ...warnings.flatMap(({ code, message }) => {
      const event = MOMENTS[code]
      return event ? [{ event, reason: message }] : []
    }),
    ...(nextKey
      ? [
          {
            event: 'next-key' as const,
            reason: `sha256/${nextKey.spki} (${nextKey.keyType})`,
            once: nextKey.spki,
          },
        ]
      : []),
    ...deleted.map(({ serverCertificateId, why }) => ({
      event: 'slot-deleted' as const,
      reason: `${serverCertificateId}: ${why}`,
    })),
  ]
}
