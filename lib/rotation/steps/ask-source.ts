import { RotationError } from '../../base/rotation-error.ts'
import { secret } from '../../base/secret.ts'
import { HOUR_MS } from '../../base/time.ts'
import type { Journal } from '../../contracts.ts'
import type { Leaf } from '../../model/certificate.ts'
import type { ErrorCode } from '../../model/errors.ts'
import { type CertificateDocument, keyIdOf, type PendingCertificate } from '../../state/documents.ts'
import type { Lease } from '../../state/lease.ts'
import { leafOf, normalizePem, parseChain } from '../../x509/certificate.ts'
import { spkiHash } from '../../x509/key.ts'
import { type Context, certificateDocument, sourceNamed, targetDocument } from '../context.ts'
import { checkChain, suitable as isSuitable, sentence } from '../decide/check-chain.ts'
import { chooseChain } from '../decide/choose-chain.ts'
import { hasNext, stateOf } from '../decide/choose-source.ts'
import type { Decided } from '../decide/decision.ts'
import { recalledNow } from '../decide/renewal-window.ts'
import type { Inspection } from '../observe/inspection.ts'
import { isHolder, newsFor, refuseRolledBack, requireNames } from '../observe/source-inventory.ts'

/** What a source came to. `next`: it is given up, and another one is to be asked. */
export type Asked =
  | { readonly kind: 'obtained'; readonly pending: PendingCertificate }
  | { readonly kind: 'suspended'; readonly until: number; readonly why: string }
  | { readonly kind: 'next'; readonly error: RotationError }

/** Failures that are no fault of the source. */
const OUR_OWN: readonly ErrorCode[] = [
  'out-of-time',
  'busy',
  'lease-lost',
  'store-conflict',
  'store-unreadable',
  'internal',
]

/** Asks the pending certificate's source for it. @throws RotationError of the source, when no other is left to ask */
export async function askSource(
  context: Context,
  decided: Decided,
  pending: PendingCertificate,
  lease: Lease,
): Promise<Asked> {
  const { records, spec, run } = context
  const { inspection, decision } = decided
  const { source } = pending
  const written = await records.journal(spec.name, pending.id, keyIdOf(pending))
  const { bannedKeys } = await certificateDocument(context).get()
  const journal = guarded(withoutBanned(written, bannedKeys), lease)
  const choice = await chooseChain(context, inspection)
  const request = {
    spec,
    replaces: predecessor(inspection, source),
    isNews: newsFor(inspection, decision),
    accepts: choice.accepts,
    showsOthers: context.sharing.some(({ profiles }) => profiles.length > 0),
    emergency: decision.emergency,
  }
  try {
    const obtained = await sourceNamed(context, source).obtain(request, journal, run)
    if (obtained.kind === 'suspended') return obtained
    const { chainPem, leaf } = readObtained(choice.best(obtained.chainPem))
    const { fingerprint } = leaf
    const { accept } = context.event
    if (isHolder(context, source)) requireNames(context, source, leaf)
    refuseRolledBack(fingerprint, (await targetDocument(context).get()).rolledBack, accept)
    if (accept !== fingerprint) await refuseIfOthers(context, decided, source, chainPem)
    const notes = obtained.leftovers ?? {}
    const timing = { now: run.clock.now(), intervalMs: context.intervalMs }
    const otherChains = isHolder(context, source) ? [] : choice.others(choice.best(obtained.chainPem))
    const suitable = choice.isSuitable(chainPem)
    const document = await certificateDocument(context).update(d =>
      d.pending?.id === pending.id
        ? {
            ...d,
            notBefore: null,
            sources: {},
            recalled: recalledNow(inspection, timing, d.recalled),
            otherChains,
            pending: { ...d.pending, chainPem, fingerprint, notes, suitable },
          }
        : d,
    )
    return { kind: 'obtained', pending: document.pending ?? { ...pending, chainPem, fingerprint } }
  } catch (thrown) {
    const error = ofSource(thrown, source)
    if (!(error instanceof RotationError) || OUR_OWN.includes(error.code)) throw error
    const document = await noteFailure(context, source, error)
    await forgetUnbegun(context, journal, pending)
    if (error.retry !== 'never' || !hasNext(spec, document, source)) throw error
    return { kind: 'next', error }
  }
}

