import { createHash } from 'node:crypto'
import * as v from 'valibot'
import { orNull } from '../../base/fields.ts'
import type { Mistake } from '../mistakes.ts'
import type { Surroundings } from '../surroundings.ts'

/** One of the parts that a fleet is divided into. */
export interface Shard {
  /** From 1 to `count`; with `count` 1 there is nothing but the whole. */
  readonly number: number
  readonly count: number
  /** How many there were before, whose state is moved; null: nothing is looked for. */
  readonly previous: number | null
}

/**
 * The shard of a certificate, and so of every target that has it, from 1 to `count`: the one whose number makes the
 * largest hash with its name. Another count moves only what goes to a new shard, or stood in one that is gone. Pure.
 */
export function shardOf(certificate: string, count: number): number {
  const hashOf = (number: number): string =>
    createHash('sha256').update(`${number}/${certificate}`).digest('hex')
  let best = 1
  for (let number = 2; number <= count; number += 1) if (hashOf(number) > hashOf(best)) best = number
  return best
}

/** As people and the environment of a function write it: `2/3`. */
export const shardText = ({ number, count }: Pick<Shard, 'number' | 'count'>): string => `${number}/${count}`

/** Null: it is no shard. */
export function parseShard(text: string): Pick<Shard, 'number' | 'count'> | null {
  const [, number = '', count = ''] = /^([1-9]\d{0,2})\/([1-9]\d{0,2})$/.exec(text) ?? []
  const shard = { number: Number(number), count: Number(count) }
  return number !== '' && shard.number <= shard.count ? shard : null
}

const AT_MOST = 50

const count = () =>
  v.pipe(
    v.number('must be a number'),
    v.integer('must be whole'),
    v.minValue(1, `must be 1 to ${AT_MOST}`),
    v.maxValue(AT_MOST, `must be 1 to ${AT_MOST}`),
  )

/** Into how many parts the targets are divided, each with a function and a state of its own (FunctionGraph; docs/fleet.md). */
export const shardsField = () => v.optional(count(), 1)
/** How many parts there were before: the state of what moved is taken along. */
export const shardsPreviousField = () => orNull(count())

/** Where a function is told which part is its own: `2/3`. */
const SHARD = 'IOTDA_CERT_SHARD'

interface Checked {
  readonly schedule: { readonly shards: number; readonly shardsPrevious: number | null } | null
  readonly rollout: object | null
  readonly statusPage?: { readonly publish: boolean }
}

/** The part that this process looks after; null: all of them. What does not fit together is noted. */
export function toShard(
  { schedule, rollout, statusPage }: Checked,
  { env, isFunction = false, withoutValues = false }: Surroundings,
  mistakes: Mistake[],
): Shard | null {
  if (!schedule) return null
  const { shards, shardsPrevious: previous } = schedule
  const given = env[SHARD] || undefined
  const wrong = (message: string, path = 'schedule.shards'): null => {
    mistakes.push({ path, message })
    return null
  }
  if (shards > 1 && rollout)
    wrong(
      `each of ${shards} shards has a state of its own, and rings need one for all: leave one of them out`,
      'rollout',
    )
  if (shards > 1 && statusPage?.publish)
    wrong(
      `each of ${shards} shards would put its own page there: leave it out, and use \`iotda-cert status --html\``,
      'statusPage.publish',
    )
  if (given === undefined) {
    if (shards > 1 && isFunction && !withoutValues)
      return wrong(
        `is ${shards}, and ${SHARD} does not say which one this function is: deploy it with --shard`,
      )
    return shards === 1 && previous !== null ? { number: 1, count: 1, previous } : null
  }
  const own = parseShard(given)
  if (own === null) return wrong(`${SHARD} must be such as 2/3, and is not`)
  if (own.count !== shards)
    return wrong(
      `is ${shards}, and ${SHARD} says ${shardText(own)}: deploy every shard with the same settings`,
    )
  return { ...own, previous }
}
