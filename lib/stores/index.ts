import s3 from './s3.ts'

/** Every state store by its `type` in the settings; loaded when chosen, the one that most functions have with everything else. */
export const stores = {
  file: () => import('./file.ts'),
  s3: async () => ({ default: s3 }),
  secretsmanager: () => import('./secretsmanager.ts'),
  csms: () => import('./csms.ts'),
} as const
