import { asRotationError, RotationError } from '../base/rotation-error.ts'
import { iso } from '../base/time.ts'
import type { HuaweiClient } from '../clouds/huawei/client.ts'
import { algorithmFor } from '../clouds/huawei/signer.ts'
import type { Run } from '../contracts.ts'
import { serviceErrorOf } from '../http/api-call.ts'
import {
  COUNT_ACTION,
  createIotdaClient,
  type DomainConfiguration,
  type ServerCertificate,
} from '../iotda/client.ts'
import type { Endpoint } from '../iotda/endpoint.ts'
import type { Target } from '../model/target.ts'
import { type Finding, fail, looked, ok, warn } from './finding.ts'

/** What one target is looked at with. */
export interface CheckedInstance {
  readonly target: Target
  /** Signed calls to its instance, in a given way. */
  readonly client: (signing: Target['instance']['signing']) => HuaweiClient
  readonly endpoint: Endpoint
  readonly run: Run
}

const SLOTS = 2
const WRONG_SCHEME = 'IOTDA.000002'

/** Lists what is bound; where the keys are refused, once more with the other way to sign. */
async function configurations({ target, client, run }: CheckedInstance): Promise<{
  readonly found: readonly DomainConfiguration[] | null
  readonly finding: Finding
}> {
  const about = { check: 'credentials', subject: target.name }
  const { endpoint, region, signing } = target.instance
  const algorithm = algorithmFor(endpoint, region, signing)
  try {
    const found = await createIotdaClient(client(signing)).listDomainConfigurations(run.signal)
    return { found, finding: ok(about, `the keys are accepted, signed with ${algorithm}`) }
  } catch (thrown) {
    if (serviceErrorOf(thrown)?.code !== WRONG_SCHEME) throw thrown
    const other = algorithm === 'SDK-HMAC-SHA256' ? 'derived' : 'standard'
    const works = await createIotdaClient(client(other))
      .listDomainConfigurations(run.signal)
      .then(
        () => true,
        () => false,
      )
    if (!works) throw thrown
    const message = `the endpoint does not take ${algorithm}, but the other way to sign`
    return {
      found: null,
      finding: fail(about, message, `Set instance.signing of ${target.name} to "${other}".`),
    }
  }
}

function boundFinding({ target }: CheckedInstance, found: readonly DomainConfiguration[]): Finding {
  const about = { check: 'domain', subject: target.name }
  const [configuration, ...more] = found
  if (!configuration)
    return target.domainConfiguration === 'create'
      ? warn(about, 'there is no domain configuration yet', 'Nothing: the first rotation creates it.')
      : fail(
          about,
          'the instance has no domain configuration',
          'Add the custom domain in the IoTDA console, or set domainConfiguration to "create".',
        )
  const { domainName, serverCertificateId: id } = configuration
  if (domainName.toLowerCase().replace(/\.$/, '') !== target.domain)
    return fail(
      about,
      `the domain configuration is for ${domainName}, not for ${target.domain}`,
      'Mend domain in the settings, or check that the instance is the one that is meant.',
    )
  const others = more.length === 0 ? '' : `, and ${more.length} more`
  return ok(about, `${domainName} is bound to ${id ?? 'no certificate'}${others}`)
}

function slotFinding(
  { target, run }: CheckedInstance,
  certificates: readonly ServerCertificate[],
  boundId: string | null,
): Finding {
  const about = { check: 'slots', subject: target.name }
  const said = certificates.map(it => {
    const { serverCertificateId: id, expiryDate } = it
    return `${id}${id === boundId ? ' (bound)' : ''} until ${iso(expiryDate)}`
  })
  const message = `${certificates.length} of ${SLOTS} used${said.length === 0 ? '' : `: ${said.join(', ')}`}`
  const unbound = certificates.filter(it => it.serverCertificateId !== boundId)
  if (certificates.length >= SLOTS && target.slots.delete === 'never')
    return fail(
      about,
      `${message}; neither may be deleted`,
      'Delete the one that is not bound, or set slots.delete to "superseded" or "managed".',
    )
  const expired = unbound.filter(it => it.expiryDate <= run.clock.now())
  if (certificates.length >= SLOTS && target.slots.delete === 'managed' && expired.length === 0)
    return warn(
      about,
      message,
      'With slots.delete "managed" only a certificate of iotda-cert is deleted: make sure that one of these is.',
    )
  return ok(about, message)
}

