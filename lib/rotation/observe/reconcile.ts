import { iso, MINUTE_MS } from '../../base/time.ts'
import type { Slot } from '../../model/certificate.ts'
import type { Warning } from '../../model/outcomes.ts'
import type { TargetDocument } from '../../state/documents.ts'
import type { Lease } from '../../state/lease.ts'
import { targetKey } from '../../state/state.ts'
import { type Context, changed, isOnlyAsked, targetDocument } from '../context.ts'
import { validityOf } from '../decide/renewal-window.ts'
import { warn } from '../trace.ts'
import type { Inspection } from './inspection.ts'

/** A list may lag behind our own bind for this long before its word counts against ours. */
const LAG_MS = 10 * MINUTE_MS

export interface Reconciled {
  readonly document: TargetDocument
  /** A certificate that somebody else bound, now ours to look after. */
  readonly adopted: Slot | null
  readonly warnings: readonly Warning[]
}

/**
 * What is to be written down of a target after this look; the world is right. A bound certificate that this program did not bind is
 * adopted as current. Pure.
 */
export function reconcile(inspection: Inspection, specHash: string, key: string | null = null): Reconciled {
  const document = withoutStalePending(tidy(inspection), inspection, specHash)
  const asItIs = { document, adopted: null, warnings: [] }
  const { bound, at } = inspection
  if (!bound) return asItIs
  const { pending, current } = document
  const id = bound.serverCertificateId
  const replaces = pending?.replaces && pending.replaces !== 'first' ? pending.replaces : null

  if (pending && pending.serverCertificateId === id)
    return { document: withBind(document, at), adopted: null, warnings: [] }
  if (pending?.boundAt && !pending.failedWhy && replaces?.serverCertificateId === id) {
    return at - pending.boundAt < LAG_MS ? asItIs : putBackByHand(document, specHash, at, pending.fingerprint)
  }
  if (current?.serverCertificateId === id || replaces?.serverCertificateId === id) return asItIs
  // A rollback in the console; a list that lags behind our own bind must not look like one.
  if (current && document.previous?.serverCertificateId === id) {
    if (at - (document.lastBoundAt ?? 0) < LAG_MS) return asItIs
    const exchanged = {
      ...document,
      current: { ...document.previous, specHash: current.specHash },
      previous: current,
    }
    return putBackByHand(exchanged, specHash, at, current.fingerprint)
  }
  // Not to be read yet, or not any more: nothing is known of it, so nothing is said of it.
  if (bound.slot && bound.slot.certificatePem === null) return asItIs
  return adopt(inspection, document, specHash, key)
}

/** A run that died between its bind and the note of it: the bind is as old as this look at the most. */
function withBind(document: TargetDocument, at: number): TargetDocument {
  const { pending } = document
  if (!pending?.replaces || pending.boundAt !== null) return document
  return { ...document, lastBoundAt: at, pending: { ...pending, boundAt: at } }
}

/** Forgets ids that are gone and notes when somebody else's certificate was first seen unbound. */
function tidy({ documents, slots, bound, at }: Inspection): TargetDocument {
  const document = documents.target
  const ids = new Set(slots.map(s => s.serverCertificateId))
  const added = document.added.filter(id => ids.has(id))
  const foreign = slots
    .map(s => s.serverCertificateId)
    .filter(id => !added.includes(id) && id !== bound?.serverCertificateId)
  const seen = Object.fromEntries(foreign.map(id => [id, document.seen[id] ?? at]))
  const same = added.length === document.added.length && sameKeys(seen, document.seen)
  return same ? document : { ...document, added, seen }
}

/**
 * Drops a certificate that was uploaded but never bound, once it is no longer the one that is wanted: as the
 * pending one it would keep its slot for ever.
 */
