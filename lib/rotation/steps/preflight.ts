import { emergencyMs } from '../../base/lifetime.ts'
import { RotationError } from '../../base/rotation-error.ts'
import type { Secret } from '../../base/secret.ts'
import { iso } from '../../base/time.ts'
import { isAcceptable, judge } from '../../devices/judge.ts'
import { profilesOf, rootsOf } from '../../devices/roots.ts'
import type { Leaf } from '../../model/certificate.ts'
import type { CheckLine } from '../../model/device-profile.ts'
import type { Target } from '../../model/target.ts'
import { covers, parseChain } from '../../x509/certificate.ts'
import { encodeKey, keyFits } from '../../x509/key.ts'
import { done, type Job, type Step, type StepResult, skipped, suspend, type World, warn } from '../world.ts'
import { examine, type Line, sentence } from './examine.ts'

/** IoTDA's limits of `certificate_pem` and `private_key`, in characters. */
const PEM_LIMIT = 65_535
const KEY_LIMIT = 10_240

/**
 * Would every device still trust and understand it? Refuses here, not in the field: nothing on IoTDA has been
 * touched yet.
 */
export const preflight: Step = async (world, job) => {
  const { material } = job
  if (!material) throw new RotationError('internal', 'preflight without a certificate')
  checkMaterial(world, job, material)
  const lines = examine(world, job, material.chainPem)
  job.table = lines.map(shown)
  for (const line of lines) if (isNews(line)) warn(job, 'preflight', sentence(line))
  const refusals = lines.filter(line => line.verdict === 'refuse')
  if (isAcceptable(lines)) return done('key, chain, names, dates, key type and sizes are right')
  return inSpiteOf(world, job, material.leaf, refusals)
}

/** What no device decides: the key, the platform's limits, the name and the dates. */
function checkMaterial(
  { target, run }: World,
  job: Job,
  { leaf, chainPem, key }: NonNullable<Job['material']>,
): void {
  const present = job.inspection.slots.some(s => s.leaf?.fingerprint === leaf.fingerprint)
  if (!key && !present)
    throw new RotationError('certificate-invalid', 'the private key of the obtained certificate is gone')
  const [leafCertificate] = parseChain(chainPem)
  if (key && leafCertificate && !keyFits(key, leafCertificate))
    invalid('the private key does not belong to the leaf')
  limits(target, chainPem, key)
  if (leaf.notBefore > run.clock.now()) invalid(`it is not valid before ${iso(leaf.notBefore)}`)
  if (leaf.notAfter <= run.clock.now()) invalid(`it expired at ${iso(leaf.notAfter)}`)
  if (!covers(leaf.names, target.domain))
    invalid(`its names (${leaf.names.join(', ') || 'none'}) do not cover ${target.domain}`)
}

function limits(target: Target, chainPem: string, key: Secret | null): void {
  if (chainPem.length > PEM_LIMIT)
    invalid(`the chain has ${chainPem.length} characters, IoTDA takes ${PEM_LIMIT}`)
  const keyLength = key ? encodeKey(key, target.keyEncoding).privateKey.reveal().length : 0
  if (keyLength > KEY_LIMIT) invalid(`the key has ${keyLength} characters, IoTDA takes ${KEY_LIMIT}`)
}

function invalid(why: string): never {
  throw new RotationError('certificate-invalid', `the new certificate is refused: ${why}`, {
    hint: 'Nothing on IoTDA was changed. Check what the source gives for these names.',
  })
}

/** Who or what may let a refused certificate pass, strongest first; nobody: it is refused. */
function inSpiteOf(world: World, job: Job, leaf: Leaf, refusals: readonly Line[]): StepResult {
  const { target, run, event } = world
  const standing = refusals.map(sentence).join('; ')
  if (event.accept === leaf.fingerprint) {
    const who = event.askedBy ?? 'a person'
    const fields = { target: target.name, fingerprint: leaf.fingerprint, askedBy: who, refusals: standing }
    run.log.warn(fields, 'a certificate that preflight refuses was accepted')
    for (const line of refusals) warn(job, 'accepted', `accepted by ${who}: ${sentence(line)}`)
    return skipped(`accepted by ${who} in spite of: ${standing}`)
  }
  const passesAt = refusals.map(line => line.passesAt ?? Number.POSITIVE_INFINITY)
  const at = Math.max(...passesAt)
  if (at < boundUntil(job)) return suspend(at, `not bound before ${iso(at)}: ${standing}`)
  if (Number.isFinite(at)) {
    const emergencyAt = emergencyFrom(job)
    if (emergencyAt > run.clock.now() && !job.verdict.emergency)
      return suspend(emergencyAt, `not bound before the emergency, at ${iso(emergencyAt)}: ${standing}`)
    warn(job, 'preflight', `bound all the same, since nothing else is valid by then: ${standing}`)
    return done(`nothing else is valid by ${iso(at)}, in spite of: ${standing}`)
  }
  if (job.verdict.emergency && target.preflight.emergency === 'bind') {
    run.log.warn({ target: target.name, refusals: standing }, 'bound in the emergency in spite of preflight')
    for (const line of refusals) warn(job, 'emergency', `bound in the emergency: ${sentence(line)}`)
    return done(`the emergency goes before: ${standing}`)
  }
  throw refused('the new certificate', standing, leaf)
}

