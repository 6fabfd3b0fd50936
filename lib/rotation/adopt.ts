import { iso, MINUTE_MS } from '../base/time.ts'
import type { Slot, Warning } from '../model.ts'
import { covers, parseChain } from '../x509/certificate.ts'
import type { TargetDocument } from './documents.ts'
import type { Inspection, World } from './world.ts'

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
export function reconcile(inspection: Inspection, specHash: string): Reconciled {
  const document = tidy(inspection)
  const { bound, at } = inspection
  if (!bound) return { document, adopted: null, warnings: [] }
  const { pending, current } = document
  const id = bound.serverCertificateId
  const replaces = pending?.replaces && pending.replaces !== 'first' ? pending.replaces : null

  if (pending && pending.serverCertificateId === id) return { document, adopted: null, warnings: [] }
  if (pending?.boundAt && !pending.failedWhy && replaces?.serverCertificateId === id) {
    return at - pending.boundAt < LAG_MS
      ? { document, adopted: null, warnings: [] }
      : putBackByHand(document, specHash, at)
  }
  if (current?.serverCertificateId === id || replaces?.serverCertificateId === id)
    return { document, adopted: null, warnings: [] }
  return adopt(inspection, document, specHash)
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

const sameKeys = (a: object, b: object): boolean =>
  Object.keys(a).length === Object.keys(b).length && Object.keys(a).every(key => key in b)

function putBackByHand(document: TargetDocument, specHash: string, at: number): Reconciled {
  const { pending } = document
  if (!pending) return { document, adopted: null, warnings: [] }
  const why = 'somebody bound the previous certificate again in place of ours'
  return {
    document: {
      ...document,
      pending: null,
      rolledBack: [...document.rolledBack, pending.fingerprint],
      held: { since: at, why, specHash },
    },
    adopted: null,
    warnings: [{ code: 'held', message: `${why}; run \`iotda-cert resume\` to rotate again` }],
  }
}

function adopt({ bound, documents }: Inspection, document: TargetDocument, specHash: string): Reconciled {
  const slot = bound?.slot ?? null
  const id = bound?.serverCertificateId ?? ''
  const fingerprint = slot?.leaf?.fingerprint ?? null
  const known = documents.certificate.current
  const hash = known && known.fingerprint === fingerprint ? known.specHash : specHash
  const until = slot?.leaf ? `, valid until ${iso(slot.leaf.notAfter)}` : ''
  return {
    document: {
      ...document,
      current: { serverCertificateId: id, fingerprint, specHash: hash },
      previous: null,
      pending: null,
      declined: documents.certificate.pending?.id ?? null,
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

/**
 * What is wrong with an adopted certificate, for devices: its names or its trust; null when nothing is. Its
 * validity is not judged here: an expired one is renewed like any other.
 */
export async function wrongWithAdopted({ target, run }: World, slot: Slot): Promise<string | null> {
  if (!slot.leaf || !slot.certificatePem) return 'it cannot be read'
  if (!covers(slot.leaf.names, target.domain))
    return `its names (${slot.leaf.names.join(', ')}) do not cover ${target.domain}`
  const { parseRoots, verifyPath } = await import('../x509/path.ts')
  const at = Math.min(Math.max(run.clock.now(), slot.leaf.notBefore), slot.leaf.notAfter - 1)
  const verdict = verifyPath({
    chain: parseChain(slot.certificatePem),
    roots: parseRoots(target.trustedRoots),
    at,
  })
  return verdict.ok ? null : verdict.message
}
