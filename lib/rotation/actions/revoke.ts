import { RotationError } from '../../base/rotation-error.ts'
import type { Secret } from '../../base/secret.ts'
import { iso } from '../../base/time.ts'
import type { Leaf, RevocationReason, Slot } from '../../model/certificate.ts'
import type { Outcome } from '../../model/outcomes.ts'
import { report, type TargetResult } from '../../report/result.ts'
import { keyIdOf } from '../../state/documents.ts'
import { parseChain } from '../../x509/certificate.ts'
import { keyFits } from '../../x509/key.ts'
import { startJob } from '../job.ts'
import { fail, lookAndDecide } from '../rotate.ts'
import { type Job, sourceNamed, type World, warn } from '../world.ts'

/** What is to be revoked: a slot whose certificate can be read. */
interface Chosen {
  readonly pem: string
  readonly leaf: Leaf
  readonly isBound: boolean
}

/**
 * `revoke`: tells the CA that a certificate is to be trusted no more. The one that is not bound, unless a person
 * names another; the bound one only by force, since devices would notice. Nothing on IoTDA is changed.
 */
export async function revoke(world: World): Promise<TargetResult> {
  const job = startJob(world)
  try {
    await lookAndDecide(world, job)
    return report(world, job, await revokeChosen(world, job), null)
  } catch (thrown) {
    return await fail(world, job, thrown)
  }
}

async function revokeChosen(world: World, job: Job): Promise<Outcome> {
  const { event, run, target } = world
  const { certificate = null, reason = 'unspecified' } = event.revoke ?? {}
  const chosen = choose(job, certificate)
  const { leaf, isBound } = chosen
  if (isBound && !event.force) throw refused(job, leaf)
  const key = await heldKey(world, job, chosen.pem)
  const fields = { target: target.name, fingerprint: leaf.fingerprint, reason, askedBy: event.askedBy }
  run.log.warn(fields, 'a certificate is being revoked')
  const { source, outcome } = await tellCa(world, job, chosen, reason, key?.key ?? null)
  if (reason === 'keyCompromise' && key) await banKey(world, job, key.id)
  if (isBound) {
    // What the CA said before is no longer so: the next run asks again, and renews.
    await job.certificateDocument.update(d => ({ ...d, renewalInfo: null, recalled: null }))
    warn(job, 'revoked', 'the bound certificate is revoked; run `iotda-cert rotate --force` now')
  }
  const how = outcome === 'revoked' ? 'is revoked' : 'was revoked already'
  const detail = `${leaf.subject || leaf.names.join(', ')} (${leaf.fingerprint.slice(0, 16)}…), valid until ${iso(leaf.notAfter)}, ${how} by sources.${source} (${reason})`
  job.verdict = { ...job.verdict, due: false, reason: 'fresh', plan: 'none', detail, nextCheckAt: null }
  return 'revoked'
}

const nothing = (why: string): RotationError =>
  new RotationError('usage', `nothing is revoked: ${why}`, {
    retry: 'never',
    hint: '`iotda-cert status` shows what is in the slots; name one by its fingerprint with --certificate.',
  })

function choose({ inspection }: Job, certificate: string | null): Chosen {
  const { bound, slots } = inspection
  const isBound = (slot: Slot): boolean => slot.serverCertificateId === bound?.serverCertificateId
  const wanted = slots.filter(slot =>
    certificate === null ? !isBound(slot) : slot.leaf?.fingerprint === certificate,
  )
  // Without another one the bound one is meant, which takes force.
  const slot = wanted.find(s => !isBound(s)) ?? wanted[0] ?? (certificate === null ? bound?.slot : null)
  if (!slot) throw nothing(certificate === null ? 'both slots are empty' : `no slot holds ${certificate}`)
  if (!slot.leaf || slot.certificatePem === null)
    throw nothing(`certificate ${slot.serverCertificateId} cannot be read`)
  return { pem: slot.certificatePem, leaf: slot.leaf, isBound: isBound(slot) }
}

/** The bound certificate is what devices are served. */
function refused({ inspection }: Job, leaf: Leaf): RotationError {
  const stapled = inspection.configuration?.serverCertificateConfig?.ocsp_stapling_enable === true
  const notice =
    stapled && leaf.ocspUrl !== null
      ? 'OCSP stapling is on: every device that looks at the staple would refuse the handshake'
      : 'devices that look at revocation lists would refuse the handshake, the others would notice nothing'
  return new RotationError(
    'usage',
    `nothing is revoked: certificate ${leaf.fingerprint} is bound, and served to devices. ${notice}`,
    {
      retry: 'never',
      hint: 'Run `iotda-cert rotate --force` first: then this one is not bound, and revoke takes it. Or use --force.',
    },
  )
}

/** The certificate's key, where it is still kept. */
async function heldKey({ records, spec }: World, job: Job, pem: string) {
  const [leaf] = parseChain(pem)
  const { keptKeys, pending } = await job.certificateDocument.get()
  for (const id of new Set([...keptKeys, ...(pending ? [keyIdOf(pending)] : [])])) {
    const key = await records.privateKey(spec.name, id)
    if (key && leaf && keyFits(key, leaf)) return { id, key }
  }
  return null
}

/** Asks the CA that issued it; where that is not known, one after another. */
async function tellCa(
  world: World,
  job: Job,
  { pem, leaf }: Chosen,
  reason: RevocationReason,
  key: Secret | null,
) {
  const { spec, run } = world
  const { current } = await job.certificateDocument.get()
  const known = current?.fingerprint === leaf.fingerprint ? current.source : undefined
  let failure: unknown = null
  for (const source of known === undefined ? spec.sources : [known]) {
    try {
      const revocation = { certificatePem: pem, reason, key }
      const outcome = await sourceNamed(world, source).revoke?.(revocation, run)
      if (outcome) return { source, outcome }
      failure ??= new RotationError('ca-rejected', `sources.${source} cannot revoke certificates`, {
        retry: 'never',
      })
    } catch (thrown) {
      if (!(thrown instanceof RotationError) || thrown.code !== 'ca-rejected') throw thrown
      failure ??= thrown
    }
  }
  throw failure
}

/** A compromised key is not kept for another certificate. */
async function banKey({ records, spec }: World, job: Job, id: string): Promise<void> {
  await records.wipeKey(spec.name, id)
  await job.certificateDocument.update(d => ({ ...d, keptKeys: d.keptKeys.filter(kept => kept !== id) }))
  warn(job, 'key-wiped', 'the compromised key is wiped; the next certificate gets another one')
}