const refused = (what: string, standing: string, { fingerprint }: Leaf): RotationError =>
  new RotationError('preflight-refused', `${what} is refused: ${standing}`, {
    hint: `The bound certificate stays. Mend the cause, or accept exactly this one: --accept ${fingerprint}`,
  })

/** How long devices are served something valid anyway. */
const boundUntil = ({ inspection }: Job): number => inspection.bound?.slot?.leaf?.notAfter ?? 0

/** From when on the bound certificate is about to end; waiting any longer would leave devices with nothing. */
const emergencyFrom = ({ inspection }: Job): number => {
  const leaf = inspection.bound?.slot?.leaf
  return leaf ? leaf.notAfter - emergencyMs(leaf) : 0
}

/** A warning about what is the same today is in the table, and says nothing new; a date that comes nearer does. */
const isNews = (line: CheckLine): boolean =>
  line.verdict === 'warn' && (line.check === 'trusted-until' || line.served !== line.new)

const shown = ({ passesAt: _, ...line }: Line): CheckLine => line

/** For `plan`: what preflight would say of the certificate in hand, if there is one. */
export function preview(world: World, job: Job): void {
  const { pending } = job.inspection.documents.certificate
  if (!pending?.chainPem || pending.specHash !== world.specHash) return
  const lines = examine(world, job, pending.chainPem)
  const refusals = lines.filter(line => line.verdict === 'refuse')
  job.table = lines.map(shown)
  const detail =
    refusals.length === 0
      ? 'would accept the certificate in hand'
      : `would refuse the certificate in hand: ${refusals.map(sentence).join('; ')}`
  job.steps.push({ step: 'preflight', status: 'skipped', durationMs: 0, call: null, detail })
}

/**
 * For a rollback by hand: whether devices would take what was bound before. It may be shown without its
 * intermediates; then whether there is a path is not known, and not held against it.
 * @throws RotationError `preflight-refused`
 */
export function checkRollback(
  world: World,
  job: Job,
  chainPem: string,
  { leaf, staplingBack }: { readonly leaf: Leaf; readonly staplingBack: boolean },
): void {
  const alone = parseChain(chainPem).length === 1
  const lines = examine(world, job, chainPem, { otherKeyAsked: true, staplingBack })
  job.table = lines.map(shown)
  const refusals = lines.filter(
    line => line.verdict === 'refuse' && !(alone && line.new === 'none (incomplete)'),
  )
  if (refusals.length === 0) return
  const standing = refusals.map(sentence).join('; ')
  const error = refused('the previous certificate', standing, leaf)
  const isAccepted = world.event.accept === leaf.fingerprint
  const status = isAccepted ? 'skipped' : 'refused'
  job.steps.push({ step: 'preflight', status, durationMs: 0, call: null, detail: error.message })
  if (!isAccepted) throw error
  inSpiteOf(world, job, leaf, refusals)
}

/** What a chain itself decides; the rest is the leaf's, the same with every chain. */
const OF_THE_CHAIN: readonly string[] = [
  'pem',
  'path',
  'whole-chain',
  'signatures',
  'issuer-keys',
  'bytes',
  'depth',
  'pins',
]

/** Why devices of a target that shares the certificate would not take this chain, among others for the same leaf. */
export const chainRefusals = (world: World, job: Job, chainPem: string): readonly string[] =>
  forEveryTarget(world, job, chainPem)
    .filter(({ check, verdict }) => verdict === 'refuse' && OF_THE_CHAIN.includes(check))
    .map(sentence)

/** Whether they take this chain and this leaf, once their clocks allow: else another source may do better. */
export const suitable = (world: World, job: Job, chainPem: string): boolean =>
  forEveryTarget(world, job, chainPem, job.inspection.bound?.slot?.certificatePem ?? null).every(
    ({ check, verdict, passesAt }) => verdict !== 'refuse' || (check === 'clock' && passesAt !== null),
  )

function forEveryTarget(
  { sharing, run }: World,
  { inspection }: Job,
  chainPem: string,
  servedPem: string | null = null,
): readonly Line[] {
  const config = inspection.configuration?.serverCertificateConfig ?? {}
  return sharing.flatMap(target =>
    profilesOf(target).flatMap(profile =>
      judge({
        chainPem,
        profile,
        roots: rootsOf(target, profile),
        at: run.clock.now(),
        servedPem,
        domain: target.domain,
        otherKeyAsked: true,
        minAgeMs: 0,
        stapling: config.ocsp_stapling_enable === true,
      }),
    ),
  )
}
