import { failed, keepWarm, type Request, ringsByEvent, run } from '../lib/app/run.ts'
import { asRotationError, RotationError } from '../lib/base/rotation-error.ts'
import { SECOND_MS, systemClock } from '../lib/base/time.ts'
import type { Answer } from '../lib/report/answer.ts'
import { answerError, doorError, jsonLog } from './output.ts'
import { timeLeft } from './remaining.ts'

/** One event as a platform delivers it. */
export interface Invocation
  extends Pick<Request, 'config' | 'runtime' | 'configured' | 'counted' | 'takesMessages'> {
  /** What the runtime says is left, the best of its statements first. */
  readonly remainingMs: readonly unknown[]
  /** Names the event; the same when it is delivered again. */
  readonly requestId: unknown
  /** Parses the payload. @throws RotationError `usage` */
  readonly read: () => Pick<Request, 'event' | 'trigger'>
  /** What each line of the log says besides, by the names of the platform. */
  readonly logged?: object
  /** Told of the answer, whatever becomes of it. */
  readonly answered?: (answer: Answer) => void
}

/** Less is the platform's default, or a mistake: nothing could ever be done in it. */
const AT_LEAST_MS = 10 * SECOND_MS
/** What the deployment sets, for a runtime that does not say it. */
const CONFIGURED_MS = 900 * SECOND_MS
/** What is kept for the answer: a tenth of the time, three seconds at most. */
const marginOf = (remainingMs: number): number => Math.min(3 * SECOND_MS, remainingMs / 10)

/** What this process keeps between events. */
export const warm = keepWarm()

/**
 * Does what an event asks for within the time that the platform gives, and is never cut by it. Throws when a
 * target failed or nothing could be started, so that the platform counts an error; a run that only waits answers
 * `ok: false`.
 */
export async function invoke(invocation: Invocation): Promise<Answer> {
  const log = jsonLog('info', invocation.logged)
  try {
    const answer = await inTime(invocation, log)
    invocation.answered?.(answer)
    if (answer.results.some(result => REFUSED.includes(result.error?.code ?? ''))) warm.forget()
    if (failed(answer)) throw answerError(answer)
    return answer
  } catch (thrown) {
    if (thrown instanceof Error && thrown.name === 'RotationFailed') throw thrown
    warm.forget()
    const error = asRotationError(thrown)
    // Only a mistake of ours needs the place where it was made.
    if (error.code === 'internal') log.error({ stack: (thrown as Error)?.stack ?? null }, error.message)
    throw doorError(error)
  } finally {
    await log.flush()
  }
}

const REFUSED = ['unauthorized', 'forbidden']

/** Answers an event that asks of the rings, or brings a person's word on them. @throws an error for the platform */
export async function askRings(
  event: Readonly<Record<string, unknown>>,
  { config, runtime, remainingMs, requestId, logged }: Omit<Invocation, 'read'>,
): Promise<unknown> {
  const log = jsonLog('info', logged)
  try {
    const { rolloutByEvent } = await ringsByEvent()
    const leftMs = timeLeft(remainingMs, CONFIGURED_MS)
    const request = `request ${typeof requestId === 'string' && requestId ? requestId : 'unknown'}`
    const deadline = systemClock.now() + leftMs - marginOf(leftMs)
    return await rolloutByEvent(event, { config, ...(runtime ? { runtime } : {}), request, deadline, log })
  } catch (thrown) {
    throw doorError(asRotationError(thrown))
  } finally {
    await log.flush()
  }
}

async function inTime(invocation: Invocation, log: ReturnType<typeof jsonLog>): Promise<Answer> {
  const { config, runtime, configured, counted, takesMessages = false, read } = invocation
  const remainingMs = timeLeft(invocation.remainingMs, CONFIGURED_MS)
  const requestId = typeof invocation.requestId === 'string' ? invocation.requestId || null : null
  const { event, trigger } = read()
  const startedAt = systemClock.now()
  if (!(remainingMs >= AT_LEAST_MS)) throw tooShort(remainingMs)
  const over = new AbortController()
  const marginMs = marginOf(remainingMs)
  const running = run({
    config,
    event: trigger === 'manual' ? { ...event, askedBy: `request ${requestId ?? 'unknown'}` } : event,
    trigger,
    deadline: startedAt + remainingMs - marginMs,
    log,
    warm,
    signal: over.signal,
    takesMessages,
    ...(runtime ? { runtime } : {}),
    ...(configured ? { configured } : {}),
    ...(counted ? { counted } : {}),
    ...(requestId === null ? {} : { deliveryId: requestId }),
  })
  // What ignores its signal is left behind; every later call to IoTDA or the CA is refused by that same signal.
  running.catch(() => {})
  const late = lateAfter(remainingMs - marginMs / 2, over)
  try {
    return await Promise.race([running, late.error])
  } finally {
    late.clear()
    over.abort(outOfTime())
  }
}

function lateAfter(durationMs: number, over: AbortController) {
  let timer: NodeJS.Timeout | undefined
  const error = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      over.abort(outOfTime())
      reject(outOfTime())
    }, durationMs)
  })
  return { error, clear: () => clearTimeout(timer) }
}

const outOfTime = (): RotationError =>
  new RotationError('out-of-time', 'the run did not stop within the time of the function', {
    hint: 'Nothing is lost: the next run goes on from the state. If it happens again, raise the timeout (900 s).',
  })

const tooShort = (remainingMs: number): RotationError =>
  new RotationError(
    'out-of-time',
    `the function has ${Math.max(0, Math.floor(remainingMs / SECOND_MS)) || 'less than 1'} s, which is too short for any run`,
    { retry: 'never', hint: 'Set the timeout of the function to 900 seconds.' },
  )
