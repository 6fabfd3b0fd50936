/** Every notifier by its `type` in the settings; loaded when chosen. */
export const notifiers = {
  webhook: () => import('./webhook.ts'),
  pagerduty: () => import('./pagerduty.ts'),
  sns: () => import('./sns.ts'),
  smn: () => import('./smn.ts'),
  smtp: () => import('./smtp.ts'),
} as const
