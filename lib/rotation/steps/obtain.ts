import { longestWaitMs } from '../../base/lifetime.ts'
import { RotationError } from '../../base/rotation-error.ts'
import type { Secret } from '../../base/secret.ts'
import { iso } from '../../base/time.ts'
import type { Leaf } from '../../model/certificate.ts'
import { keyIdOf, type PendingCertificate } from '../../state/documents.ts'
import { type Lease, takeLease } from '../../state/lease.ts'
import { newPendingId, segment, targetKey } from '../../state/state.ts'
import { leafOf, parseChain } from '../../x509/certificate.ts'
import { type Context, certificateDocument, sourceNamed, targetDocument } from '../context.ts'
import { isOutdated } from '../decide/choose-chain.ts'
import { chooseSource } from '../decide/choose-source.ts'
import type { Decided, DueToDeploy } from '../decide/decision.ts'
import { lifetimeIn } from '../decide/renewal-window.ts'
import { isKeyLost, sharedKey } from '../keys/next-key.ts'
import { boundLeaf, type Inspection, isBanned, wasRevoked } from '../observe/inspection.ts'
import { isAnother, isHolder } from '../observe/source-inventory.ts'
import { done, type StepResult, Suspension, skipped } from '../trace.ts'
import { askSource } from './ask-source.ts'
import { noRoom, roomFor } from './slots.ts'
import { withLeftover } from './sweep.ts'

/** A certificate in hand. */
export interface Material {
  readonly chainPem: string
  readonly leaf: Leaf
  /** Null only where the leaf is in a slot already. */
  readonly key: Secret | null
  /** Of the settings it was obtained with. */
  readonly specHash: string
}

/**
 * A certificate in hand: the one an earlier run obtained, or the order it left, or a new one. Several targets
 * may share the certificate: one obtains, the others adopt what it got.
 */
export async function obtain(context: Context, decided: Decided<DueToDeploy>): Promise<StepResult<Material>> {
  const { pending } = decided.inspection.documents.certificate
  const document = await targetDocument(context).get()
  const room = roomFor(context, decided, document, pending?.fingerprint ?? null)
  // No order for a certificate that could not be uploaded anyway.
  if (room.kind === 'blocked') throw noRoom(room)
  return context.inTurn(`certificate/${context.spec.name}`, () => obtainInTurn(context, decided))
}

async function obtainInTurn(context: Context, decided: Decided): Promise<StepResult<Material>> {
  const lease = await takeLease(context.store, `certificate-${segment(context.spec.name)}`, context.run)
  try {
    const known = await usable(context, decided.inspection, null)
    if (known?.chainPem) return await take(context, known, 'obtained by an earlier run')
    return await fromSources(context, decided, lease)
  } finally {
    await lease.release()
  }
}

/** Asks one source after another, while the one before has failed for good. */
async function fromSources(context: Context, decided: Decided, lease: Lease): Promise<StepResult<Material>> {
  const { spec, run } = context
  const { inspection, decision } = decided
  for (let failure: RotationError | null = null; ; ) {
    const document = await certificateDocument(context).refresh()
    const { emergency } = decision
    const longest = longestWaitMs(lifetimeIn(inspection), emergency)
    const choice = chooseSource(spec, document, { now: run.clock.now(), emergency, longestWaitMs: longest })
    if (choice.kind === 'wait') throw failure ?? new Suspension(choice.until, choice.why)
    const { source } = choice
    const pending = (await usable(context, inspection, source)) ?? (await begin(context, source))
    if (pending.chainPem) return take(context, pending, 'obtained by another run')
    const asked = await askSource(context, decided, pending, lease)
    if (asked.kind === 'obtained') return take(context, asked.pending, null)
    if (asked.kind === 'suspended') throw new Suspension(asked.until, asked.why)
    failure = asked.error
    run.log.warn({ certificate: spec.name, source }, `the next source is asked: ${failure.message}`)
  }
}

/**
 * The pending certificate, if it still is what the settings ask for and good for this target; one that is still
 * to be obtained, only from `source`, or any when null.
 */
