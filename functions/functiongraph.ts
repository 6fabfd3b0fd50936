import { warmUp } from '../lib/app/run.ts'
import { RotationError } from '../lib/base/rotation-error.ts'
import type { RunEvent } from '../lib/model/outcomes.ts'
import { asksOfRings, parseEvent, scheduledEvent } from './event.ts'
import { type GraphContext, runtimeOf } from './graph-runtime.ts'
import { askRings, invoke, warm } from './invocation.ts'
import { configuredMs } from './remaining.ts'

/** By hand there may be less. */
interface FunctionGraphContext extends GraphContext {
  /** The configured timeout; in an older runtime in milliseconds. */
  getRunningTimeInSeconds?(): number
  getRequestID?(): string
}

const configOf = (context: FunctionGraphContext): string | null =>
  context.getUserData?.('IOTDA_CERT_CONFIG') || null

/**
 * Huawei FunctionGraph: a TIMER event rotates everything, or does what its `user_event` says; any other body is
 * an event. Throws when a target failed, so that the asynchronous failure destination is told.
 */
export async function handler(payload: unknown, given?: FunctionGraphContext | null): Promise<unknown> {
  const context = given ?? {}
  const invocation = {
    config: configOf(context),
    runtime: runtimeOf(context),
    remainingMs: [
      context.getRemainingTimeInMilliSeconds?.(),
      ...configuredMs(context.getRunningTimeInSeconds?.()),
    ],
    requestId: context.getRequestID?.(),
  }
  if (asksOfRings(payload)) return askRings(payload, invocation)
  return invoke({
    ...invocation,
    read: () =>
      (payload as { trigger_type?: unknown } | null)?.trigger_type === 'TIMER'
        ? { event: timerEvent(payload as TimerEvent), trigger: 'schedule' }
        : { event: parseEvent(payload ?? {}), trigger: 'manual' },
  })
}

/** Reads the settings when an instance starts. A mistake in them is told by the first event, which can fail. */
export function initializer(
  given: FunctionGraphContext | null | undefined,
  callback: (error: unknown, result: string) => void,
): void {
  const context = given ?? {}
  warmUp({ config: configOf(context), runtime: runtimeOf(context), warm }).then(
    () => callback(null, 'ready'),
    () => callback(null, 'ready, but the settings cannot be read'),
  )
}

interface TimerEvent {
  readonly trigger_type: 'TIMER'
  /** What a person wrote: a text, or an object where the event is sent by hand. */
  readonly user_event?: unknown
}

function timerEvent(payload: TimerEvent): RunEvent {
  const everything = scheduledEvent(payload)
  const { user_event: said = null } = payload
  if (said === null || (typeof said === 'string' && said.trim() === '')) return everything
  try {
    return parseEvent(typeof said === 'string' ? JSON.parse(said) : said)
  } catch (thrown) {
    const isParsed = thrown instanceof RotationError
    throw new RotationError('usage', `user_event: ${isParsed ? thrown.message : 'it is no JSON'}`, {
      cause: thrown,
      retry: 'never',
      hint: (isParsed && thrown.hint) || 'Leave it empty, or set it to {"action":"rotate"}.',
    })
  }
}
