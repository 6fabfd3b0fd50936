import { kindOf } from '../../devices/kind.ts'
import type { Kind } from '../../model/rollout.ts'
import type { RotationSetup } from '../context.ts'
import { boundLeaf, type Inspection } from '../observe/inspection.ts'

/** Whether this very certificate is given to several targets. */
export const isShared = ({ sharing }: Pick<RotationSetup, 'sharing'>): boolean => sharing.length > 1

/** What the bound certificate is to devices, as noted, or as its chain shows; null: it cannot be told. */
export function boundKind(
  context: Pick<RotationSetup, 'sharing'>,
  inspection: Pick<Inspection, 'bound' | 'documents'>,
): Kind | null {
  const leaf = boundLeaf(inspection)
  const noted = inspection.documents.target.rollout
  if (leaf && noted?.fingerprint === leaf.fingerprint) return noted.kind
  const pem = inspection.bound?.slot?.certificatePem
  return pem ? kindOf(pem, isShared(context)) : null
}
