import { formatDuration, iso } from '../../base/time.ts'
import type { Kind, Ring, Rings } from '../../model/rollout.ts'
import type { Target } from '../../model/target.ts'
import type { RolloutDocument } from '../../state/rollout-documents.ts'
import { targetKey } from '../../state/state.ts'
import type { Decision } from '../decide/decision.ts'

/** All that it depends on whether a target's turn has come. */
export interface TurnFacts {
  readonly now: number
  readonly rings: Rings
  readonly target: Target
  /** Of the certificate that is to be bound. */
  readonly kind: Kind
  /** Of the certificate that is bound; null: it cannot be told. */
  readonly boundKind: string | null
  readonly rollout: RolloutDocument
  readonly decision: Pick<Decision, 'emergency' | 'reason'>
}

/** Whether a target may bind what is new to devices now. */
export type Turn =
  | { readonly turn: 'now'; readonly why: string }
  /** It would wait, but devices are about to be left with nothing, or are served a key that others may have. */
  | { readonly turn: 'overridden'; readonly why: string }
  /** `ring`: which is waited for; `until`: when it is over; null: nobody can tell. */
  | { readonly turn: 'waits'; readonly ring: string; readonly until: number | null; readonly why: string }
  | { readonly turn: 'frozen'; readonly why: string }

/** The ring that a target is in, by its place. */
export const ringOf = (rings: Rings, target: Target): number =>
  rings.findIndex(ring => ring.targets.some(({ name }) => name === target.name))

/**
 * What is new to devices reaches a target only when every target of the rings before has served that kind, and been
 * well, for their soak; what one target could not use stops everywhere. Only the emergency goes on; one that was revoked
 * waits for no ring, but for a freeze. Pure.
 */
export function turnOf(facts: TurnFacts): Turn {
  const { rollout, kind, boundKind, decision } = facts
  if (boundKind === kind.id) return { turn: 'now', why: 'devices know this kind' }
  const turn = inOrder(facts)
  // A key that others may have is not served while devices elsewhere try the next one; what is frozen stays so.
  if (turn.turn === 'waits' && decision.reason === 'revoked')
    return { turn: 'overridden', why: `bound all the same, since what is bound was revoked: ${turn.why}` }
  const isPressing =
    decision.emergency || decision.reason === 'expired' || decision.reason === 'no-certificate'
  if (turn.turn === 'now' || !isPressing) return turn
  const why = rollout.frozen ? `kind ${kind.id} is frozen` : turn.why
  return { turn: 'overridden', why: `bound all the same, since devices would be left with nothing: ${why}` }
}

function inOrder({ now, rings, target, kind, rollout }: TurnFacts): Turn {
  const { frozen, approved } = rollout
  if (frozen) {
    const where = `since ${iso(frozen.at)}, after ${frozen.target}: ${frozen.why}`
    return { turn: 'frozen', why: `kind ${kind.id} is frozen ${where}` }
  }
  const place = ringOf(rings, target)
  const own = rings[place]
  const approvedFor = approved.includes('*') || (own !== undefined && approved.includes(own.name))
  if (approvedFor) return { turn: 'now', why: 'a person let it pass' }
  for (const ring of rings.slice(0, Math.max(place, 0))) {
    const waits = waitsFor(ring, rollout, now)
    if (waits) return { turn: 'waits', ring: ring.name, ...waits }
  }
  return { turn: 'now', why: place === 0 ? 'the first ring' : 'the rings before have served it well' }
}

const NAMED_AT_MOST = 3

function waitsFor(
  { name, targets, soakMs }: Ring,
  { served, kind }: RolloutDocument,
  now: number,
): { readonly until: number | null; readonly why: string } | null {
  const missing = targets.filter(target => served[targetKey(target)] === undefined)
  if (missing.length > 0) {
    const named = missing.slice(0, NAMED_AT_MOST).map(target => target.name)
    const others = missing.length - named.length
    const who = `${named.join(', ')}${others > 0 ? ` and ${others} more` : ''}`
    return { until: null, why: `kind ${kind.id} waits for ring ${name}: ${who} did not serve it yet` }
  }
  const until = Math.max(...targets.map(target => served[targetKey(target)] ?? now)) + soakMs
  if (until <= now) return null
  return {
    until,
    why: `kind ${kind.id} waits for ring ${name} until ${iso(until)} (${formatDuration(soakMs)})`,
  }
}

/**
 * How much earlier than otherwise a target's certificate is renewed: the soaks of its own ring and of those after it,
 * so that the last ring is not late.
 */
export function leadMs(rings: Rings | null, target: Target): number {
  if (rings === null) return 0
  const place = ringOf(rings, target)
  return place < 0 ? 0 : rings.slice(place, -1).reduce((sum, { soakMs }) => sum + soakMs, 0)
}

/**
 * Why a target of an earlier ring is to be renewed ahead of its time: a later ring waits for it to serve a kind that
 * it has not got, and was not asked for before. Null: nobody waits. Pure.
 */
export function awaitedOf(
  rings: Rings,
  target: Target,
  boundKind: string | null,
  rollouts: readonly RolloutDocument[],
): { readonly rollout: RolloutDocument; readonly why: string } | null {
  const own = rings[ringOf(rings, target)]?.name
  const key = targetKey(target)
  for (const rollout of rollouts) {
    const { kind, awaited, frozen, served, pulled } = rollout
    const isAsked = awaited !== null && awaited.ring === own && frozen === null && kind.only === null
    if (!isAsked || kind.id === boundKind) continue
    if (served[key] !== undefined || pulled[key] !== undefined) continue
    return { rollout, why: `ring ${own} is to serve kind ${kind.id} first: ${awaited.by} waits for it` }
  }
  return null
}
