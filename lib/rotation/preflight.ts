import { RotationError } from '../base/errors.ts'
import type { Secret } from '../base/secret.ts'
import { iso } from '../base/time.ts'
import type { Leaf, Target } from '../model.ts'
import { covers, parseChain } from '../x509/certificate.ts'
import { encodeKey, keyFits } from '../x509/key.ts'
import { parseRoots, verifyPath } from '../x509/path.ts'
import { done, type Job, type Step, skipped, warn } from './world.ts'

/** IoTDA's limits of `certificate_pem` and `private_key`, in characters. */
const PEM_LIMIT = 65_535
const KEY_LIMIT = 10_240

/**
 * Would every device still trust and understand it? Refuses here, not in the field: nothing on IoTDA has been
 * touched yet.
 */
export const preflight: Step = async (world, job) => {
  const { target, run, event } = world
  const { material } = job
  if (!material) throw new RotationError('internal', 'preflight without a certificate')
  const { leaf, chainPem, key } = material
  const present = job.inspection.slots.some(s => s.leaf?.fingerprint === leaf.fingerprint)
  if (!key && !present)
    throw new RotationError('certificate-invalid', 'the private key of the obtained certificate is gone')

  const chain = parseChain(chainPem)
  const [leafCertificate] = chain
  if (key && leafCertificate && !keyFits(key, leafCertificate)) {
    refuse('certificate-invalid', 'the private key does not belong to the leaf')
  }
  limits(target, chainPem, key)
  if (leaf.notBefore > run.clock.now())
    refuse('certificate-invalid', `it is not valid before ${iso(leaf.notBefore)}`)
  if (leaf.notAfter <= run.clock.now()) refuse('certificate-invalid', `it expired at ${iso(leaf.notAfter)}`)
  if (!covers(leaf.names, target.domain)) {
    refuse(
      'certificate-invalid',
      `its names (${leaf.names.join(', ') || 'none'}) do not cover ${target.domain}`,
    )
  }
  const accepted = event.accept === leaf.fingerprint
  const objections = [
    pathObjection(target, chainPem, run.clock.now()),
    keyTypeObjection(job, leaf),
    ocspObjection(target, job, leaf),
  ]
  const standing = objections.filter(o => o !== null)
  if (standing.length === 0) return done('key, chain, names, dates, key type and sizes are right')
  if (!accepted) refuse('preflight-refused', standing.join('; '), acceptHint(leaf))
  for (const objection of standing) warn(job, 'accepted', `accepted by a person: ${objection}`)
  return skipped(`accepted by a person in spite of: ${standing.join('; ')}`)
}

const acceptHint = (leaf: Leaf): string =>
  `The bound certificate stays. Mend the cause, or accept exactly this one: --accept ${leaf.fingerprint}`

function refuse(code: 'certificate-invalid' | 'preflight-refused', why: string, hint?: string): never {
  throw new RotationError(code, `the new certificate is refused: ${why}`, {
    retry: 'later',
    hint: hint ?? 'Nothing on IoTDA was changed. Check what the source gives for these names.',
  })
}

function limits(target: Target, chainPem: string, key: Secret | null): void {
  if (chainPem.length > PEM_LIMIT) {
    refuse('certificate-invalid', `the chain has ${chainPem.length} characters, IoTDA takes ${PEM_LIMIT}`)
  }
  const keyLength = key ? encodeKey(key, target.keyEncoding).reveal().length : 0
  if (keyLength > KEY_LIMIT)
    refuse('certificate-invalid', `the key has ${keyLength} characters, IoTDA takes ${KEY_LIMIT}`)
}

/** From exactly the certificates that will be sent to a root that the devices trust. */
function pathObjection(target: Target, chainPem: string, at: number): string | null {
  const verdict = verifyPath({ chain: parseChain(chainPem), roots: parseRoots(target.trustedRoots), at })
  if (verdict.ok) return null
  const whose =
    target.trustedRoots === null
      ? "Node's roots (set targets[].trustedRoots for a private CA)"
      : 'targets[].trustedRoots'
  return `${verdict.message} (checked against ${whose})`
}

/** An RSA to ECDSA flip takes devices off the air that know only one of them. */
function keyTypeObjection({ inspection, verdict }: Job, leaf: Leaf): string | null {
  const now = inspection.bound?.slot?.leaf?.keyType
  if (!now || family(now) === family(leaf.keyType) || verdict.reason === 'settings-changed') return null
  return `it has an ${leaf.keyType} key, devices are served ${now} today`
}

const family = (keyType: string): string => keyType.split('-')[0] ?? keyType

/** Stapling that the platform cannot do would make devices that insist on it refuse the handshake. */
function ocspObjection(target: Target, { inspection }: Job, leaf: Leaf): string | null {
  const config = inspection.configuration?.serverCertificateConfig ?? {}
  if (config.ocsp_stapling_enable !== true) return null
  if (leaf.ocspUrl === null) {
    return target.ocsp === 'follow-certificate'
      ? null
      : 'OCSP stapling is on, and it carries no OCSP URL (set ocsp to "follow-certificate" to switch stapling off with the bind)'
  }
  const overTls = config.ocsp_ssl_enable !== false
  return overTls && leaf.ocspUrl.startsWith('http:')
    ? `its OCSP responder ${leaf.ocspUrl} is http, and ocsp_ssl_enable is on`
    : null
}
