import { failed, run } from '../lib/app.ts'
import { systemClock } from '../lib/base/time.ts'
import { parseEvent, rotateEverything } from './event.ts'
import { answerError, jsonLog } from './output.ts'

interface LambdaContext {
  getRemainingTimeInMillis(): number
}

/**
 * AWS Lambda: an EventBridge schedule rotates everything, any other payload is an event. Throws when a target
 * failed, so that the platform's error metric and alarms see it; a run that only waits answers `ok: false`.
 */
export async function handler(payload: unknown, context: LambdaContext): Promise<unknown> {
  const isSchedule = isScheduleEvent(payload)
  const answer = await run({
    config: null,
    event: isSchedule ? rotateEverything : parseEvent(payload ?? {}),
    trigger: isSchedule ? 'schedule' : 'manual',
    deadline: systemClock.now() + context.getRemainingTimeInMillis(),
    log: jsonLog('info'),
  })
  if (failed(answer)) throw answerError(answer)
  return answer
}

function isScheduleEvent(payload: unknown): boolean {
  const { source, 'detail-type': type } = (payload ?? {}) as { source?: unknown; 'detail-type'?: unknown }
  return source === 'aws.events' || source === 'aws.scheduler' || type === 'Scheduled Event'
}
