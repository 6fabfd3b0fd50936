import type { Action } from '../model/outcomes.ts'
import type { TargetResult } from '../report/result.ts'
import { withKept } from '../report/status.ts'
import { hold } from '../rotation/actions/hold.ts'
import { probe } from '../rotation/actions/probe.ts'
import { resume } from '../rotation/actions/resume.ts'
import { revoke } from '../rotation/actions/revoke.ts'
import { rollback } from '../rotation/actions/rollback.ts'
import type { RotationSetup } from '../rotation/context.ts'
import { rotate } from '../rotation/rotate.ts'

/** What a person asks for that is no rotation, nor the plan of one. */
const ACTIONS: Readonly<
  Record<Exclude<Action, 'rotate' | 'plan'>, (setup: RotationSetup) => Promise<TargetResult>>
> = {
  status: async setup => withKept(setup, await rotate(setup)),
  rollback,
  hold,
  resume,
  revoke,
  probe,
}

export const perform = (setup: RotationSetup, action: keyof typeof ACTIONS): Promise<TargetResult> =>
  ACTIONS[action](setup)
