import { RotationError } from '../../base/rotation-error.ts'
import type { DomainConfiguration, ServerCertificate } from '../../iotda/client.ts'
import type { Leaf, Served, Slot } from '../../model/certificate.ts'
import type { Target } from '../../model/target.ts'
import type { Lease } from '../../state/lease.ts'
import { leafOf, parseChain } from '../../x509/certificate.ts'
import { type Context, certificateDocument, isOnlyAsked, targetDocument } from '../context.ts'
import type { Inspection } from './inspection.ts'
import { isSettled, knownSlots } from './known-slots.ts'
import { renewalInfo } from './renewal-info.ts'
import { readInventory } from './source-inventory.ts'

/**
 * One look at everything: the binding, the slots, what is served, what is written down. Two sequential round
 * trips to IoTDA (lists, then every certificate); whatever does not depend on another runs beside it. Before the lease
 * the second is left out where {@link knownSlots} knows what it would say. What is served is traced although the rest
 * fails: how long it lasts must be known when nothing else is. What is written down is read anew under the lease;
 * before, a certificate that many targets share is read once.
 */
export async function inspect(context: Context, lease: Lease | null = null): Promise<Inspection> {
  const { run, trace, event } = context
  const looking = look(context)
  const isAnew = lease !== null || !(event.action === 'rotate' || isOnlyAsked(context))
  const documents = readDocuments(context, isAnew)
  const known = lease === null ? { looking, documents } : null
  const reading = Promise.all([readInstance(context, known), looking, readInventory(context), documents])
  const [{ configuration, slots }, served, inventory, written] = await reading.catch(async thrown => {
    trace.add('looks', await looking.catch(() => []))
    throw thrown
  })
  const bound = boundOf(configuration, slots)
  const inspection = {
    at: run.clock.now(),
    configuration,
    bound,
    slots,
    served,
    renewalInfo: await renewalInfo(context, written.certificate, bound?.slot ?? null),
    inventory,
    documents: written,
  }
  trace.add('looks', served)
  trace.add('inspections', inspection)
  return inspection
}

async function readDocuments(context: Context, isAnew: boolean): Promise<Inspection['documents']> {
  const [target, certificate] = await Promise.all(
    isAnew
      ? [targetDocument(context).refresh(), certificateDocument(context).refresh()]
      : [targetDocument(context).get(), certificateDocument(context).get()],
  )
  return { target, certificate }
}

/** What may stand in for a look at each certificate, as it is read beside the lists. */
interface Beside {
  readonly looking: Promise<readonly Served[]>
  readonly documents: Promise<Inspection['documents']>
}

async function readInstance(
  context: Context,
  beside: Beside | null,
): Promise<{ configuration: DomainConfiguration | null; slots: readonly Slot[] }> {
  const { iotda, run } = context
  const [configurations, certificates] = await Promise.all([
    iotda.listDomainConfigurations(run.signal),
    iotda.listServerCertificates(run.signal),
  ])
  const configuration = onlyConfiguration(context.target, configurations)
  const id = configuration?.serverCertificateId
  const documents = beside && (await beside.documents)
  // The port is waited for only where its word can count.
  if (beside && documents && isSettled(context, documents)) {
    const slots = knownSlots({ id, certificates, documents, served: await beside.looking })
    if (slots) return { configuration, slots }
  }
  const slots = await Promise.all(certificates.map(certificate => readSlot(context, certificate)))
  if (!id || slots.some(s => s.serverCertificateId === id)) return { configuration, slots }
  // Bound, but not in the list: a list may lag behind an upload.
  const shown = await iotda.showServerCertificate(id, run.signal)
  return { configuration, slots: shown ? [...slots, slotOf(shown, shown.certificatePem)] : slots }
}

/** What every address of the device port serves now; nothing when the probe is off. */
export function look({ target, endpoint, run }: Context): Promise<readonly Served[]> {
  return target.probe.mode === 'off'
    ? Promise.resolve([])
    : endpoint.look(target.probe, target.domain, run.signal)
}

/** The domain as compared: lower case, without a final dot. */
export const sameDomain = (a: string, b: string): boolean => normal(a) === normal(b)
const normal = (domain: string): string => domain.toLowerCase().replace(/\.$/, '')

/** The target's domain configuration, or null. @throws RotationError `domain-mismatch` when it is another's */
export function onlyConfiguration(
  { domain, name }: Target,
  all: readonly DomainConfiguration[],
): DomainConfiguration | null {
  const own = all.find(c => sameDomain(c.domainName, domain))
  if (own) return own
  const other = all[0]
  if (!other) return null
  throw new RotationError(
    'domain-mismatch',
    `target ${name}: the instance's domain configuration is for ${other.domainName}, the settings say ${domain}`,
    {
      retry: 'never',
      hint: 'Check targets[].domain and targets[].instance (endpoint, projectId, instanceId): one of them points at another instance. Nothing was changed.',
    },
  )
}

async function readSlot({ iotda, run }: Context, certificate: ServerCertificate): Promise<Slot> {
  const shown = await iotda.showServerCertificate(certificate.serverCertificateId, run.signal)
  return slotOf(certificate, shown?.certificatePem ?? null)
}

const slotOf = (
  { serverCertificateId, effectiveDate, expiryDate }: ServerCertificate,
  certificatePem: string | null,
): Slot => ({
  serverCertificateId,
  effectiveDate,
  expiryDate,
  certificatePem,
  leaf: certificatePem === null ? null : readLeaf(certificatePem),
})

/** The leaf of a PEM that IoTDA holds; null when it cannot be read (whoever uploaded it). */
export function readLeaf(pem: string): Leaf | null {
  try {
    const [leaf] = parseChain(pem)
    return leaf ? leafOf(leaf) : null
  } catch {
    return null
  }
}

function boundOf(configuration: DomainConfiguration | null, slots: readonly Slot[]): Inspection['bound'] {
  const serverCertificateId = configuration?.serverCertificateId
  if (!serverCertificateId) return null
  return { serverCertificateId, slot: slots.find(s => s.serverCertificateId === serverCertificateId) ?? null }
}
