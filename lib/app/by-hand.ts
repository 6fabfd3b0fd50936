import type { Action } from '../model/outcomes.ts'
import type { TargetResult } from '../report/result.ts'
import { withKept } from '../report/status.ts'
import * as manual from '../rotation/actions/manual.ts'
import { probe } from '../rotation/actions/probe.ts'
import { revoke } from '../rotation/actions/revoke.ts'
import { rotate } from '../rotation/rotate.ts'
import type { World } from '../rotation/world.ts'

/** What a person asks for that is no rotation, nor the plan of one. */
const ACTIONS: Readonly<Record<Exclude<Action, 'rotate' | 'plan'>, (world: World) => Promise<TargetResult>>> =
  {
    status: async world => withKept(world, await rotate(world)),
    rollback: manual.rollback,
    hold: manual.hold,
    resume: manual.resume,
    revoke,
    probe,
  }

export const perform = (world: World, action: keyof typeof ACTIONS): Promise<TargetResult> =>
  ACTIONS[action](world)
