import type { Log } from '../lib/base/log.ts'
import type { RotationError } from '../lib/base/rotation-error.ts'
import { systemClock } from '../lib/base/time.ts'
import { visibleJson } from '../lib/base/visible.ts'
import type { Answer } from '../lib/report/answer.ts'

/** A log whose lines are all out when `flush` resolves. */
export interface LineLog extends Log {
  flush(): Promise<void>
}

const LEVELS = ['debug', 'info', 'warn', 'error'] as const
type Level = (typeof LEVELS)[number]

/**
 * JSON lines on standard error, one object each, by `process.stderr.write`: FunctionGraph's runtime collects what
 * goes through it, and nothing that is written to the file descriptor itself. The logger is loaded at the first line:
 * most runs of a function find nothing to do and say nothing. `own`: what each line says besides.
 */
export function jsonLog(level: Level, own: object = {}): LineLog {
  let waiting: (() => void)[] = []
  let loading: Promise<void> | null = null
  let logger: Log | null = null
  const load = async (): Promise<void> => {
    const { default: pino } = await import('pino')
    const formatters = { level: (label: string) => ({ level: label }) }
    // The time of a line is when it was said, not when the logger was there.
    const options = { level, base: null, formatters, timestamp: false }
    process.stderr.off('error', ignored).on('error', ignored)
    logger = pino(options, { write })
    for (const write of waiting) write()
    waiting = []
  }
  const line = (of: Level) => (fields: object, message: string) => {
    if (LEVELS.indexOf(of) < LEVELS.indexOf(level)) return
    const { runId } = fields as { readonly runId?: unknown }
    const timed = {
      time: systemClock.now(),
      ...own,
      // The id of the run by the name that Powertools for AWS has for what belongs together.
      ...(isEmpty(own) || runId === undefined ? {} : { correlation_id: runId }),
      ...fields,
    }
    if (logger) return logger[of](timed, message)
    waiting.push(() => logger?.[of](timed, message))
    loading ??= load()
  }
  return {
    debug: line('debug'),
    info: line('info'),
    warn: line('warn'),
    error: line('error'),
    flush: async () => loading ?? undefined,
  }
}

const ignored = (): void => {}
const isEmpty = (fields: object): boolean => Object.keys(fields).length === 0

/** A log that cannot be written must not stop a rotation. */
function write(text: string): void {
  try {
    process.stderr.write(visibleJson(text))
  } catch {
    // It is a runtime's own function that failed.
  }
}

/** A runtime prints the stack of what is thrown; the message says everything that a person can act on. */
const withoutStack = <E extends Error>(error: E): E =>
  Object.assign(error, { stack: `${error.name}: ${error.message}` })

/** What the door throws: the whole answer as its message, so that the platform's log says everything. */
export function answerError(answer: Answer): Error {
  const error = new Error(visibleJson(JSON.stringify(answer)))
  error.name = 'RotationFailed'
  return withoutStack(error)
}

/** What the door throws when there is no answer: message and hint in one text. */
export function doorError({ code, message, hint }: RotationError): Error {
  const error = new Error([message, ...(hint === null ? [] : [hint])].map(visibleJson).join('\n'))
  error.name = `IotdaCertError[${code}]`
  return withoutStack(Object.assign(error, { code, hint }))
}

/** Whether what is said may have colours: on a terminal, unless its user wants none (Node heeds https://no-color.org). */
export const isColoured = (): boolean => Boolean(process.stdout.isTTY) && process.stdout.hasColors()
