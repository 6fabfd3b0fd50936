import { DAY_MS, iso } from '../base/time.ts'
import type { AlertLeaf } from '../contracts.ts'
import type { EventName } from '../model/events.ts'
import type { ReportedLeaf, TargetResult } from '../report/result.ts'
import type { RotationSetup as World } from '../rotation/context.ts'
import { newTarget, type TargetDocument } from '../state/documents.ts'
import { targetKey } from '../state/state.ts'
import { composeAlert, type Subject } from './compose.ts'
import { type Condition, decideAlerts, type Moment, type Sighting } from './decide.ts'
import { bounded, enqueue, type NamedNotifier } from './deliver.ts'
import { daysLeft, type Lifetime, levelOf } from './levels.ts'

/** One matter for people: whether the certificate of a target gets renewed. */
export const RENEWAL = 'renewal'
const ROOTS = 'root-ending'
const RECALLED = 'recalled'
const TOO_LONG_MS = DAY_MS

/** Warnings of a run that are told as events of their own. */
const MOMENTS: Readonly<Record<string, EventName>> = {
  adopted: 'adopted',
  unverified: 'unverified',
  'rollback-unverified': 'unverified',
}

/** What could not be put into its target's document: told as a matter of the run. */
export interface Stray {
  readonly condition: Condition
  readonly subject: Subject
}

/**
 * Decides what is to be told of a result and puts it into the target's outbox; nothing is sent yet. Writes only when
 * there is something new. Never throws, and never changes the result.
 */
export async function noteAlerts(
  world: World,
  result: TargetResult,
  notifiers: readonly NamedNotifier[],
): Promise<Stray | null> {
  if (world.event.action !== 'rotate' || result.outcome === 'busy') return null
  const now = world.run.clock.now()
  try {
    await world.records.target(world.target).update(document => {
      const { ledger, messages } = decideAlerts(document.alerts, sightingOf(result, document, now))
      const subject = subjectOf(world, result, document)
      const alerts = messages.map(message => composeAlert(message, subject, now))
      const next = bounded(enqueue(ledger, alerts, notifiers, now))
      const kept = withLife(document, result)
      return next === document.alerts ? kept : { ...kept, alerts: next }
    })
    return null
  } catch (error) {
    world.run.log.warn(
      { target: world.target.name, error: (error as Error).message },
      'what is to be told could not be written down',
    )
    const empty = newTarget(result.target)
    const condition = sightingOf(result, empty, now).conditions.find(c => c.event !== null)
    return condition ? { condition, subject: subjectOf(world, result, empty) } : null
  }
}

/** What a result shows a person. Pure. */
export function sightingOf(result: TargetResult, document: TargetDocument, now: number): Sighting {
  const { outcome, error } = result
  const lifetime = lifetimeOf(result) ?? document.life
  const level = lifetime && levelOf(lifetime, now)
  const trouble = troubleOf(result, document, level) ?? lagging(result, level)
  const spoken = [
    stateOf(result, ROOTS, ['root-ends', 'other-chains']),
    stateOf(result, RECALLED, ['recalled']),
  ]
  const isConclusive = ['idle', 'rotated', 'repaired'].includes(outcome)
  return {
    now,
    conditions: [trouble, ...spoken].filter(condition => condition !== null),
    judged: [...(isConclusive ? [RENEWAL] : []), ...(error === null ? [ROOTS, RECALLED] : [])],
    moments: momentsOf(result),
  }
}

/** A state that warnings of a run speak of, one for all of these codes. */
function stateOf(
  { warnings }: TargetResult,
  event: typeof ROOTS | typeof RECALLED,
  codes: readonly string[],
): Condition | null {
  const said = warnings.filter(w => codes.includes(w.code)).map(w => w.message)
  return said.length === 0 ? null : { key: event, event, reason: said.join('; '), error: null, level: null }
}

/** Waits that a target is configured for: soak, and a change window. */
const isPlannedWait = ({ steps }: TargetResult): boolean => steps.at(-1)?.step === 'bind'

function troubleOf(result: TargetResult, document: TargetDocument, level: number | null): Condition | null {
  const { outcome, decision, error } = result
  const about = { key: RENEWAL, level, reason: error?.message ?? decision.detail }
  const cause = error && { code: error.code, message: error.message, hint: error.hint }
  if (outcome === 'failed' || outcome === 'refused' || outcome === 'held' || outcome === 'rolled-back')
    return { ...about, event: outcome, error: cause ?? lastCause(document) }
  return outcome === 'suspended' ? waitingOf(result, document, about) : null
}

function waitingOf(
  result: TargetResult,
  document: TargetDocument,
  given: { readonly key: string; readonly level: number | null; readonly reason: string },
): Condition | null {
  const { decision, warnings } = result
  const about = { ...given, error: null }
  // What was told goes on, and gets worse with the days left; waiting says nothing new of it.
  if (document.alerts.open[RENEWAL]?.toldAt != null) return { ...about, event: null }
  if (decision.reason === 'backing-off') return { ...about, event: 'failed', error: lastCause(document) }
  if (decision.reason === 'paused') return { ...about, event: 'paused' }
  const stuck = warnings.find(w => w.code === 'not-propagated' || w.code === 'too-little-time')
  if (stuck) return { ...about, event: 'suspended', reason: stuck.message }
  const isLate = decision.reason === 'emergency' || decision.reason === 'expired'
  if (isLate) return { ...about, event: 'suspended', severity: 'critical' }
  return isPlannedWait(result) ? null : { ...about, event: 'suspended', graceMs: TOO_LONG_MS }
}

/** The error that a run wrote down before, where this one has none of its own. */
const lastCause = ({ alerts }: TargetDocument): Condition['error'] => alerts.open[RENEWAL]?.error ?? null

/** All is well with what is bound, but an older certificate is still served somewhere, and it runs out. */
function lagging({ outlook }: TargetResult, level: number | null): Condition | null {
  const { bound, served } = outlook
  if (level === null || !served || !bound || served.fingerprint === bound.fingerprint) return null
  const reason = 'the device port serves another certificate than the one that is bound'
  return { key: RENEWAL, event: 'expiring', reason, error: null, level }
}

/** The life of what is served, or bound where it cannot be seen. */
export function lifetimeOf({ outlook }: TargetResult): Lifetime | null {
  const leaf = outlook.served ?? outlook.bound
  return leaf && { notBefore: Date.parse(leaf.notBefore), notAfter: Date.parse(leaf.notAfter) }
}

/** What is to be known of the days left when nothing can be seen any more. */
function withLife(document: TargetDocument, result: TargetResult): TargetDocument {
  const life = lifetimeOf(result)
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

const alertLeaf = (leaf: ReportedLeaf | null): AlertLeaf | null =>
  leaf && { fingerprint: leaf.fingerprint, issuer: leaf.issuer, notAfter: leaf.notAfter }

function subjectOf(
  { target, run }: World,
  result: TargetResult,
  { retryAfter, life }: TargetDocument,
): Subject {
  const now = run.clock.now()
  const lifetime = lifetimeOf(result) ?? life
  const backedOff = retryAfter !== null && retryAfter > now ? iso(retryAfter) : null
  return {
    id: targetKey(target),
    target: target.name,
    domain: target.domain,
    daysLeft: lifetime && daysLeft(lifetime, now),
    before: alertLeaf(result.before),
    after: alertLeaf(result.after),
    runId: run.runId,
    nextTryAt: result.error?.retryAt ?? backedOff ?? result.decision.nextCheckAt,
  }
}
