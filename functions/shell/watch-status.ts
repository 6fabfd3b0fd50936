import { setMaxListeners } from 'node:events'
import { asRotationError, RotationError } from '../../lib/base/rotation-error.ts'
import { formatDuration, parseDuration, SECOND_MS, systemClock } from '../../lib/base/time.ts'
import { fitted } from '../../lib/present/fit.ts'
import { overviewText } from '../../lib/present/overview.ts'
import { errorText } from '../../lib/present/text.ts'
import type { Answer } from '../../lib/report/answer.ts'
import { isColoured } from '../output.ts'

const EVERY_MS = 30 * SECOND_MS
/** Each look asks every instance, and its device port. */
const EVERY_AT_LEAST_MS = 2 * SECOND_MS

export interface Watching {
  /** A duration, or seconds; true: the usual. */
  readonly every: string | true
  readonly isLong: boolean
  /** One look; stops when it is told to. */
  readonly ask: (signal: AbortSignal) => Promise<Answer>
}

const usage = (message: string, hint: string): RotationError =>
  new RotationError('usage', message, { retry: 'never', hint })

function everyMsOf(every: string | true): number {
  const everyMs = every === true ? EVERY_MS : parseDuration(/^\d+$/.test(every) ? `${every}s` : every)
  if (everyMs !== null && everyMs >= EVERY_AT_LEAST_MS) return everyMs
  throw usage('--watch takes a duration of 2s or more', 'E.g. --watch 30s.')
}

/** As many lines as the terminal has, each to its end, over what stood there. */
function screen(lines: readonly string[], rows: number): string {
  const hidden = lines.length - (rows - 1)
  const shown = hidden > 0 ? [...lines.slice(0, rows - 2), `… ${hidden + 1} lines more`] : lines
  return `\x1b[H${shown.map(line => `${line}\x1b[K`).join('\n')}\n\x1b[J`
}

/**
 * Shows the overview again and again until Ctrl-C, which ends it well.
 * @throws RotationError `usage` without a terminal, and whatever the first look throws
 */
export async function watchStatus({ every, isLong, ask }: Watching): Promise<number> {
  const everyMs = everyMsOf(every)
  const terminal = process.stdout
  if (!terminal.isTTY)
    throw usage(
      '--watch draws on a terminal, and there is none',
      'Without one: iotda-cert status by cron or in a loop, with --json, --prometheus or --html.',
    )
  const stop = new AbortController()
  setMaxListeners(0, stop.signal)
  const end = (): void => stop.abort(new Error('ended'))
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, end)

  let text = ''
  const draw = (): void => {
    const { columns = 80, rows = 24 } = terminal
    const lines = fitted(text.trimEnd(), columns).split('\n')
    terminal.write(screen(lines, rows))
  }
  let show: () => void = () => {}
  const resized = (): void => show()
  terminal.on('resize', resized)
  try {
    for (let isFirst = true; !stop.signal.aborted; isFirst = false) {
      try {
        const answer = await ask(stop.signal)
        if (stop.signal.aborted) break
        show = () => {
          const style = { colour: isColoured(), width: terminal.columns ?? 80, isLong }
          const at = answer.finishedAt.replace(/\.\d+Z$/, 'Z')
          text = `${at}, again every ${formatDuration(everyMs)}; Ctrl-C ends\n\n${overviewText(answer, style)}`
          draw()
        }
      } catch (thrown) {
        if (stop.signal.aborted) break
        if (isFirst) throw thrown
        const said = errorText(asRotationError(thrown))
        const before = text
        // What was seen last stays, below what is wrong now.
        show = () => {
          text = `${said}\n${before}`
          draw()
        }
      }
      if (isFirst) terminal.write('\x1b[2J')
      show()
      await systemClock.sleep(everyMs, stop.signal).catch(() => {})
    }
  } finally {
    terminal.off('resize', resized)
  }
  terminal.write('\n')
  return 0
}
