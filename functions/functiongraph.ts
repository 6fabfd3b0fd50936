import { failed, run } from '../lib/app.ts'
import { RotationError } from '../lib/base/errors.ts'
import { systemClock } from '../lib/base/time.ts'
import type { RunEvent } from '../lib/model.ts'
import { parseEvent, rotateEverything } from './event.ts'
import { answerError, jsonLog } from './output.ts'

/** https://support.huaweicloud.com/devg-functiongraph/functiongraph_02_0410.html */
interface FunctionGraphContext {
  getRemainingTimeInMilliSeconds(): number
  getUserData(key: string): string | undefined
}

/**
 * Huawei FunctionGraph: a TIMER event rotates everything, or does what its `user_event` says; any other body is
 * an event. Throws when a target failed, so that the asynchronous failure destination is told.
 */
export async function handler(payload: unknown, context: FunctionGraphContext): Promise<unknown> {
  const isTimer = (payload as { trigger_type?: unknown } | null)?.trigger_type === 'TIMER'
  const answer = await run({
    config: context.getUserData('IOTDA_CERT_CONFIG') || null,
    event: isTimer ? timerEvent(payload as { user_event?: unknown }) : parseEvent(payload ?? {}),
    trigger: isTimer ? 'schedule' : 'manual',
    deadline: systemClock.now() + context.getRemainingTimeInMilliSeconds(),
    log: jsonLog('info'),
  })
  if (failed(answer)) throw answerError(answer)
  return answer
}

function timerEvent({ user_event: text }: { user_event?: unknown }): RunEvent {
  if (typeof text !== 'string' || text.trim() === '') return rotateEverything
  try {
    return parseEvent(JSON.parse(text))
  } catch (error) {
    if (error instanceof RotationError) throw error
    throw new RotationError('usage', "the timer's user_event is no JSON", {
      retry: 'never',
      hint: 'Leave it empty, or set it to {"action":"rotate"}.',
    })
  }
}