function withoutStalePending(
  document: TargetDocument,
  { bound, documents }: Inspection,
  specHash: string,
): TargetDocument {
  const { pending } = document
  if (!pending || pending.boundAt !== null || pending.failedWhy !== null) return document
  if (bound?.serverCertificateId === pending.serverCertificateId) return document
  const wanted = documents.certificate.pending
  const isWanted = pending.specHash === specHash && pending.fingerprint === wanted?.fingerprint
  return isWanted ? document : { ...document, pending: null }
}

const sameKeys = (a: object, b: object): boolean =>
  Object.keys(a).length === Object.keys(b).length && Object.keys(a).every(key => key in b)

/** A rollback that a person made without this program holds as one made with it. */
function putBackByHand(
  document: TargetDocument,
  specHash: string,
  at: number,
  putAway: string | null,
): Reconciled {
  const why = 'somebody bound the previous certificate again in place of ours'
  return {
    document: {
      ...document,
      pending: null,
      rolledBack: putAway === null ? document.rolledBack : [...document.rolledBack, putAway],
      held: { since: at, why, specHash },
    },
    adopted: null,
    warnings: [{ code: 'held', message: `${why}; run \`iotda-cert resume\` to rotate again` }],
  }
}

function adopt(
  { bound, documents, inventory, at }: Inspection,
  document: TargetDocument,
  specHash: string,
  key: string | null,
): Reconciled {
  const slot = bound?.slot ?? null
  const id = bound?.serverCertificateId ?? ''
  const fingerprint = slot?.leaf?.fingerprint ?? null
  const known = documents.certificate.current
  const hash = known && known.fingerprint === fingerprint ? known.specHash : specHash
  const begun = documents.certificate.pending
  const until = slot?.leaf ? `, valid until ${iso(slot.leaf.notAfter)}` : ''
  return {
    document: {
      ...document,
      current: { serverCertificateId: id, fingerprint, specHash: hash },
      previous: null,
      pending: null,
      // What a target finds at first was bound before there was anything to decline, unless it began it itself.
      declined: document.current || begun?.by === key ? (begun?.id ?? null) : null,
      passedOver: document.current ? (inventory?.holds?.serial ?? document.passedOver) : null,
      rolledBack: rolledBackWith(document, fingerprint),
      // Whatever failed before, a certificate has come; one that devices cannot use ends no back-off.
      ...(slot && validityOf(slot).notAfter > at ? { failures: 0, retryAfter: null } : {}),
    },
    adopted: slot,
    warnings: [
      {
        code: 'adopted',
        message: `certificate ${id}${until} was bound by somebody else; it is looked after from now on`,
      },
    ],
  }
}

/** A leaf known to be bad stays so although somebody bound another; one that a person binds is theirs to judge. */
function rolledBackWith({ pending, rolledBack }: TargetDocument, bound: string | null): string[] {
  const bad = pending?.failedWhy ? [...rolledBack, pending.fingerprint] : rolledBack
  return bad.filter(fingerprint => fingerprint !== bound)
}

/** Brings what is written down into line with what was just looked at, where the event may write. */
export async function reconcileDocument(
  context: Context,
  inspection: Inspection,
  lease: Lease | null,
): Promise<TargetDocument> {
  const { target, specHash, run } = context
  const seen = inspection.documents.target
  const { document, adopted, warnings } = reconcile(inspection, specHash, targetKey(target))
  for (const { code, message } of warnings) warn(context, code, message)
  const wrong =
    adopted && (await (await import('./wrong-with-adopted.ts')).wrongWithAdopted(context, adopted))
  const why = `the certificate that somebody else bound is not right for devices: ${wrong}`
  const next = wrong ? { ...document, held: { since: run.clock.now(), why, specHash } } : document
  if (wrong) warn(context, 'held', why)
  if (isOnlyAsked(context) || next === seen) return next
  // Only onto the document that was looked at: another run may have moved on since.
  await targetDocument(context).update(d => {
    if (d !== seen && lease) throw changed('the state was changed by another run')
    return d === seen ? next : d
  })
  return next
}
