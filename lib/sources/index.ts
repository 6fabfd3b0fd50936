import acme from './acme.ts'

/** Every certificate source by its `type` in the settings; loaded when chosen, the usual ones with everything else. */
export const sources = {
  acme: async () => ({ default: acme }),
  acm: () => import('./acm.ts'),
  file: () => import('./file.ts'),
} as const
