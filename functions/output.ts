import pino from 'pino'
import type { Answer } from '../lib/app.ts'
import type { Log } from '../lib/base/log.ts'

/** JSON lines on standard error (or another file descriptor), one object each. */
export function jsonLog(level: 'debug' | 'info' | 'warn' | 'error', fd = 2): Log {
  const options = { level, base: null, formatters: { level: (label: string) => ({ level: label }) } }
  return pino(options, pino.destination({ fd, sync: true }))
}

/** What the door throws: the whole answer as its message, so that the platform's log says everything. */
export function answerError(answer: Answer): Error {
  const error = new Error(JSON.stringify(answer))
  error.name = 'RotationFailed'
  return error
}
