import file from './file.ts'
import s3 from './s3.ts'

/** Every state store by its `type` in the settings; loaded when chosen, the usual ones with everything else. */
export const stores = {
  file: async () => ({ default: file }),
  s3: async () => ({ default: s3 }),
  secretsmanager: () => import('./secretsmanager.ts'),
  csms: () => import('./csms.ts'),
} as const
