/** Every state store by its `type` in the settings; loaded when chosen. */
export const stores = {
  file: () => import('./file.ts'),
  s3: () => import('./s3.ts'),
  secretsmanager: () => import('./secretsmanager.ts'),
  csms: () => import('./csms.ts'),
} as const

/** The `type` of a store in the settings. */
export type StoreType = keyof typeof stores
