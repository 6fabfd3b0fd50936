import { RotationError } from '../base/rotation-error.ts'
import type { SolverReference } from '../contracts.ts'
import huaweicloud from './huaweicloud.ts'

/** Every DNS solver by its `type` in the settings; loaded when chosen, the usual one with everything else. */
export const solvers = {
  acmedns: () => import('./acmedns.ts'),
  alidns: () => import('./alidns.ts'),
  cloudflare: () => import('./cloudflare.ts'),
  exec: () => import('./exec.ts'),
  huaweicloud: async () => ({ default: huaweicloud }),
  rfc2136: () => import('./rfc2136.ts'),
  route53: () => import('./route53.ts'),
  tencentcloud: () => import('./tencentcloud.ts'),
  webhook: () => import('./webhook.ts'),
} as const

/** The `type` of a solver in the settings. */
export type SolverType = keyof typeof solvers

/** The name of the solver of the longest zone that holds the domain. @throws RotationError `solver-zone-missing` */
export function solverName(reference: SolverReference, domain: string): string {
  if (typeof reference === 'string') return reference
  const zones = Object.keys(reference).filter(zone => domain === zone || domain.endsWith(`.${zone}`))
  const longest = zones.toSorted((a, b) => b.length - a.length)[0]
  const name = longest === undefined ? undefined : reference[longest]
  if (name !== undefined) return name
  throw new RotationError('solver-zone-missing', `no solver is named for ${domain}`, {
    retry: 'never',
    hint: `Add its zone to the source's "solver" (there: ${Object.keys(reference).join(', ')}).`,
  })
}
