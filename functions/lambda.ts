import { emfLineOf, emfLines, type Metrics } from '../lib/present/emf.ts'
import { asksOfRings, parseEvent, scheduledEvent } from './event.ts'
import { askRings, type Invocation, invoke } from './invocation.ts'
import type { Message } from './queue/messages.ts'

/** https://docs.aws.amazon.com/lambda/latest/dg/nodejs-context.html; whoever calls by hand may give less. */
interface LambdaContext {
  getRemainingTimeInMillis?(): number
  readonly awsRequestId?: string
  readonly functionName?: string
}

/**
 * AWS Lambda: an EventBridge schedule rotates everything, messages of SQS rotate what they name, any other payload is an
 * event. Throws when a target failed, so that the platform's error metric and alarms see it; a run that only waits
 * answers `ok: false`.
 */
export async function handler(payload: unknown, context?: LambdaContext | null): Promise<unknown> {
  const take = (given: Pick<Invocation, 'requestId' | 'read'>) =>
    invoke({ ...invocationOf(context), ...given })
  if (isOfQueue(payload))
    return (await import('./queue/messages.ts')).takeMessages(payload.Records, take, loggedOf(context))
  if (asksOfRings(payload))
    return askRings(payload, { ...invocationOf(context), requestId: context?.awsRequestId })
  return take({
    requestId: context?.awsRequestId,
    read: () =>
      isScheduleEvent(payload)
        ? { event: scheduledEvent(payload, ['detail']), trigger: 'schedule' }
        : { event: parseEvent(payload ?? {}), trigger: 'manual' },
  })
}

/** https://docs.aws.amazon.com/powertools/typescript/latest/features/logger/ */
const loggedOf = (context?: LambdaContext | null) => ({
  service: 'iotda-cert',
  function_name: context?.functionName ?? 'iotda-cert',
  function_request_id: context?.awsRequestId ?? null,
})

function invocationOf(context?: LambdaContext | null): Omit<Invocation, 'requestId' | 'read'> {
  let metrics: Metrics = 'few'
  const name = context?.functionName ?? 'iotda-cert'
  return {
    config: null,
    configured: settings => {
      metrics = settings.metrics
    },
    // The keys of the function's role are in its environment, as every SDK of AWS expects them.
    runtime: {},
    takesMessages: true,
    remainingMs: [context?.getRemainingTimeInMillis?.()],
    logged: loggedOf(context),
    counted: (result, { runId, clock }) => {
      process.stdout.write(emfLineOf(result, { runId, at: clock.now(), functionName: name, metrics }))
    },
    answered: answer => {
      if (answer.counted || answer.results.some(r => r.decision.reason !== 'probed'))
        process.stdout.write(emfLines(answer, name, metrics).join(''))
    },
  }
}

function isScheduleEvent(payload: unknown): payload is object {
  const { source, 'detail-type': type } = (payload ?? {}) as { source?: unknown; 'detail-type'?: unknown }
  return source === 'aws.events' || source === 'aws.scheduler' || type === 'Scheduled Event'
}

function isOfQueue(payload: unknown): payload is { readonly Records: readonly Message[] } {
  const { Records } = (payload ?? {}) as { Records?: unknown }
  return Array.isArray(Records) && Records.length > 0 && Records.every(it => it?.eventSource === 'aws:sqs')
}
