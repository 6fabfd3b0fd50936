/** Every notifier by its `type` in the settings; loaded when chosen. */
export const notifiers = {
  webhook: () => import('./webhook.ts'),
} as const

/** The `type` of a notifier in the settings. */
export type NotifierType = keyof typeof notifiers