async function probeFindings({ target, endpoint, run }: CheckedInstance): Promise<readonly Finding[]> {
  const about = { check: 'probe', subject: target.name }
  const { probe, domain } = target
  if (probe.mode === 'off')
    return [
      warn(
        about,
        'the device port is never looked at',
        'Set probe.mode to "best-effort" to prove each rotation.',
      ),
    ]
  const seen = await endpoint.look(probe, domain, run.signal)
  return seen.map(({ address, leaf, error }) => {
    const where = `${address} port ${probe.port}`
    if (leaf)
      return ok(about, `${where} serves ${leaf.subject || leaf.names.join(', ')} until ${iso(leaf.notAfter)}`)
    const remedy =
      'Let this machine reach the device port, or say where it is in probe.host and probe.addresses.'
    const message = `${where}: ${error}`
    return probe.mode === 'require' ? fail(about, message, remedy) : warn(about, message, remedy)
  })
}

/** Whether devices can be counted, where the settings want them watched after a bind. */
async function countFindings({ target, client, run }: CheckedInstance): Promise<readonly Finding[]> {
  const { devices } = target
  if (devices === null) return []
  const about = { check: 'devices', subject: target.name }
  try {
    const count = await createIotdaClient(client(target.instance.signing)).countDevicesOnline(
      devices.where,
      run.signal,
    )
    const said = `${count} devices are online`
    if (count >= devices.minimum) return [ok(about, said)]
    return [
      warn(
        about,
        `${said}, and fewer than ${devices.minimum} (devices.minimum) say nothing`,
        'Lower devices.minimum, or mend devices.where, if devices are to be watched now.',
      ),
    ]
  } catch (thrown) {
    const { code, message } = asRotationError(thrown)
    // One count a second is taken of the whole account: that many targets were asked for is no fault.
    if (code === 'throttled') return [ok(about, 'devices can be counted; too many were asked for at once')]
    const remedy = `Allow ${COUNT_ACTION} (standard and enterprise editions have SearchDevices), mend devices.where, or leave devices out: until then no bind is watched.`
    return [fail(about, `devices cannot be counted: ${message}`, remedy)]
  }
}

/** Credentials, instance, binding, slots, devices and the device port of one target. Changes nothing. */
export async function checkInstance(checked: CheckedInstance): Promise<readonly Finding[]> {
  const { target, client, run } = checked
  const port = probeFindings(checked)
  let bound: readonly DomainConfiguration[] | null = null
  const first = await looked({ check: 'credentials', subject: target.name }, async () => {
    const { found, finding } = await configurations(checked)
    bound = found
    if (found === null) return finding
    return [finding, boundFinding(checked, found)]
  })
  if (bound === null) return [...first, ...(await port)]
  const [configuration] = bound as readonly DomainConfiguration[]
  const slots = await looked({ check: 'slots', subject: target.name }, async () => {
    const iotda = createIotdaClient(client(target.instance.signing))
    const certificates = await iotda.listServerCertificates(run.signal)
    const boundId = configuration?.serverCertificateId ?? null
    if (boundId !== null && (await iotda.showServerCertificate(boundId, run.signal)) === null)
      throw new RotationError('unavailable', `the bound certificate ${boundId} cannot be shown`, {
        hint: 'Look at the certificates of the instance in the IoTDA console.',
      })
    return slotFinding(checked, certificates, boundId)
  })
  return [...first, ...slots, ...(await countFindings(checked)), ...(await port)]
}
