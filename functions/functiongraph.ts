import { warmUp } from '../lib/app.ts'
import { RotationError } from '../lib/base/errors.ts'
import { SECOND_MS } from '../lib/base/time.ts'
import type { RunEvent } from '../lib/model.ts'
import { parseEvent, rotateEverything } from './event.ts'
import { invoke, warm } from './invocation.ts'

/** https://support.huaweicloud.com/devg-functiongraph/functiongraph_02_0410.html */
interface FunctionGraphContext {
  getRemainingTimeInMilliSeconds?(): number
  /** The configured timeout. */
  getRunningTimeInSeconds?(): number
  getUserData(key: string): string | undefined
  getRequestID?(): string
  /** Temporary keys of the function's agency; getAccessKey and getSecretKey are no longer kept up. */
  getSecurityAccessKey?(): string | undefined
  getSecuritySecretKey?(): string | undefined
  getSecurityToken?(): string | undefined
  /** Not in every version of the runtime: RUNTIME_PROJECT_ID says the same. */
  getProjectID?(): string | undefined
}

/** Asked anew for each event: the runtime renews the keys. */
const runtimeOf = (context: FunctionGraphContext) => ({
  userData: (name: string) => context.getUserData(name) || undefined,
  credentials: () => {
    const accessKey = context.getSecurityAccessKey?.()
    const secretKey = context.getSecuritySecretKey?.()
    const securityToken = context.getSecurityToken?.()
    return accessKey && secretKey && securityToken ? { accessKey, secretKey, securityToken } : null
  },
  projectId: () => context.getProjectID?.() || undefined,
})

const configOf = (context: FunctionGraphContext): string | null =>
  context.getUserData('IOTDA_CERT_CONFIG') || null

/**
 * Huawei FunctionGraph: a TIMER event rotates everything, or does what its `user_event` says; any other body is
 * an event. Throws when a target failed, so that the asynchronous failure destination is told.
 */
export async function handler(payload: unknown, context: FunctionGraphContext): Promise<unknown> {
  const leftMs = context.getRemainingTimeInMilliSeconds?.() ?? Number.NaN
  return invoke({
    config: configOf(context),
    runtime: runtimeOf(context),
    remainingMs: Number.isFinite(leftMs)
      ? leftMs
      : (context.getRunningTimeInSeconds?.() ?? 0) * SECOND_MS - SECOND_MS,
    requestId: context.getRequestID?.(),
    read: () =>
      (payload as { trigger_type?: unknown } | null)?.trigger_type === 'TIMER'
        ? { event: timerEvent(payload as { user_event?: unknown }), trigger: 'schedule' }
        : { event: parseEvent(payload ?? {}), trigger: 'manual' },
  })
}

/** Reads the settings when an instance starts. A mistake in them is told by the first event, which can fail. */
export function initializer(
  context: FunctionGraphContext,
  callback: (error: unknown, result: string) => void,
): void {
  warmUp({ config: configOf(context), runtime: runtimeOf(context), warm }).then(
    () => callback(null, 'ready'),
    () => callback(null, 'ready, but the settings cannot be read'),
  )
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
