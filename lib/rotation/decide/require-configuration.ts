import { RotationError } from '../../base/rotation-error.ts'
import type { Target } from '../../model/target.ts'
import type { Inspection } from '../observe/inspection.ts'
import type { Decision } from './decision.ts'

/** A missing domain configuration is made only when the settings say so. @throws RotationError */
export function requireConfiguration(target: Target, { configuration }: Inspection, { due }: Decision): void {
  if (configuration || !due || target.domainConfiguration === 'create') return
  throw new RotationError(
    'domain-configuration-missing',
    `target ${target.name}: the instance has no domain configuration for ${target.domain}`,
    {
      retry: 'never',
      hint: 'Add the custom domain in the console (instance, Overview, Access Details), or set targets[].domainConfiguration to "create".',
    },
  )
}
