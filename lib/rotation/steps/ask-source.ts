import { RotationError } from '../../base/rotation-error.ts'
import { HOUR_MS } from '../../base/time.ts'
import type { Journal } from '../../contracts.ts'
import type { Leaf } from '../../model/certificate.ts'
import type { ErrorCode } from '../../model/errors.ts'
import { type CertificateDocument, keyIdOf, type PendingCertificate } from '../../state/documents.ts'
import type { Lease } from '../../state/lease.ts'
import { leafOf, normalizePem, parseChain } from '../../x509/certificate.ts'
import { hasNext, stateOf } from '../decide/choose-source.ts'
import { recalledNow } from '../decide/renewal-window.ts'
import { isHolder, newsFor, refuseRolledBack, requireNames } from '../observe/source-inventory.ts'
import { type Job, sourceNamed, type World } from '../world.ts'
import { examine, sentence } from './examine.ts'
import { chainRefusals, suitable } from './preflight.ts'

/** What asking one source came to. `next`: it is given up, and another one is to be asked. */
export type Attempt =
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
export async function attempt(
  world: World,
  job: Job,
  pending: PendingCertificate,
  lease: Lease,
): Promise<Attempt> {
  const { records, spec, run } = world
  const journal = guarded(await records.journal(spec.name, pending.id, keyIdOf(pending)), lease)
  const refused = new Map<string, string>()
  const request = {
    spec,
    replaces: predecessor(job, pending),
    isNews: newsFor(job),
    accepts: (pem: string) => {
      const [why] = chainRefusals(world, job, pem)
      if (why !== undefined) refused.set(pem, why)
      return why === undefined
    },
    showsOthers: world.sharing.some(({ profiles }) => profiles.length > 0),
    emergency: job.verdict.emergency,
  }
  try {
    const obtained = await sourceNamed(world, pending.source).obtain(request, journal, run)
    if (obtained.kind === 'suspended') return obtained
    const { chainPem, leaf } = readObtained(obtained.chainPem)
    const { fingerprint } = leaf
    if (isHolder(world, pending.source)) requireNames(world, pending.source, leaf)
    refuseRolledBack(fingerprint, (await job.targetDocument.get()).rolledBack, world.event.accept)
    if (world.event.accept !== fingerprint) await refuseIfOthers(world, job, pending.source, chainPem)
    const notes = obtained.leftovers ?? {}
    const moment = { now: run.clock.now(), intervalMs: world.intervalMs }
    const isOther = ([pem]: readonly [string, string]): boolean =>
      pem !== obtained.chainPem && !isHolder(world, pending.source)
    const otherChains = [...refused].filter(isOther).map(([pem, why]) => otherChain(pem, why))
    const kept = await job.certificateDocument.update(d =>
      d.pending?.id === pending.id
        ? {
            ...d,
            notBefore: null,
            sources: {},
            recalled: recalledNow(job.inspection, moment, d.recalled),
            otherChains,
            pending: { ...d.pending, chainPem, fingerprint, notes },
          }
        : d,
    )
    return { kind: 'obtained', pending: kept.pending ?? { ...pending, chainPem, fingerprint } }
  } catch (thrown) {
    const error = ofSource(thrown, pending.source)
    if (!(error instanceof RotationError) || OUR_OWN.includes(error.code)) throw error
    const document = await noteFailure(world, job, pending.source, error)
    await forgetUnbegun(world, job, journal, pending)
    if (error.retry !== 'never' || !hasNext(spec, document, pending.source)) throw error
    return { kind: 'next', error }
  }
}

/** What people are told of a chain that was not taken. */
function otherChain(pem: string, why: string): string {
  const top = tryParse(pem)?.at(-1)
  const upTo = top ? `, up to "${leafOf(top).issuer}",` : ''
  return `another chain of the CA${upTo} is not for every device: ${why}`
}

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

/** Null when another CA issued the bound one: it is no predecessor that this CA could know. */
function predecessor({ inspection }: Job, { source }: PendingCertificate): string | null {
  const slot = inspection.bound?.slot
  const { current } = inspection.documents.certificate
  const isStranger =
    current?.source !== undefined &&
    current.fingerprint === slot?.leaf?.fingerprint &&
    current.source !== source
  return isStranger ? null : (slot?.certificatePem ?? null)
}

/** A certificate that preflight would refuse for good is no success while another source may do better. */
async function refuseIfOthers(world: World, job: Job, source: string, chainPem: string): Promise<void> {
  if (!hasNext(world.spec, await job.certificateDocument.get(), source)) return
  const refusals = examine(world, job, chainPem).filter(l => l.verdict === 'refuse' && l.passesAt === null)
  if (refusals.length === 0 && suitable(world, job, chainPem)) return
  const why = refusals.map(sentence).join('; ') || 'devices of another target would refuse it'
  throw new RotationError('preflight-refused', why, { retry: 'never' })
}

function tryParse(pem: string): ReturnType<typeof parseChain> | null {
  try {
    return parseChain(pem)
  } catch {
    return null
  }
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

function noteFailure(
  { run, spec }: World,
  job: Job,
  source: string,
  error: RotationError,
): Promise<CertificateDocument> {
  return job.certificateDocument.update(d => {
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
  { records, spec }: World,
  job: Job,
  { notes }: Journal,
  pending: PendingCertificate,
): Promise<void> {
  const hasKey = pending.keyId === undefined && (await records.privateKey(spec.name, pending.id)) !== null
  if (Object.keys(notes).length > 0 || hasKey) return
  await job.certificateDocument.update(d =>
    d.pending?.id === pending.id && d.pending.chainPem === null ? { ...d, pending: null } : d,
  )
}