/** A compromised key that somebody put back is replaced by a new one. */
const withoutBanned = (journal: Journal, bannedKeys: readonly string[]): Journal => ({
  get notes() {
    return journal.notes
  },
  write: journal.write,
  privateKey: async make => {
    const key = await journal.privateKey(make)
    if (!bannedKeys.includes(spkiHash(key))) return key
    await journal.adoptKey(secret(await make()))
    return journal.privateKey(make)
  },
  adoptKey: journal.adoptKey,
})

/** An order may outlast the lease: whoever took it over owns the notes. */
function guarded(journal: Journal, lease: Lease): Journal {
  return {
    get notes() {
      return journal.notes
    },
    write: async notes => {
      await lease.guard()
      await journal.write(notes)
    },
    privateKey: journal.privateKey,
    adoptKey: async key => {
      await lease.guard()
      await journal.adoptKey(key)
    },
  }
}

/** Null when another CA issued the bound one, as state or the CA itself says: it is no predecessor that it could know. */
function predecessor({ bound, documents, renewalInfo }: Inspection, source: string): string | null {
  const { current } = documents.certificate
  const isStranger =
    current?.source !== undefined &&
    current.fingerprint === bound?.slot?.leaf?.fingerprint &&
    current.source !== source
  return isStranger || renewalInfo?.isUnknown ? null : (bound?.slot?.certificatePem ?? null)
}

/** A certificate that preflight would refuse for good is no success while another source may do better. */
async function refuseIfOthers(
  context: Context,
  decided: Decided,
  source: string,
  chainPem: string,
): Promise<void> {
  if (!hasNext(context.spec, await certificateDocument(context).get(), source)) return
  const lines = checkChain(context, decided, chainPem)
  const refusals = lines.filter(l => l.verdict === 'refuse' && l.passesAt === null)
  if (refusals.length === 0 && isSuitable(context, decided.inspection, chainPem)) return
  const why = refusals.map(sentence).join('; ') || 'devices of another target would refuse it'
  throw new RotationError('preflight-refused', why, { retry: 'never' })
}

function readObtained(pem: string): { chainPem: string; leaf: Leaf } {
  // As IoTDA wants it: leaf first, no blank lines, no text between the blocks.
  const chain = parseChain(pem)
  const [leaf] = chain
  if (!leaf) throw new RotationError('certificate-invalid', 'there is no certificate')
  return { chainPem: normalizePem(chain), leaf: leafOf(leaf) }
}

/** A PEM text that cannot be read does not know where it came from. */
function ofSource(error: unknown, source: string): unknown {
  if (!(error instanceof RotationError) || !['certificate-invalid', 'preflight-refused'].includes(error.code))
    return error
  if (error.message.startsWith(`source ${source} `)) return error
  return new RotationError(error.code, `sources.${source} gave no usable certificate: ${error.message}`, {
    cause: error,
    retry: error.retry,
    hint:
      error.code === 'preflight-refused' && error.hint !== null
        ? error.hint
        : `Nothing on IoTDA was changed. See what stands behind sources.${source}; a later run asks it again.`,
  })
}

/** What a source says about waiting binds every later run, forced ones included. */
function waitOf({ code, message, retryAt }: RotationError, now: number) {
  if (code !== 'rate-limited' && (code !== 'unavailable' || retryAt === null)) return null
  return { at: retryAt ?? now + HOUR_MS, why: message, since: now }
}

function noteFailure(context: Context, source: string, error: RotationError): Promise<CertificateDocument> {
  const { run, spec } = context
  return certificateDocument(context).update(d => {
    const before = stateOf(d, spec, source)
    const after = {
      failures: before.failures + 1,
      failedForGood: before.failedForGood || error.retry === 'never',
      notBefore: waitOf(error, run.clock.now()),
    }
    const notBefore = source === spec.sources[0] ? null : d.notBefore
    return { ...d, notBefore, sources: { ...d.sources, [source]: after } }
  })
}

/** A source that failed before it wrote anything down has begun nothing that a later run could go on with. */
async function forgetUnbegun(
  context: Context,
  { notes }: Journal,
  { id, keyId }: PendingCertificate,
): Promise<void> {
  const { records, spec } = context
  const hasKey = keyId === undefined && (await records.privateKey(spec.name, id)) !== null
  if (Object.keys(notes).length > 0 || hasKey) return
  await certificateDocument(context).update(d =>
    d.pending?.id === id && d.pending.chainPem === null ? { ...d, pending: null } : d,
  )
}
