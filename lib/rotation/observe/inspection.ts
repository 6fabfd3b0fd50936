import type { RotationError } from '../../base/rotation-error.ts'
import { iso } from '../../base/time.ts'
import type { Inventory } from '../../contracts.ts'
import type { DomainConfiguration } from '../../iotda/client.ts'
import type { RenewalInfo, Served, Slot } from '../../model/certificate.ts'
import type { CertificateDocument, TargetDocument } from '../../state/documents.ts'
import { parseChain, spkiHashOf } from '../../x509/certificate.ts'

/** One look at the outside. */
export interface Inspection {
  readonly at: number
  /** The one domain configuration, or null. */
  readonly configuration: DomainConfiguration | null
  /** What the configuration is bound to. `slot` null: the binding names a certificate that is not there. */
  readonly bound: { readonly serverCertificateId: string; readonly slot: Slot | null } | null
  readonly slots: readonly Slot[]
  /** Empty when the probe is off. */
  readonly served: readonly Served[]
  readonly renewalInfo: RenewalInfo | null
  /** What the first source holds, or why that is not known; null when it makes certificates to order. */
  readonly inventory:
    | { readonly holds: Inventory; readonly failure: null }
    | { readonly holds: null; readonly failure: RotationError }
    | null
  readonly documents: { readonly target: TargetDocument; readonly certificate: CertificateDocument }
}

/** The leaf that is bound; null when nothing is, or it cannot be read. */
export const boundLeaf = ({ bound }: Pick<Inspection, 'bound'>) => bound?.slot?.leaf ?? null

/** Whether a person had it revoked here. */
export const wasRevoked = ({ revoked }: CertificateDocument, fingerprint: string): boolean =>
  revoked.some(one => one.fingerprint === fingerprint)

/** Whether the leaf of a chain has one of these keys. */
export function isBanned(bannedKeys: readonly string[], chainPem: string): boolean {
  if (bannedKeys.length === 0) return false
  const [leaf] = parseChain(chainPem)
  return leaf !== undefined && bannedKeys.includes(spkiHashOf(leaf))
}

/**
 * Why the bound certificate is not to stay, in words: a person had it, or another one with its key, revoked here. Null:
 * nobody had.
 */
export function revokedBound(inspection: Pick<Inspection, 'bound' | 'documents'>): string | null {
  const { revoked, bannedKeys } = inspection.documents.certificate
  const slot = inspection.bound?.slot
  const noted = revoked.find(({ fingerprint }) => fingerprint === slot?.leaf?.fingerprint)
  if (noted) return `the bound certificate was revoked at ${iso(noted.at)} (${noted.reason})`
  const isCompromised = slot?.leaf && slot.certificatePem && isBanned(bannedKeys, slot.certificatePem)
  return isCompromised ? 'the key of the bound certificate was compromised, as one before it' : null
}

/** What a look showed, in one line. */
export function describe({ bound, slots, served }: Inspection): string {
  const heard = served.filter(s => s.leaf).length
  return `bound ${bound?.serverCertificateId ?? 'nothing'}, ${slots.length} of 2 slots used, ${heard} of ${served.length} addresses answered`
}
