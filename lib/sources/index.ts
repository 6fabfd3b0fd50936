/** Every certificate source by its `type` in the settings; loaded when chosen. */
export const sources = {
  acme: () => import('./acme.ts'),
  acm: () => import('./acm.ts'),
  file: () => import('./file.ts'),
} as const

/** The `type` of a source in the settings. */
export type SourceType = keyof typeof sources
