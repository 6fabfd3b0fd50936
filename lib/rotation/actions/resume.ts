import type { TargetResult } from '../../report/result.ts'
import { type RotationSetup, targetDocument } from '../context.ts'
import { conclude, lookAndDecide } from '../rotate.ts'

/** `resume`: ends a hold and the back-off; the next run goes on. */
export const resume = (setup: RotationSetup): Promise<TargetResult> =>
  conclude(setup, async context => {
    const document = targetDocument(context)
    await lookAndDecide(context)
    const { held } = await document.get()
    await document.update(d =>
      d.held || d.retryAfter ? { ...d, held: null, retryAfter: null, failures: 0, rollBacks: 0 } : d,
    )
    const { decision } = await lookAndDecide(context)
    const was = held ? `no longer held (${held.why})` : 'was not held'
    const next = decision.due ? 'the next run rotates' : 'nothing is due'
    return { outcome: 'idle', decision: { ...decision, detail: `${was}; ${next}: ${decision.detail}` } }
  })
