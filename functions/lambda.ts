import { emfLines, type Metrics } from '../lib/present/emf.ts'
import { parseEvent, scheduledEvent } from './event.ts'
import { invoke } from './invocation.ts'

/** https://docs.aws.amazon.com/lambda/latest/dg/nodejs-context.html; whoever calls by hand may give less. */
interface LambdaContext {
  getRemainingTimeInMillis?(): number
  readonly awsRequestId?: string
  readonly functionName?: string
}

/**
 * AWS Lambda: an EventBridge schedule rotates everything, any other payload is an event. Throws when a target
 * failed, so that the platform's error metric and alarms see it; a run that only waits answers `ok: false`.
 */
export async function handler(payload: unknown, context?: LambdaContext | null): Promise<unknown> {
  let metrics: Metrics = 'few'
  return invoke({
    config: null,
    configured: settings => {
      metrics = settings.metrics
    },
    // The keys of the function's role are in its environment, as every SDK of AWS expects them.
    runtime: {},
    remainingMs: [context?.getRemainingTimeInMillis?.()],
    requestId: context?.awsRequestId,
    // https://docs.aws.amazon.com/powertools/typescript/latest/features/logger/
    logged: {
      service: 'iotda-cert',
      function_name: context?.functionName ?? 'iotda-cert',
      function_request_id: context?.awsRequestId ?? null,
    },
    answered: answer => {
      if (answer.results.some(r => r.decision.reason !== 'probed'))
        process.stdout.write(emfLines(answer, context?.functionName ?? 'iotda-cert', metrics).join(''))
    },
    read: () =>
      isScheduleEvent(payload)
        ? { event: scheduledEvent(payload, ['detail']), trigger: 'schedule' }
        : { event: parseEvent(payload ?? {}), trigger: 'manual' },
  })
}

function isScheduleEvent(payload: unknown): payload is object {
  const { source, 'detail-type': type } = (payload ?? {}) as { source?: unknown; 'detail-type'?: unknown }
  return source === 'aws.events' || source === 'aws.scheduler' || type === 'Scheduled Event'
}
