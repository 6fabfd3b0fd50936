/** Every deviation by itself, and pairs of them that a seed chooses. */
import { seeded } from '../../support/seeded.ts'
import { DEVIATIONS } from './deviations.ts'
import type { Deviation } from './levels.ts'
import { type Plan, usualPlan } from './plan.ts'

export interface StackCase {
  readonly name: string
  readonly kind: string
  readonly plan: Plan
}

const planWith = (...deviations: readonly Deviation[]): Plan => {
  const plan = usualPlan()
  for (const { apply } of deviations) apply(plan)
  return plan
}

/** Everything in its place, and what only shows with RSA, which most devices have. */
export function stackCases(seed: number, pairs: number): readonly StackCase[] {
  const random = seeded(seed)
  const one = (): Deviation => DEVIATIONS[Math.floor(random() * DEVIATIONS.length)] as Deviation
  const singles = DEVIATIONS.map(it => ({ name: it.name, kind: it.kind, plan: planWith(it) }))
  const doubles = Array.from({ length: pairs }, () => {
    const [first, second] = [one(), one()]
    return { name: `${first.name} + ${second.name}`, kind: 'two at once', plan: planWith(first, second) }
  })
  return [{ name: 'as usual', kind: 'as usual', plan: planWith() }, ...singles, ...doubles]
}
