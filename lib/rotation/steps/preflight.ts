import { emergencyMs } from '../../base/lifetime.ts'
import { RotationError } from '../../base/rotation-error.ts'
import type { Secret } from '../../base/secret.ts'
import { iso } from '../../base/time.ts'
import { isAcceptable, type JudgeLine } from '../../devices/judge.ts'
import type { Leaf } from '../../model/certificate.ts'
import type { CheckLine } from '../../model/device-profile.ts'
import type { Target } from '../../model/target.ts'
import { covers, parseChain } from '../../x509/certificate.ts'
import { encodeKey, keyFits } from '../../x509/key.ts'
import type { Context } from '../context.ts'
import { checkChain, sentence } from '../decide/check-chain.ts'
import type { Decided, DueToDeploy } from '../decide/decision.ts'
import { boundLeaf, type Inspection, isBanned } from '../observe/inspection.ts'
import { revocationLines } from '../observe/revocation.ts'
import { done, type StepResult, Suspension, skipped, warn } from '../trace.ts'
import type { Material } from './obtain.ts'

/** IoTDA's limits of `certificate_pem` and `private_key`, in characters. */
const PEM_LIMIT = 65_535
const KEY_LIMIT = 10_240

/** A certificate that preflight lets pass, for what was decided. */
export interface Judged extends Decided<DueToDeploy> {
  readonly material: Material
  /** What the devices of every profile would say of it. */
  readonly table: readonly CheckLine[]
}

/**
 * Would every device still trust and understand it? Refuses here, not in the field: nothing on IoTDA has been
 * touched yet.
 */
export async function preflight(
  context: Context,
  decided: Decided<DueToDeploy>,
  material: Material,
): Promise<StepResult<Judged>> {
  checkMaterial(context, decided.inspection, material)
  const lines = [
    ...checkChain(context, decided, material.chainPem),
    ...(await revocationLines(context, material.chainPem)),
  ]
  const table = lines.map(shown)
  context.trace.add('tables', table)
  for (const line of lines) if (isNews(line)) warn(context, 'preflight', sentence(line))
  const judged = { ...decided, material, table }
  if (isAcceptable(lines)) return done(judged, 'key, chain, names, dates, key type and sizes are right')
  const { isDone, why } = inSpiteOf(context, decided, material.leaf, lines)
  return isDone ? done(judged, why) : skipped(judged, why)
}

/** What no device decides: the key, the platform's limits, the name and the dates. */
function checkMaterial(
  { target, run }: Context,
  inspection: Inspection,
  { leaf, chainPem, key }: Material,
): void {
  const present = inspection.slots.some(s => s.leaf?.fingerprint === leaf.fingerprint)
  if (!key && !present)
    throw new RotationError('certificate-invalid', 'the private key of the obtained certificate is gone')
  const [leafCertificate] = parseChain(chainPem)
  if (key && leafCertificate && !keyFits(key, leafCertificate))
    invalid('the private key does not belong to the leaf')
  limits(target, chainPem, key)
  if (isBanned(inspection.documents.certificate.bannedKeys, chainPem)) invalid('its key is compromised')
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

/** Who or what lets a refused certificate pass, strongest first. @throws RotationError, Suspension when nobody does */
function inSpiteOf(
  context: Context,
  { inspection, decision }: Decided,
  leaf: Leaf,
  lines: readonly JudgeLine[],
): { readonly isDone: boolean; readonly why: string } {
  const { target, run, event } = context
  const refusals = lines.filter(line => line.verdict === 'refuse')
  const standing = refusals.map(sentence).join('; ')
  if (event.accept === leaf.fingerprint) {
    const who = event.askedBy ?? 'a person'
    const fields = { target: target.name, fingerprint: leaf.fingerprint, askedBy: who, refusals: standing }
    run.log.warn(fields, 'a certificate that preflight refuses was accepted')
    for (const line of refusals) warn(context, 'accepted', `accepted by ${who}: ${sentence(line)}`)
    return { isDone: false, why: `accepted by ${who} in spite of: ${standing}` }
  }
  const bound = boundLeaf(inspection)
  const at = Math.max(...refusals.map(line => line.passesAt ?? Number.POSITIVE_INFINITY))
  // Devices are served something valid until then anyway.
  if (at < (bound?.notAfter ?? 0)) throw new Suspension(at, `not bound before ${iso(at)}: ${standing}`)
  if (Number.isFinite(at)) {
    // Waiting any longer would leave devices with nothing.
    const emergencyAt = bound ? bound.notAfter - emergencyMs(bound) : 0
    if (emergencyAt > run.clock.now() && !decision.emergency)
      throw new Suspension(emergencyAt, `not bound before the emergency, at ${iso(emergencyAt)}: ${standing}`)
    warn(context, 'preflight', `bound all the same, since nothing else is valid by then: ${standing}`)
    return { isDone: true, why: `nothing else is valid by ${iso(at)}, in spite of: ${standing}` }
  }
  if (decision.emergency && target.preflight.emergency === 'bind') {
    run.log.warn({ target: target.name, refusals: standing }, 'bound in the emergency in spite of preflight')
    for (const line of refusals) warn(context, 'emergency', `bound in the emergency: ${sentence(line)}`)
    return { isDone: true, why: `the emergency goes before: ${standing}` }
  }
  throw refused('the new certificate', standing, leaf)
}

const refused = (what: string, standing: string, { fingerprint }: Leaf): RotationError =>
  new RotationError('preflight-refused', `${what} is refused: ${standing}`, {
    hint: `The bound certificate stays. Mend the cause, or accept exactly this one: --accept ${fingerprint}`,
  })

/** A warning about what is the same today is in the table, and says nothing new; a date that comes nearer does. */
const isNews = (line: CheckLine): boolean =>
  line.verdict === 'warn' && (line.check === 'trusted-until' || line.served !== line.new)

/** A line as it stands in an answer. */
export const shown = ({ passesAt: _, ...line }: JudgeLine): CheckLine => line

/**
 * For a rollback by hand: whether devices would take what was bound before. It may be shown without its
 * intermediates; then whether there is a path is not known, and not held against it.
 * @throws RotationError `preflight-refused`
 */
export function preflightPrevious(
  context: Context,
  decided: Decided,
  { chainPem, leaf, staplingBack }: Pick<Material, 'chainPem' | 'leaf'> & { readonly staplingBack: boolean },
): readonly CheckLine[] {
  const { trace, event } = context
  const alone = parseChain(chainPem).length === 1
  const lines = checkChain(context, decided, chainPem, { otherKeyAsked: true, staplingBack, mayBeCut: alone })
  const table = lines.map(shown)
  trace.add('tables', table)
  const counting = lines.filter(line => !(alone && line.new === 'none (incomplete)'))
  if (isAcceptable(counting)) return table
  const refusals = counting.filter(line => line.verdict === 'refuse').map(sentence)
  const error = refused('the previous certificate', refusals.join('; '), leaf)
  const isAccepted = event.accept === leaf.fingerprint
  const status = isAccepted ? 'skipped' : 'refused'
  trace.add('steps', { step: 'preflight', status, durationMs: 0, call: null, detail: error.message })
  if (!isAccepted) throw error
  inSpiteOf(context, decided, leaf, counting)
  return table
}
