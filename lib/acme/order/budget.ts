import { createHash } from 'node:crypto'
import * as v from 'valibot'
import { RotationError } from '../../base/rotation-error.ts'
import { type Clock, DAY_MS, formatDuration, HOUR_MS, iso } from '../../base/time.ts'
import type { SourceMemory } from '../../contracts.ts'
import { asObject } from '../protocol/problem.ts'

/** What we allow ourselves for one set of names, well below what a CA allows. */
export interface BudgetSettings {
  /** New orders within `perMs`. */
  readonly orders: number
  readonly perMs: number
  /** How long one counts that was not issued; where that is shorter, these have as many for themselves. */
  readonly unissuedMs: number
  /** Failed validations within an hour. */
  readonly failedValidations: number
}

/**
 * How long an order counts of which no certificate came: as long as any other, but no longer than a sixth of the
 * lifetime of what is to be replaced. A week would outlast what is left of a short-lived one.
 */
export const unissuedMs = (perMs: number, lifetimeMs: number | null): number =>
  lifetimeMs === null ? perMs : Math.min(perMs, Math.max(DAY_MS, lifetimeMs / 6))

const instants = v.array(v.number())
const spentSchema = v.object({
  orders: instants,
  /** Asked for, and no answer seen: nobody knows its URL, if there is one. */
  asked: v.optional(instants, []),
  /** Ended without a certificate, other than by a failed validation. */
  ended: v.optional(instants, []),
  failed: instants,
  /** The last validation failed. */
  rehearse: v.optional(v.boolean(), false),
})

/** What was spent on one set of names; instants in ascending order. */
export type Spent = v.InferOutput<typeof spentSchema>

const NOTHING: Spent = { orders: [], asked: [], ended: [], failed: [], rehearse: false }

/** When each stops counting, as far as it still does. One that is further ahead than it would last was never spent. */
const endsOf = (instants: readonly number[], forMs: number, now: number): readonly number[] =>
  instants
    .filter(at => at <= now + forMs)
    .map(at => at + forMs)
    .filter(end => end > now)

/** When one more fits again where `limit` are allowed at a time. Null: now. */
const freeAt = (ends: readonly number[], limit: number): number | null =>
  ends.toSorted((a, b) => a - b)[ends.length - limit] ?? null

/** When another order may be placed, and what it waits for; null: now. */
export function nextOrder(
  spent: Spent,
  limits: BudgetSettings,
  now: number,
): { readonly at: number; readonly why: string } | null {
  const { orders, perMs, unissuedMs, failedValidations } = limits
  const unissued = endsOf([...spent.asked, ...spent.ended], unissuedMs, now)
  const counted = endsOf(spent.orders, perMs, now)
  const waits = [
    {
      at: freeAt(unissuedMs < perMs ? counted : [...counted, ...unissued], orders),
      why: `${orders} orders in ${formatDuration(perMs)}`,
    },
    {
      at: freeAt(unissued, orders),
      why: `${orders} orders without a certificate in ${formatDuration(unissuedMs)}`,
    },
    {
      at: freeAt(endsOf(spent.failed, HOUR_MS, now), failedValidations),
      why: `${failedValidations} failed validations in an hour`,
    },
  ]
  return waits.reduce<{ at: number; why: string } | null>(
    (last, { at, why }) => (at !== null && at > (last?.at ?? now) ? { at, why } : last),
    null,
  )
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
  asked: spent.asked.filter(at => at > now - perMs),
  ended: spent.ended.filter(at => at > now - perMs),
  failed: spent.failed.filter(at => at > now - HOUR_MS),
})

const isOver = ({ rehearse, ...instants }: Spent): boolean =>
  !rehearse && Object.values(instants).every(list => list.length === 0)

/** The budget of one set of names. Each change is durable when its promise resolves. */
export type Budget = ReturnType<typeof openBudget>

/**
 * Opens the budget of a set of names in a source's memory. It holds across crashes and for forced runs: whatever
 * a run intends, a CA counts orders and failed validations alike. `settings` is the source's path, for messages.
 */
export function openBudget(
  memory: SourceMemory,
  names: readonly string[],
  limits: BudgetSettings,
  { clock, settings }: { readonly clock: Clock; readonly settings: string },
) {
  const key = keyOf(names)
  const change = (apply: (spent: Spent) => Spent): Promise<void> =>
    memory.update(notes => {
      const entries = asObject(notes.budget)
      const before = asSpent(entries[key])
      const after = apply(before)
      if (after === before) return notes
      const all = Object.entries({ ...entries, [key]: after })
        .map(([name, spent]) => [name, recentOnly(asSpent(spent), limits, clock.now())] as const)
        .filter(([, spent]) => !isOver(spent))
      return { ...notes, budget: Object.fromEntries(all) }
    })
  return {
    /** Counts an order before it is asked for. @throws RotationError `rate-limited` when there is none left */
    order: () =>
      change(spent => {
        const now = clock.now()
        const wait = nextOrder(spent, limits, now)
        if (wait === null) return { ...spent, asked: [...spent.asked, now] }
        throw new RotationError(
          'rate-limited',
          `${settings}: no order for ${names.join(', ')} before ${iso(wait.at)}: ${wait.why} are as many as ${settings}.budget allows`,
          {
            retryAt: wait.at,
            hint: 'See in the history what the orders before came to; a run after that instant goes on by itself.',
          },
        )
      }),
    /** There is an order. Those that were asked for in vain before count no more: it is one of them, or they are none. */
    placed: () =>
      change(spent =>
        spent.asked.length === 0
          ? spent
          : { ...spent, orders: [...spent.orders, ...spent.asked.slice(-1)], asked: [] },
      ),
    /** The CA refused the order, or was never asked: there is none to count. */
    refused: () => change(spent => ({ ...spent, asked: spent.asked.slice(0, -1) })),
    /** The last order came to nothing: expired, gone, or not issued. */
    ended: () =>
      change(spent => ({
        ...spent,
        orders: spent.orders.slice(0, -1),
        ended: [...spent.ended, ...spent.orders.slice(-1)],
      })),
    /** The last order's validation failed: it counts as that, no longer as an order. */
    failed: () =>
      change(spent => ({
        ...spent,
        orders: spent.orders.slice(0, -1),
        failed: [...spent.failed, clock.now()],
        rehearse: true,
      })),
    /** A validation succeeded. */
    validated: () => change(spent => (spent.rehearse ? { ...spent, rehearse: false } : spent)),
    /** Whether the last validation failed. */
    isDoubtful: async (): Promise<boolean> => asSpent(asObject((await memory.read()).budget)[key]).rehearse,
  }
}
