import { RotationError } from '../../base/rotation-error.ts'
import { SECOND_MS } from '../../base/time.ts'
import type { DomainConfiguration, ServerCertificate } from '../../iotda/client.ts'
import type { Leaf, RenewalInfo, Served, Slot } from '../../model/certificate.ts'
import type { CertificateDocument } from '../../state/documents.ts'
import { leafOf, parseChain } from '../../x509/certificate.ts'
import { type Inspection, sourceNamed, type World } from '../world.ts'
import { readInventory } from './source-inventory.ts'

/**
 * One look at everything: the binding, the slots, what is served, what is written down. Two sequential round
 * trips to IoTDA (lists, then every certificate); whatever does not depend on another runs beside it. What is served
 * is told to `seen` although the rest fails: how long it lasts must be known when nothing else is.
 */
export async function inspect(
  world: World,
  seen: (served: readonly Served[]) => void = () => {},
): Promise<Inspection> {
  const { target, run, records } = world
  const looking = look(world)
  const reading = Promise.all([
    readInstance(world),
    looking,
    readInventory(world),
    records.target(target).refresh(),
    records.certificate(world.spec.name).refresh(),
  ])
  const [{ configuration, slots }, served, inventory, targetDocument, certificateDocument] =
    await reading.catch(async thrown => {
      seen(await looking.catch(() => []))
      throw thrown
    })
  const bound = boundOf(configuration, slots)
  return {
    at: run.clock.now(),
    configuration,
    bound,
    slots,
    served,
    renewalInfo: await renewalInfo(world, certificateDocument, bound?.slot ?? null),
    inventory,
    documents: { target: targetDocument, certificate: certificateDocument },
  }
}

async function readInstance(
  world: World,
): Promise<{ configuration: DomainConfiguration | null; slots: readonly Slot[] }> {
  const { iotda, run } = world
  const [configurations, certificates] = await Promise.all([
    iotda.listDomainConfigurations(run.signal),
    iotda.listServerCertificates(run.signal),
  ])
  const configuration = onlyConfiguration(world, configurations)
  const slots = await Promise.all(certificates.map(certificate => readSlot(world, certificate)))
  const id = configuration?.serverCertificateId
  if (!id || slots.some(s => s.serverCertificateId === id)) return { configuration, slots }
  // Bound, but not in the list: a list may lag behind an upload.
  const shown = await iotda.showServerCertificate(id, run.signal)
  return { configuration, slots: shown ? [...slots, slotOf(shown, shown.certificatePem)] : slots }
}

/** What every address of the device port serves now; nothing when the probe is off. */
export function look({ target, endpoint, run }: World): Promise<readonly Served[]> {
  return target.probe.mode === 'off'
    ? Promise.resolve([])
    : endpoint.look(target.probe, target.domain, run.signal)
}

/** The chain that the device port sends with this leaf; null when it is not served or cannot be seen. */
export async function servedChain({ target, endpoint, run }: World, leaf: Leaf): Promise<string | null> {
  const { mode, addresses, host, port } = target.probe
  if (mode === 'off') return null
  const seen = await endpoint.handshake({
    address: addresses[0] ?? host,
    port,
    serverName: target.domain,
    timeoutMs: 5 * SECOND_MS,
    signal: run.signal,
  })
  return seen.leaf?.fingerprint === leaf.fingerprint ? seen.chainPem : null
}

/** The domain as compared: lower case, without a final dot. */
export const sameDomain = (a: string, b: string): boolean => normal(a) === normal(b)
const normal = (domain: string): string => domain.toLowerCase().replace(/\.$/, '')

/** The target's domain configuration, or null. @throws RotationError `domain-mismatch` when it is another's */
export function onlyConfiguration(
  world: World,
  all: readonly DomainConfiguration[],
): DomainConfiguration | null {
  const { domain, name } = world.target
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

async function readSlot({ iotda, run }: World, certificate: ServerCertificate): Promise<Slot> {
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

/** The kept answer of the CA while it is fresh, else a new one; a CA that does not answer changes nothing. */
async function renewalInfo(
  world: World,
  { renewalInfo: kept, current, pending }: CertificateDocument,
  bound: Slot | null,
): Promise<RenewalInfo | null> {
  const { spec, run, records } = world
  const now = run.clock.now()
  const leaf = bound?.leaf
  // By the CA that issued it, as far as that is known.
  const source = sourceNamed(
    world,
    [current, pending].find(c => c?.fingerprint === leaf?.fingerprint)?.source,
  )
  if (!spec.ari || !source.renewalInfo || !bound?.certificatePem || !leaf || leaf.notAfter <= now) return null
  const usable = kept?.fingerprint === leaf.fingerprint ? kept : null
  if (usable && now < usable.nextFetchAt) return usable
  try {
    const fetched = await source.renewalInfo(bound.certificatePem, leaf, run)
    // A failed fetch does not forget a window that was good.
    const info =
      fetched && !fetched.window && usable?.window
        ? { ...fetched, window: usable.window, explanationUrl: usable.explanationUrl }
        : fetched
    if (info && world.event.action === 'rotate') {
      await records.certificate(spec.name).update(document => ({ ...document, renewalInfo: info }))
    }
    return info
  } catch (error) {
    run.log.warn(
      { target: world.target.name, error: (error as Error).message },
      'renewal info was not to be had',
    )
    return usable
  }
}
