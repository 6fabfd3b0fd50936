import { RotationError } from '../../base/rotation-error.ts'
import { iso } from '../../base/time.ts'
import { differences, kindOf } from '../../devices/kind.ts'
import type { Leaf } from '../../model/certificate.ts'
import type { Kind } from '../../model/rollout.ts'
import type { Target } from '../../model/target.ts'
import type { TargetDocument } from '../../state/documents.ts'
import { logged, type RolloutDocument } from '../../state/rollout-documents.ts'
import { targetKey } from '../../state/state.ts'
import { type Context, type RotationSetup, targetDocument } from '../context.ts'
import type { Decided } from '../decide/decision.ts'
import type { Inspection } from '../observe/inspection.ts'
import type { Material } from '../steps/obtain.ts'
import type { Judged } from '../steps/preflight.ts'
import { logFailure, Suspension, untilNextRun, warn } from '../trace.ts'
import { boundKind, isShared } from './bound-kind.ts'
import { ringOf, type Turn, turnOf } from './turn.ts'

/** A certificate whose turn in this target's ring has come. */
export interface Cleared extends Judged {
  /** What it is to devices; null: there are no rings. */
  readonly kind: Kind | null
}

/** Whose turn it is, for a chain that is to be bound; null: there are no rings. */
export async function turnFor(
  context: RotationSetup,
  { inspection, decision }: Pick<Decided, 'inspection' | 'decision'>,
  chainPem: string,
): Promise<{ readonly kind: Kind; readonly turn: Turn; readonly news: string } | null> {
  const { rings, run, target, records } = context
  if (rings === null) return null
  const kind = kindOf(chainPem, isShared(context))
  const rollout = await records.rollouts.look(kind)
  const bound = boundKind(context, inspection)
  const turn = turnOf({
    now: run.clock.now(),
    rings,
    target,
    kind,
    boundKind: bound?.id ?? null,
    rollout,
    decision,
  })
  const said = differences(bound, kind).join(', ')
  return { kind, turn, news: `new for ${target.name}: ${said || 'its kind'}` }
}

/** Lets pass what devices know, and what the rings before have served well. @throws Suspension until then */
export async function awaitTurn(context: Context, judged: Judged): Promise<Cleared> {
  const found = await turnFor(context, judged, judged.material.chainPem)
  if (found === null) return { ...judged, kind: null }
  const { kind, turn, news } = found
  await notePulled(context, kind)
  if (turn.turn === 'now') return { ...judged, kind }
  if (turn.turn === 'overridden') {
    warn(context, 'rollout-overridden', turn.why)
    return { ...judged, kind }
  }
  if (turn.turn === 'frozen') {
    warn(context, 'rollout-frozen', `${news}; ${turn.why}`)
    throw untilNextRun(context, `${turn.why}; \`iotda-cert rollout\` says more`)
  }
  warn(context, 'rollout-waits', `${news}; ${turn.why}`)
  await noteAwaited(context, kind, turn.ring)
  throw turn.until === null ? untilNextRun(context, turn.why) : new Suspension(turn.until, turn.why)
}

/** That somebody waits for a ring, so that its targets are renewed ahead of their time. */
async function noteAwaited({ records, run, target }: Context, kind: Kind, ring: string): Promise<void> {
  const awaited = { ring, by: target.name, since: run.clock.now() }
  await records.rollouts.update(kind, d => (d.awaited?.ring === ring ? d : { ...d, awaited }))
}

/** That this target was renewed ahead of its time for what was waited for, whatever kind it was given. */
async function notePulled(context: Context, kind: Kind): Promise<void> {
  const { records, run, target, rings, trace } = context
  const awaited = trace.awaited.at(-1)
  if (!awaited || rings === null) return
  const pulled = (d: RolloutDocument): RolloutDocument => ({
    ...d,
    pulled: { ...d.pulled, [targetKey(target)]: run.clock.now() },
  })
  await records.rollouts.update(awaited, pulled)
  if (awaited.id !== kind.id)
    warn(context, 'rollout-waits', `renewed for kind ${awaited.id}, and was given kind ${kind.id}`)
}

/**
 * Stops a kind everywhere: one target's devices could not use it. A store that is down must not keep the old
 * certificate from being put back, so nothing is thrown; a later run freezes it then.
 */
export async function freeze(context: Context, kind: Kind, why: string): Promise<void> {
  try {
    await freezeNow(context, kind, why)
  } catch (error) {
    logFailure(context, error, 'that the kind is frozen could not be written down')
    warn(context, 'state-not-written', `kind ${kind.id} could not be frozen: ${(error as Error).message}`)
    await targetDocument(context)
      .update(d => ({ ...d, unfrozen: { kind, why } }))
      .catch(e => logFailure(context, e, 'nor that it is to be frozen'))
  }
}

