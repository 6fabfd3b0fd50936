import type { TargetResult } from '../../report/result.ts'
import { type RotationSetup, targetDocument } from '../context.ts'
import { conclude, lookAndDecide } from '../rotate.ts'
import { warn } from '../trace.ts'

/** `hold`: no unattended change from now on. */
export const hold = (setup: RotationSetup): Promise<TargetResult> =>
  conclude(setup, async context => {
    const { run, specHash, trace } = context
    const why = 'held by hand'
    await targetDocument(context).update(d => ({ ...d, held: { since: run.clock.now(), why, specHash } }))
    // Only then a look, for the report: whatever is wrong with the instance must not keep a person from holding it.
    await lookAndDecide(context).catch(thrown =>
      warn(
        context,
        'not-looked-at',
        `held, but what is bound could not be looked at: ${(thrown as Error).message}`,
      ),
    )
    const detail = `${why}; \`iotda-cert resume\` ends it`
    const nextCheckAt = trace.decisions.at(-1)?.nextCheckAt ?? null
    return { outcome: 'idle', decision: { due: false, reason: 'held', detail, nextCheckAt } }
  })
