import type { RotationError } from '../../base/rotation-error.ts'
import { iso } from '../../base/time.ts'
import type { Inventory } from '../../contracts.ts'
import type { DomainConfiguration } from '../../iotda/client.ts'
import type { RenewalInfo, Served, Slot } from '../../model/certificate.ts'
import type { CertificateDocument, Revoked, TargetDocument } from '../../state/documents.ts'

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

/** What is written down of the bound certificate's revocation; null: nobody had it revoked here. */
export function revokedBound(inspection: Pick<Inspection, 'bound' | 'documents'>): Revoked | null {
  const leaf = boundLeaf(inspection)
  const { revoked } = inspection.documents.certificate
  return revoked.find(({ fingerprint }) => fingerprint === leaf?.fingerprint) ?? null
}

/** Whether a person had it revoked here. */
export const wasRevoked = ({ revoked }: CertificateDocument, fingerprint: string): boolean =>
  revoked.some(one => one.fingerprint === fingerprint)

/** What people are told of it. */
export const revokedText = ({ at, reason }: Revoked): string =>
  `the bound certificate was revoked at ${iso(at)} (${reason})`

/** What a look showed, in one line. */
export function describe({ bound, slots, served }: Inspection): string {
  const heard = served.filter(s => s.leaf).length
  return `bound ${bound?.serverCertificateId ?? 'nothing'}, ${slots.length} of 2 slots used, ${heard} of ${served.length} addresses answered`
}
