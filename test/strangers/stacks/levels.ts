/** At which certificate of a chain something is special. */
import { type Level, type Plan, type Spec, specOf } from './plan.ts'

export interface Deviation {
  readonly name: string
  /** Of which row of the table. */
  readonly kind: string
  readonly apply: (plan: Plan) => void
}

export const LEVELS: readonly Level[] = ['leaf', 'middle', 'root', 'beyond']
export const CAS: readonly Level[] = ['middle', 'root', 'beyond']

/** A cross-sign that nobody sends shows nothing. */
export const at = (level: Level, change: (spec: Spec, plan: Plan) => void) => (plan: Plan) => {
  if (level === 'beyond' && !plan.sends.includes('beyond')) plan.sends.push('beyond')
  change(specOf(plan, level), plan)
}

export const each = (
  kind: string,
  levels: readonly Level[],
  all: Readonly<Record<string, (spec: Spec, plan: Plan) => void>>,
): readonly Deviation[] =>
  Object.entries(all).flatMap(([name, change]) =>
    levels.map(level => ({ name: `${name}: ${level}`, kind, apply: at(level, change) })),
  )

export const whole = (
  kind: string,
  all: Readonly<Record<string, (plan: Plan) => void>>,
): readonly Deviation[] => Object.entries(all).map(([name, apply]) => ({ name, kind, apply }))
