import type { Leaf } from '../../model/certificate.ts'
import type { PendingBinding, TargetDocument } from '../../state/documents.ts'
import { type Context, certificateDocument, targetDocument } from '../context.ts'
import { backOffMs } from '../decide/back-off.ts'
import { watchFrom } from '../device-watch/device-watch.ts'
import { boundLeaf, type Inspection } from '../observe/inspection.ts'
import { servedNow } from '../rings/await-turn.ts'
import { done, type StepResult } from '../trace.ts'
import type { Bound } from './bind.ts'
import { sweep, withLeftover } from './sweep.ts'

/** Roll-backs in a row before the target is held. */
const ROLL_BACKS_AT_MOST = 2

/** What verify concluded. */
export type Proof = Good | { readonly kind: 'bad'; readonly why: string }
type Good = { readonly kind: 'served' } | { readonly kind: 'unverified'; readonly why: string }

/** How a bind ended: well, or its predecessor is bound again. */
export type Ending = Good | { readonly kind: 'rolled-back'; readonly why: string }

/** What a bind came to, for good. */
export interface Settled {
  readonly outcome: 'rotated' | 'rolled-back'
  /** What this run brought to devices; null: nothing. */
  readonly deployed: Bound['deployed']
}

/** Writes down what has become current and previous, and lets go of what is no longer needed. */
export async function record(context: Context, bound: Bound, ending: Ending): Promise<StepResult<Settled>> {
  if (ending.kind === 'rolled-back') {
    await targetDocument(context).update(d => rolledBack(d, context, bound.inspection, ending.why))
    await settleCertificate(context, leafOf(bound))
    return done({ outcome: 'rolled-back', deployed: null }, 'the rollback is written down')
  }
  await promote(context, bound)
  return done({ outcome: 'rotated', deployed: bound.deployed }, 'current and previous are written down')
}

const leafOf = ({ deployed, inspection }: Bound): Leaf | null => deployed?.leaf ?? boundLeaf(inspection)

/** The pending certificate becomes current; with `unusableWhy` although devices cannot use it. */
export async function promote(
  context: Context,
  bound: Bound,
  unusableWhy: string | null = null,
): Promise<void> {
  await targetDocument(context).update(d => {
    const next = promoted(d, context)
    if (unusableWhy === null || !d.pending) return next
    const { rolledBack, rollBacks, held } = rolledBackNow(d, context, d.pending.fingerprint, unusableWhy)
    return { ...next, rolledBack, rollBacks, held }
  })
  await settleCertificate(context, leafOf(bound))
}

function promoted(document: TargetDocument, { event, run, target }: Context): TargetDocument {
  const { pending } = document
  if (!pending?.serverCertificateId) return document
  const { serverCertificateId, fingerprint, specHash, replaces } = pending
  // Null when a person bound what this program had uploaded: it replaced what was current.
  const replaced = replaces === 'first' ? null : (replaces ?? document.current)
  const staplingOff = replaces !== null && replaces !== 'first' && replaces.staplingOff === true
  const previous = replaced && {
    serverCertificateId: replaced.serverCertificateId,
    fingerprint: replaced.fingerprint,
    ...(staplingOff ? { staplingOff } : {}),
  }
  const { watch: _, ...kept } = document
  const watch = event.action === 'rollback' ? null : watchFrom({ target }, document)
  return {
    ...kept,
    ...(watch && { watch }),
    current: { serverCertificateId, fingerprint, specHash },
    previous: previous ?? document.previous,
    pending: null,
    declined: null,
    passedOver: null,
    held: event.action === 'rollback' || heldSince(document, pending) ? document.held : null,
    failures: 0,
    retryAfter: null,
    rollBacks: 0,
    ...(pending.kind && {
      rollout: servedNow(document.rollout, fingerprint, pending.kind, run.clock.now()),
    }),
  }
}

/**
 * Whether the hold came with or after the bind: a rollback by hand (also one that a later run finishes), `until`,
 * or `hold`. The bind itself had leave to end an older one.
 */
