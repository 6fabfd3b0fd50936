import { RotationError } from '../../base/rotation-error.ts'
import type { Secret } from '../../base/secret.ts'
import { iso } from '../../base/time.ts'
import type { Leaf, RevocationReason, Slot } from '../../model/certificate.ts'
import type { TargetResult } from '../../report/result.ts'
import { keyIdOf, type Revoked } from '../../state/documents.ts'
import { parseChain, spkiHashOf } from '../../x509/certificate.ts'
import { keyFits } from '../../x509/key.ts'
import { type Context, certificateDocument, type RotationSetup, sourceNamed } from '../context.ts'
import type { Inspection } from '../observe/inspection.ts'
import { conclude, lookAndDecide } from '../rotate.ts'
import { warn } from '../trace.ts'

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
export const revoke = (setup: RotationSetup): Promise<TargetResult> =>
  conclude(setup, async context => {
    const { inspection } = await lookAndDecide(context)
    const detail = await revokeChosen(context, inspection)
    return { outcome: 'revoked', decision: { due: false, reason: 'fresh', detail, nextCheckAt: null } }
  })

async function revokeChosen(context: Context, inspection: Inspection): Promise<string> {
  const { event, run, target } = context
  const { certificate = null, reason = 'unspecified' } = event.revoke ?? {}
  const chosen = choose(inspection, certificate)
  const { leaf, isBound } = chosen
  if (isBound && !event.force) throw refused(inspection, leaf)
  const key = await keyOf(context, chosen.pem)
  const fields = { target: target.name, fingerprint: leaf.fingerprint, reason, askedBy: event.askedBy }
  run.log.warn(fields, 'a certificate is being revoked')
  const { source, outcome } = await tellCa(context, chosen, reason, key?.key ?? null)
  if (reason === 'keyCompromise') await banKey(context, chosen.pem, key?.id ?? null)
  await noteRevoked(context, { fingerprint: leaf.fingerprint, at: run.clock.now(), reason }, isBound)
  if (isBound)
    warn(context, 'revoked', 'the bound certificate is revoked; run `iotda-cert rotate` now: it is replaced')
  const how = outcome === 'revoked' ? 'is revoked' : 'was revoked already'
  return `${leaf.subject || leaf.names.join(', ')} (${leaf.fingerprint.slice(0, 16)}…), valid until ${iso(leaf.notAfter)}, ${how} by sources.${source} (${reason})`
}

/** Of a certificate so many are remembered: two can be in slots at each target. */
const REVOKED_AT_MOST = 50

/** Of compromised keys. */
const BANNED_AT_MOST = 200

/** Whoever bound it, and whatever the CA says of it later. */
async function noteRevoked(context: Context, revoked: Revoked, isBound: boolean): Promise<void> {
  await certificateDocument(context).update(d => {
    const others = d.revoked.filter(({ fingerprint }) => fingerprint !== revoked.fingerprint)
    const noted = { ...d, revoked: [...others, revoked].slice(-REVOKED_AT_MOST) }
    // What the CA said before is no longer so: the next run asks again.
    return isBound ? { ...noted, renewalInfo: null, recalled: null } : noted
  })
}

const nothing = (why: string): RotationError =>
  new RotationError('usage', `nothing is revoked: ${why}`, {
    retry: 'never',
    hint: '`iotda-cert status` shows what is in the slots; name one by its fingerprint with --certificate.',
  })

function choose({ bound, slots }: Inspection, certificate: string | null): Chosen {
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
function refused({ configuration }: Inspection, leaf: Leaf): RotationError {
  const stapled = configuration?.serverCertificateConfig?.ocsp_stapling_enable === true
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
async function keyOf(context: Context, pem: string) {
  const { records, spec } = context
  const [leaf] = parseChain(pem)
  const { keptKeys, pending } = await certificateDocument(context).get()
  for (const id of new Set([...keptKeys, ...(pending ? [keyIdOf(pending)] : [])])) {
    const key = await records.privateKey(spec.name, id)
    if (key && leaf && keyFits(key, leaf)) return { id, key }
  }
  return null
}

/** Asks the CA that issued it; where that is not known, one after another. */
async function tellCa(context: Context, { pem, leaf }: Chosen, reason: RevocationReason, key: Secret | null) {
  const { spec, run } = context
  const { current } = await certificateDocument(context).get()
  const known = current?.fingerprint === leaf.fingerprint ? current.source : undefined
  let failure: unknown = null
  for (const source of known === undefined ? spec.sources : [known]) {
    try {
      const revocation = { certificatePem: pem, reason, key }
      const outcome = await sourceNamed(context, source).revoke?.(revocation, run)
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

/** A compromised key is not kept for another certificate, and not used again though somebody puts it back. */
async function banKey(context: Context, pem: string, id: string | null): Promise<void> {
  const [leaf] = parseChain(pem)
  const banned = leaf ? [spkiHashOf(leaf)] : []
  await certificateDocument(context).update(d => ({
    ...d,
    bannedKeys: [...new Set([...d.bannedKeys, ...banned])].slice(-BANNED_AT_MOST),
  }))
  if (id === null) return
  await context.records.wipeKey(context.spec.name, id)
  await certificateDocument(context).update(d => ({ ...d, keptKeys: d.keptKeys.filter(kept => kept !== id) }))
  warn(context, 'key-wiped', 'the compromised key is wiped; the next certificate gets another one')
}
