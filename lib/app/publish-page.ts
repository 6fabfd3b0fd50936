import { inParallel } from '../base/parallel.ts'
import { asRotationError, RotationError } from '../base/rotation-error.ts'
import type { Language, Run, StateStore } from '../contracts.ts'
import type { StepName, Warning } from '../model/outcomes.ts'
import { pageOf } from '../present/page/page.ts'
import type { TargetResult } from '../report/result.ts'
import { withKept } from '../report/status.ts'
import type { RotationSetup } from '../rotation/context.ts'
import { rotate } from '../rotation/rotate.ts'

/** One target: what its run came to, with all that the run saw. */
export interface Seen {
  readonly setup: RotationSetup
  readonly result: TargetResult
}

export interface Publication {
  readonly runId: string
  readonly finishedAt: string
  readonly seen: readonly Seen[]
  readonly store: StateStore
  readonly run: Run
  readonly language: Language
}

const AT_ONCE = 4

/** Puts the page of the fleet into the store. Never throws: a warning says why it is not there. */
export async function publishPage(publication: Publication): Promise<Warning | null> {
  const { runId, finishedAt, seen, store, run, language } = publication
  try {
    const results = await inParallel(seen, AT_ONCE, one => asStatus(one, run))
    if (run.signal.aborted || run.clock.now() >= run.deadline)
      throw new RotationError('out-of-time', 'the run has no time left for it')
    if (!store.publish) throw new RotationError('internal', 'the store keeps no page')
    const place = await store.publish(pageOf({ runId, finishedAt, results }, language))
    run.log.debug({ place }, 'the page is published')
    return null
  } catch (thrown) {
    const message = `the status page was not published: ${asRotationError(thrown).message}`
    run.log.warn({}, message)
    return { code: 'page-not-published', message }
  }
}

/** Steps after which what the run saw at first is no longer so. */
const CHANGING: readonly StepName[] = ['free', 'add', 'bind', 'roll-back']

/** What `status` would say, from what the run saw already; where it changed something, from another look. */
async function asStatus({ setup, result }: Seen, run: Run): Promise<TargetResult> {
  const hasChanged = result.steps.some(({ step }) => CHANGING.includes(step))
  const shown = (hasChanged ? await lookAgain(setup, result, run) : null) ?? result
  return withKept(setup, shown)
}

async function lookAgain(setup: RotationSetup, before: TargetResult, run: Run): Promise<TargetResult | null> {
  const event = { ...setup.event, action: 'status', force: false, until: null, accept: null } as const
  const seen = await rotate({ ...setup, event, run, progress: () => {} })
  return seen.error === null ? { ...seen, outcome: before.outcome, error: before.error } : null
}
