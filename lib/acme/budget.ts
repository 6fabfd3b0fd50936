import { createHash } from 'node:crypto'
import * as v from 'valibot'
import { RotationError } from '../base/errors.ts'
import { type Clock, formatDuration, HOUR_MS, iso } from '../base/time.ts'
import type { SourceMemory } from '../contracts.ts'

/** What we allow ourselves for one set of names, well below what a CA allows. */
export interface BudgetSettings {
  /** New orders within `perMs`. */
  readonly orders: number
  readonly perMs: number
  /** Failed validations within an hour. */
  readonly failedValidations: number
}

const instants = v.array(v.number())
const spentSchema = v.object({
  orders: instants,
  failed: instants,
  /** The last validation failed. */
  rehearse: v.optional(v.boolean(), false),
})

/** What was spent on one set of names; instants in ascending order. */
export type Spent = v.InferOutput<typeof spentSchema>

const NOTHING: Spent = { orders: [], failed: [], rehearse: false }

/** When one more fits again: `limit` of them within `perMs` are allowed. Null: now. */
const freeAt = (spent: readonly number[], limit: number, perMs: number, now: number): number | null => {
  const recent = spent.filter(at => at > now - perMs)
  const oldest = recent[recent.length - limit]
  return oldest === undefined ? null : oldest + perMs
}

/** When another order may be placed, and what it waits for; null: now. */
export function nextOrder(
  spent: Spent,
  limits: BudgetSettings,
  now: number,
): { readonly at: number; readonly why: string } | null {
  const { orders, perMs, failedValidations } = limits
  const waits = [
    { at: freeAt(spent.orders, orders, perMs, now), why: `${orders} orders in ${formatDuration(perMs)}` },
    {
      at: freeAt(spent.failed, failedValidations, HOUR_MS, now),
      why: `${failedValidations} failed validations in an hour`,
    },
  ]
  return waits.reduce<{ at: number; why: string } | null>(
    (last, { at, why }) => (at !== null && at > (last?.at ?? now) ? { at, why } : last),
    null,
  )
}

/** The budget of one set of names. Each change is durable when its promise resolves. */
export interface Budget {
  /** Counts an order before it is placed. @throws RotationError `rate-limited` when there is none left */
  order(): Promise<void>
  /** The CA refused the order: there is none to count. */
  refused(): Promise<void>
  /** The last order's validation failed: it counts as that, no longer as an order. */
  failed(): Promise<void>
  /** A validation succeeded. */
  validated(): Promise<void>
  /** Whether the last validation failed. */
  isDoubtful(): Promise<boolean>
}

const asSpent = (value: unknown): Spent => {
  const parsed = v.safeParse(spentSchema, value)
  return parsed.success ? parsed.output : NOTHING
}

const keyOf = (names: readonly string[]): string =>
  createHash('sha256')
    .update([...names].sort().join('\n'))
    .digest('hex')
    .slice(0, 16)

/** Drops what no longer counts. */
const recentOnly = (spent: Spent, { perMs }: BudgetSettings, now: number): Spent => ({
  ...spent,
  orders: spent.orders.filter(at => at > now - perMs),
  failed: spent.failed.filter(at => at > now - HOUR_MS),
})

const isOver = ({ orders, failed, rehearse }: Spent): boolean =>
  orders.length === 0 && failed.length === 0 && !rehearse

/**
 * Opens the budget of a set of names in a source's memory. It holds across crashes and for forced runs: whatever
 * a run intends, a CA counts orders and failed validations alike. `settings` is the source's path, for messages.
 */
export function openBudget(
  memory: SourceMemory,
  names: readonly string[],
  limits: BudgetSettings,
  { clock, settings }: { readonly clock: Clock; readonly settings: string },
): Budget {
  const key = keyOf(names)
  const entriesOf = (notes: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> =>
    typeof notes.budget === 'object' && notes.budget !== null ? (notes.budget as Record<string, unknown>) : {}
  const change = (apply: (spent: Spent) => Spent): Promise<void> =>
    memory.update(notes => {
      const entries = entriesOf(notes)
      const before = asSpent(entries[key])
      const after = apply(before)
      if (after === before) return notes
      const all = Object.entries({ ...entries, [key]: after })
        .map(([name, spent]) => [name, recentOnly(asSpent(spent), limits, clock.now())] as const)
        .filter(([, spent]) => !isOver(spent))
      return { ...notes, budget: Object.fromEntries(all) }
    })
  return {
    order: () =>
      change(spent => {
        const now = clock.now()
        const wait = nextOrder(spent, limits, now)
        if (wait === null) return { ...spent, orders: [...spent.orders, now] }
        throw new RotationError(
          'rate-limited',
          `${settings}: no order for ${names.join(', ')} before ${iso(wait.at)}: ${wait.why} are as many as ${settings}.budget allows`,
          {
            retryAt: wait.at,
            hint: 'See in the history what the orders before came to; a run after that instant goes on by itself.',
          },
        )
      }),
    refused: () => change(spent => ({ ...spent, orders: spent.orders.slice(0, -1) })),
    failed: () =>
      change(({ orders, failed }) => ({
        orders: orders.slice(0, -1),
        failed: [...failed, clock.now()],
        rehearse: true,
      })),
    validated: () => change(spent => (spent.rehearse ? { ...spent, rehearse: false } : spent)),
    isDoubtful: async () => asSpent(entriesOf(await memory.read())[key]).rehearse,
  }
}
