/** What a stage needs is in its parameter types: `tsc` refuses a recipe that leaves one out. */
import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import type { Context } from '../../lib/rotation/context.ts'
import type { Decided, DueToDeploy, DueToRepair, Idle } from '../../lib/rotation/decide/decision.ts'
import type { Cleared } from '../../lib/rotation/rings/await-turn.ts'
import type { add, Uploaded } from '../../lib/rotation/steps/add.ts'
import type { Bound, bind, bindAgain } from '../../lib/rotation/steps/bind.ts'
import type { free, Placed } from '../../lib/rotation/steps/free.ts'
import type { Material, obtain } from '../../lib/rotation/steps/obtain.ts'
import type { Judged, preflight } from '../../lib/rotation/steps/preflight.ts'
import type { Ending, Proof, record } from '../../lib/rotation/steps/record.ts'
import type { rollBack } from '../../lib/rotation/steps/roll-back.ts'
import type { verify, verifyAgain } from '../../lib/rotation/steps/verify.ts'
import type { Lease } from '../../lib/state/lease.ts'

/** Every stage, and every value that there is by then. Never run: only its types count. */
interface Stages {
  readonly obtain: typeof obtain
  readonly preflight: typeof preflight
  readonly free: typeof free
  readonly add: typeof add
  readonly bind: typeof bind
  readonly bindAgain: typeof bindAgain
  readonly verify: typeof verify
  readonly verifyAgain: typeof verifyAgain
  readonly rollBack: typeof rollBack
  readonly record: typeof record
}

interface Values {
  readonly context: Context
  readonly lease: Lease
  readonly idle: Decided<Idle>
  readonly due: Decided<DueToDeploy>
  readonly drifted: Decided<DueToRepair>
  readonly material: Material
  readonly judged: Judged
  readonly cleared: Cleared
  readonly placed: Placed
  readonly uploaded: Uploaded
  readonly bound: Bound
  readonly proof: Proof
  readonly ending: Ending
}

const recipe = (s: Stages, v: Values) => {
  const { context, lease } = v
  return [
    s.obtain(context, v.due),
    s.preflight(context, v.due, v.material),
    s.free(context, lease, v.cleared),
    s.add(context, lease, v.placed),
    s.bind(context, lease, v.uploaded),
    s.verify(context, v.bound),
    s.rollBack(context, lease, v.bound, v.proof),
    s.record(context, v.bound, v.ending),
  ]
}

const refused = (s: Stages, v: Values) => {
  const { context, lease } = v
  return [
    // @ts-expect-error an order although nothing is due
    s.obtain(context, v.idle),
    // @ts-expect-error a preflight of nothing
    s.preflight(context, v.due),
    // @ts-expect-error a deletion for what preflight has not let pass
    s.free(context, lease, v.material),
    // @ts-expect-error a deletion before its ring's turn
    s.free(context, lease, v.judged),
    // @ts-expect-error a deletion without the lease
    s.free(context, v.cleared),
    // @ts-expect-error an upload without a preflight
    s.add(context, lease, v.material),
    // @ts-expect-error an upload before there is room for it
    s.add(context, lease, v.judged),
    // @ts-expect-error an upload without the lease
    s.add(context, v.placed),
    // @ts-expect-error a bind of what preflight has not let pass
    s.bind(context, lease, v.material),
    // @ts-expect-error a bind without an upload
    s.bind(context, lease, v.placed),
    // @ts-expect-error a bind without the lease
    s.bind(context, v.uploaded),
    // @ts-expect-error a repair of what has not drifted
    s.bindAgain(context, lease, v.due),
    // @ts-expect-error a verify without a bind
    s.verify(context, v.uploaded),
    // @ts-expect-error a verify of a repair that did not happen
    s.verifyAgain(context, v.drifted),
    // @ts-expect-error a rollback without a proof
    s.rollBack(context, lease, v.bound),
    // @ts-expect-error a rollback without the lease
    s.rollBack(context, v.bound, v.proof),
    // @ts-expect-error nothing is written down without a verdict
    s.record(context, v.bound, null),
    // @ts-expect-error a bad verdict is written down only after the rollback
    s.record(context, v.bound, v.proof),
  ]
}

test('every step that is left out is refused by the compiler', async () => {
  const source = await readFile(import.meta.filename, 'utf8')
  expect(source.match(/^ {4}\/\/ @ts-expect-error .+\n {4}s\.\w+\(/gm)).toHaveLength(18)
  expect([recipe.length, refused.length]).toEqual([2, 2])
})