function heldSince({ held, rolledBack }: TargetDocument, { boundAt, replaces }: PendingBinding): boolean {
  if (!held) return false
  const replaced = replaces && replaces !== 'first' ? replaces.fingerprint : null
  return boundAt === null || held.since >= boundAt || (replaced !== null && rolledBack.includes(replaced))
}

/** A rolled-back leaf is never bound again unattended; one more is tried after a back-off, then the target is held. */
function rolledBack(
  document: TargetDocument,
  context: Context,
  { slots }: Inspection,
  why: string,
): TargetDocument {
  const { pending } = document
  if (!pending) return document
  const at = context.run.clock.now()
  const failures = document.failures + 1
  const current = slots.find(s => s.serverCertificateId === document.current?.serverCertificateId)
  // Devices were watched: it was current already.
  const undone = document.watch?.binding.fingerprint === pending.fingerprint ? document.watch : null
  return {
    ...document,
    ...(undone && { ...undone.before, watch: { ...undone, fewer: 0, isUndone: true } }),
    pending: null,
    ...rolledBackNow(document, context, pending.fingerprint, why),
    failures,
    retryAfter: at + backOffMs(failures, (current?.expiryDate ?? at) - at),
  }
}

/** Never again this leaf; after two in a row nothing more without a person. */
function rolledBackNow(
  document: TargetDocument,
  { run, specHash }: Context,
  fingerprint: string,
  why: string,
): Pick<TargetDocument, 'rolledBack' | 'rollBacks' | 'held'> {
  const rollBacks = document.rollBacks + 1
  const giveUp = `${rollBacks} new certificates in a row had to be rolled back, last: ${why}`
  return {
    rolledBack: [...document.rolledBack, fingerprint].slice(-20),
    rollBacks,
    held: rollBacks < ROLL_BACKS_AT_MOST ? document.held : { since: run.clock.now(), why: giveUp, specHash },
  }
}

/** Once every target that shares the certificate has it (or has rolled it back), its key is wiped. */
export async function settleCertificate(context: Context, leaf: Leaf | null): Promise<void> {
  const { records, sharing, spec } = context
  const { pending, keptKeys, nextKey } = await certificateDocument(context).get()
  if (!pending?.fingerprint) return
  const { fingerprint } = pending
  const documents = await Promise.all(
    sharing.map(target =>
      // A target whose state cannot be read has not got it yet, for all that is known.
      records
        .target(target)
        .refresh()
        .catch(() => null),
    ),
  )
  const has = (d: TargetDocument | null): boolean =>
    d !== null &&
    (d.current?.fingerprint === fingerprint ||
      d.rolledBack.includes(fingerprint) ||
      d.declined === pending.id)
  if (!documents.every(has)) return
  const isCurrent = documents.some(d => d?.current?.fingerprint === fingerprint)
  const { keyId } = pending
  const isNext = keyId !== undefined && keyId === nextKey?.id
  // A key that was announced stays announced when its certificate had to be rolled back.
  const kept = isNext && !isCurrent ? keptKeys : keyId === undefined ? [] : [keyId]
  const own = keyId === undefined ? [pending.id] : []
  // Nobody announces it any more.
  const isDropped = nextKey !== undefined && !isNext && typeof spec.reuseKey !== 'object'
  const dropped = isDropped ? [nextKey.id] : []
  for (const id of [...own, ...keptKeys.filter(k => !kept.includes(k)), ...dropped])
    await records.wipeKey(spec.name, id)
  await certificateDocument(context).update(d => {
    if (d.pending?.id !== pending.id) return d
    const current = isCurrent
      ? { fingerprint, specHash: pending.specHash, notAfter: leaf?.notAfter ?? 0, source: pending.source }
      : d.current
    const { nextKey: next, ...rest } = d
    return {
      ...rest,
      ...(next && !(isNext && isCurrent) && !isDropped ? { nextKey: next } : {}),
      pending: null,
      current,
      keptKeys: kept,
      leftovers: withLeftover(d.leftovers, pending.notes, pending.source),
    }
  })
  await sweep(context)
}
