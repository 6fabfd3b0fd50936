import { watch } from '../lib/app/watch.ts'
import { asRotationError } from '../lib/base/rotation-error.ts'
import { SECOND_MS, systemClock } from '../lib/base/time.ts'
import { visibleJson } from '../lib/base/visible.ts'
import type { WatchAnswer } from '../lib/watch/watch.ts'
import { type GraphContext, runtimeOf } from './graph-runtime.ts'
import { doorError, jsonLog } from './output.ts'
import { timeLeft } from './remaining.ts'

/** What Lambda or FunctionGraph tells of the event; each has its own half. */
interface WatchContext extends GraphContext {
  getRemainingTimeInMillis?(): number
}

const DEFAULT_MS = 30 * SECOND_MS
const MARGIN_MS = SECOND_MS

/**
 * The watchdog, on AWS Lambda and on FunctionGraph: whatever the event says, every target of IOTDA_CERT_WATCH is
 * looked at. What is found is told by its notifiers; it throws when that could not be told, or it cannot look at all.
 */
export async function handler(_payload: unknown, given?: WatchContext | null): Promise<WatchAnswer> {
  const context = given ?? {}
  const log = jsonLog('info')
  const said = [context.getRemainingTimeInMillis?.(), context.getRemainingTimeInMilliSeconds?.()]
  const remainingMs = timeLeft(said, DEFAULT_MS)
  try {
    const answer = await watch({
      config: null,
      deadline: systemClock.now() + remainingMs - MARGIN_MS,
      log,
      runtime: runtimeOf(context),
    })
    if (answer.undelivered > 0) throw untold(answer)
    return answer
  } catch (thrown) {
    if (thrown instanceof Error && thrown.name === 'WatchUntold') throw thrown
    throw doorError(asRotationError(thrown))
  } finally {
    await log.flush()
  }
}

/** The platform's own alarm is what is left. */
function untold(answer: WatchAnswer): Error {
  const error = new Error(visibleJson(JSON.stringify(answer)))
  error.name = 'WatchUntold'
  return Object.assign(error, { stack: `${error.name}: ${error.message}` })
}