async function usable(
  context: Context,
  inspection: Inspection,
  source: string | null,
): Promise<PendingCertificate | null> {
  const { records, spec, specHash } = context
  const document = await certificateDocument(context).refresh()
  const { pending } = document
  if (!pending) return null
  const { rolledBack } = await targetDocument(context).get()
  const leaf = pending.chainPem ? leafOf(first(pending.chainPem)) : null
  const hasOtherKey = leaf === null && (await isKeyLost(context, pending))
  // Bound here already: it is kept for a target that has not got it yet, and is not what is wanted now.
  const spent =
    leaf !== null &&
    (isStale(context, inspection, pending, leaf) ||
      (!isHolder(context, pending.source) && (await isOutdated(context, inspection, pending))) ||
      rolledBack.includes(leaf.fingerprint) ||
      wasRevoked(document, leaf.fingerprint) ||
      isBanned(document.bannedKeys, pending.chainPem ?? '') ||
      leaf.fingerprint === boundLeaf(inspection)?.fingerprint)
  const keyless =
    leaf !== null &&
    !(await records.privateKey(spec.name, keyIdOf(pending))) &&
    !inspection.slots.some(s => s.leaf?.fingerprint === leaf.fingerprint)
  const elsewhere = leaf === null && source !== null && pending.source !== source
  if (pending.specHash === specHash && !spent && !keyless && !elsewhere && !hasOtherKey) return pending
  await drop(context, pending)
  return null
}

/** Whether its source would do better: by another order, or because it holds another one by now. */
function isStale(
  context: Context,
  { inventory }: Inspection,
  { source }: PendingCertificate,
  leaf: Leaf,
): boolean {
  const now = context.run.clock.now()
  if (!isHolder(context, source)) return leaf.notAfter - now < (leaf.notAfter - leaf.notBefore) / 3
  const holds = source === context.spec.sources[0] ? inventory?.holds : null
  return leaf.notAfter <= now || (holds ? isAnother(holds, leaf) : false)
}

const first = (chainPem: string) => {
  const [leaf] = parseChain(chainPem)
  if (!leaf) throw new RotationError('certificate-invalid', 'the source gave no certificate')
  return leaf
}

/** Gives a pending certificate up: its authorizations and TXT values first, then its key, then the entry. */
async function drop(context: Context, pending: PendingCertificate): Promise<void> {
  const { records, spec, run } = context
  const journal = await records.journal(spec.name, pending.id)
  try {
    if (!pending.chainPem) await sourceNamed(context, pending.source).abandon(journal, run)
  } catch (error) {
    run.log.warn(
      { certificate: spec.name, error: (error as Error).message },
      'an old order could not be given up cleanly',
    )
  }
  // Uploaded, but not to be bound any more: its slot may be freed.
  await targetDocument(context).update(d =>
    d.pending?.boundAt === null && d.pending.fingerprint === pending.fingerprint
      ? { ...d, pending: null }
      : d,
  )
  if (pending.keyId === undefined) await records.wipeKey(spec.name, pending.id)
  await certificateDocument(context).update(d =>
    d.pending?.id === pending.id
      ? { ...d, pending: null, leftovers: withLeftover(d.leftovers, journal.notes, pending.source) }
      : d,
  )
}

async function begin(context: Context, source: string): Promise<PendingCertificate> {
  const { run, specHash, target } = context
  const fresh: PendingCertificate = {
    id: newPendingId(),
    specHash,
    by: targetKey(target),
    source,
    ...(isHolder(context, source) ? {} : await sharedKey(context)),
    since: run.clock.now(),
    notes: {},
    chainPem: null,
    fingerprint: null,
  }
  const { pending } = await certificateDocument(context).update(d =>
    d.pending ? d : { ...d, pending: fresh },
  )
  return pending ?? fresh
}

/** `known`: how it came about that it was there already; null: it is new. */
async function take(
  { records, spec, trace }: Context,
  pending: PendingCertificate,
  known: string | null,
): Promise<StepResult<Material>> {
  const chainPem = pending.chainPem ?? ''
  const leaf = leafOf(first(chainPem))
  trace.add('leaves', leaf)
  const key = await records.privateKey(spec.name, keyIdOf(pending))
  const material = { chainPem, leaf, key, specHash: pending.specHash }
  const what = `${leaf.keyType} certificate for ${leaf.names.join(', ')}, valid until ${iso(leaf.notAfter)}`
  return known === null
    ? done(material, `${what}, from ${leaf.issuer}`)
    : skipped(material, `${what}, ${known}`)
}