async function freezeNow(context: Context, kind: Kind, why: string): Promise<void> {
  const { records, run, target } = context
  const at = run.clock.now()
  await records.rollouts.update(kind, d => frozenBy(d, target, at, why))
  warn(context, 'rollout-frozen', `kind ${kind.id} is frozen since ${iso(at)}: ${why}`)
}

/** What an earlier run could not freeze. @throws RotationError of the store */
export async function freezeLate(context: Context): Promise<void> {
  const { unfrozen } = await targetDocument(context).get()
  if (!unfrozen) return
  await freezeNow(context, unfrozen.kind, unfrozen.why)
  await targetDocument(context).update(({ unfrozen: _, ...d }) => d)
}

/** However long it served the kind: it was not well, and serves it for another soak when a person says so. */
function frozenBy(document: RolloutDocument, target: Target, at: number, why: string): RolloutDocument {
  const { [targetKey(target)]: _, ...served } = document.served
  const next = { ...document, served }
  if (document.frozen !== null) return document.served[targetKey(target)] === undefined ? document : next
  const entry = { at, what: 'frozen', by: target.name, why }
  return logged({ ...next, frozen: { at, target: target.name, why }, approved: [] }, entry)
}

/** What devices of one target would refuse stops for the others, too. @throws what it is given */
export async function stopKind(context: Context, { chainPem }: Material, refusal: unknown): Promise<never> {
  const isRefused = refusal instanceof RotationError && refusal.code === 'preflight-refused'
  if (context.rings !== null && isRefused)
    await freeze(context, kindOf(chainPem, isShared(context)), refusal.message)
  throw refusal
}

/** The kind of a certificate in a slot; null: it is in none, or cannot be read, or there are no rings. */
export function kindInSlot(
  context: Context,
  { slots }: Inspection,
  serverCertificateId: string | null,
): Kind | null {
  if (context.rings === null) return null
  const slot = slots.find(s => s.serverCertificateId === serverCertificateId)
  return slot?.certificatePem ? kindOf(slot.certificatePem, isShared(context)) : null
}

/**
 * After a run that ended well: since when this target serves a kind, for the rings after. What a run that died left
 * untold is told by the next.
 */
export async function noteServed(context: Context, inspection: Inspection, leaf: Leaf): Promise<void> {
  const { run } = context
  const before = (await targetDocument(context).get()).rollout
  const kind = before?.fingerprint === leaf.fingerprint ? before.kind : boundKind(context, inspection)
  if (kind === null) return
  const served = servedNow(before, leaf.fingerprint, kind, run.clock.now())
  if (!served.isTold) await tellRollouts(context, kind, served.since)
  await targetDocument(context).update(d => ({ ...d, rollout: { ...served, isTold: true } }))
}

/** The rings after count on it; of the kind that it served before they do if it served that for its soak. */
async function tellRollouts(
  { rings, target, records, run }: Context,
  kind: Kind,
  since: number,
): Promise<void> {
  const key = targetKey(target)
  const place = rings === null ? -1 : ringOf(rings, target)
  const soakMs = rings?.[place]?.soakMs ?? 0
  const isWaitedFor = rings !== null && place < rings.length - 1
  const at = run.clock.now()
  await records.rollouts.update(kind, ({ left, ...d }) => {
    const { [key]: wasLeft, ...others } = left ?? {}
    const servedSince = wasLeft === undefined ? since : (d.served[key] ?? since)
    return {
      ...d,
      ...(left && { left: others }),
      served: isWaitedFor ? { ...d.served, [key]: servedSince } : d.served,
      awaited: d.awaited?.by === target.name ? null : d.awaited,
    }
  })
  const all = await records.rollouts.all()
  for (const { kind: other, served } of all) {
    const servedSince = served[key]
    if (other.id === kind.id || servedSince === undefined) continue
    const hasSoaked = at - servedSince >= soakMs
    await records.rollouts.leave(other.id, { targetKey: key, at, hasSoaked })
  }
}

/** A renewal of the same kind goes on from where the one before was. */
export function servedNow(
  before: TargetDocument['rollout'],
  fingerprint: string,
  kind: Kind,
  now: number,
): NonNullable<TargetDocument['rollout']> {
  return before?.kind.id === kind.id
    ? { ...before, fingerprint }
    : { fingerprint, kind, since: now, isTold: false }
}
