import { iso, MINUTE_MS } from '../../base/time.ts'
import type { Leaf, Slot } from '../../model/certificate.ts'
import type { Warning } from '../../model/outcomes.ts'
import type { TargetDocument } from '../../state/documents.ts'
import { covers, parseChain } from '../../x509/certificate.ts'
import type { Inspection, World } from '../world.ts'

/** A list may lag behind our own bind for this long before its word counts against ours. */
const LAG_MS = 10 * MINUTE_MS

export interface Reconciled {
  readonly document: TargetDocument
  /** A certificate that somebody else bound, now ours to look after. */
  readonly adopted: Slot | null
  readonly warnings: readonly Warning[]
}

/**
 * Squares the diary with the world; the world is right. A bound certificate that this program did not bind is
 * adopted as current. Pure.
 */
export function reconcile(inspection: Inspection, specHash: string, key: string | null = null): Reconciled {
  const document = withoutStalePending(tidy(inspection), inspection, specHash)
  const { bound, at } = inspection
  if (!bound) return { document, adopted: null, warnings: [] }
  const { pending, current } = document
  const id = bound.serverCertificateId
  const replaces = pending?.replaces && pending.replaces !== 'first' ? pending.replaces : null

  if (pending && pending.serverCertificateId === id)
    return { document: withBind(document, at), adopted: null, warnings: [] }
  if (pending?.boundAt && !pending.failedWhy && replaces?.serverCertificateId === id) {
    return at - pending.boundAt < LAG_MS
      ? { document, adopted: null, warnings: [] }
      : putBackByHand(document, specHash, at, pending.fingerprint)
  }
  if (current?.serverCertificateId === id || replaces?.serverCertificateId === id)
    return { document, adopted: null, warnings: [] }
  // A rollback in the console; a list that lags behind our own bind must not look like one.
  if (current && document.previous?.serverCertificateId === id) {
    return at - (document.lastBoundAt ?? 0) < LAG_MS
      ? { document, adopted: null, warnings: [] }
      : putBackByHand(
          { ...document, current: { ...document.previous, specHash: current.specHash }, previous: current },
          specHash,
          at,
          current.fingerprint,
        )
  }
  // Not to be read yet, or not any more: nothing is known of it, so nothing is said of it.
  if (bound.slot && bound.slot.certificatePem === null) return { document, adopted: null, warnings: [] }
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
  { bound, documents, offer }: Inspection,
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
      passedOver: document.current ? (offer?.held?.serial ?? document.passedOver) : null,
      rolledBack: rolledBackWith(document, fingerprint),
      // Whatever failed before, a certificate has come.
      failures: 0,
      retryAfter: null,
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

/**
 * What is wrong with an adopted certificate, for devices: its names or its trust; null when nothing is. Its
 * validity is not judged here: an expired one is renewed like any other. Show may leave the intermediates out:
 * then the chain that devices are given counts, which `served` finds; one that cannot be seen is not wrong.
 */
export async function wrongWithAdopted(
  { target, run }: Pick<World, 'target' | 'run'>,
  slot: Slot,
  served?: (leaf: Leaf) => Promise<string | null>,
): Promise<string | null> {
  if (!slot.leaf || !slot.certificatePem) return 'it cannot be read'
  if (!covers(slot.leaf.names, target.domain))
    return `its names (${slot.leaf.names.join(', ')}) do not cover ${target.domain}`
  const { profilesOf, rootsOf } = await import('../../devices/roots.ts')
  const { verifyPath } = await import('../../x509/path.ts')
  const { inOrder } = await import('../../x509/sent.ts')
  const at = Math.min(Math.max(run.clock.now(), slot.leaf.notBefore), slot.leaf.notAfter - 1)
  const chain = parseChain(slot.certificatePem)
  /** Devices of every profile must trust it. Its order they live with, and the next certificate mends it. */
  const failureOf = (given: typeof chain) => {
    const ordered = inOrder(given)
    for (const profile of profilesOf(target)) {
      const verdict = verifyPath({ chain: ordered, roots: rootsOf(target, profile).certificates, at })
      if (!verdict.ok)
        return profile ? { ...verdict, message: `profile ${profile.name}: ${verdict.message}` } : verdict
    }
    return null
  }
  const shown = failureOf(chain)
  if (shown === null) return null
  if (!served || chain.length > 1 || shown.code !== 'incomplete') return shown.message
  const chainPem = await served(slot.leaf)
  return (chainPem && failureOf(parseChain(chainPem))?.message) ?? null
}
