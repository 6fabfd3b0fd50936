/** What only some commands need: each is loaded by its own. */
export const commands = {
  deploy: () => import('./deploy/program.ts'),
  doctor: () => import('../lib/app/doctor.ts'),
  drill: () => import('../lib/app/fleet/drill.ts'),
  init: () => import('./init/init.ts'),
  permissions: () => import('../lib/app/permissions.ts'),
  probePort: () => import('../lib/app/probe-port.ts'),
  rollout: () => import('../lib/app/rollout/rollout.ts'),
  rollover: () => import('../lib/app/rollover.ts'),
  watch: () => import('../lib/app/watch.ts'),
  watchStatus: () => import('./shell/watch-status.ts'),
} as const

/** What an answer is said in; a run for a program is spared the words for people. */
export const forms = {
  text: () => import('../lib/present/text.ts'),
  overview: () => import('../lib/present/overview.ts'),
  urgency: () => import('../lib/present/urgency.ts'),
  page: () => import('../lib/present/page/page.ts'),
  drill: () => import('../lib/present/drill-text.ts'),
  rollout: () => import('../lib/present/rollout-text.ts'),
  prometheus: () => import('../lib/present/prometheus.ts'),
} as const
