import { formatDuration } from '../base/time.ts'
import { visible } from '../base/visible.ts'
import { painter } from './paint.ts'

/** What a rehearsal of a recall came to, as far as its text needs it. */
interface Drilled {
  readonly ok: boolean
  readonly targets: number
  readonly certificates: number
  readonly withinMs: number
  readonly noticeMs: number
  readonly minAgeMs: number
  readonly limits: readonly { readonly name: string; readonly says: string; readonly takesMs: number }[]
  readonly narrowest: string
  readonly lastSafeAfterMs: number
  readonly withRingsMs: number
  readonly notes: readonly string[]
}

/** A rehearsal of a recall in words. */
export function drillText(drilled: Drilled, colour = false): string {
  const paint = painter(colour)
  const { ok, limits, lastSafeAfterMs, withRingsMs, withinMs, noticeMs, minAgeMs } = drilled
  const rows = [
    ['noticed', 'renewal info is asked for again, then a run begins', noticeMs] as const,
    ...limits.map(({ name, says, takesMs }) => [name, says, takesMs] as const),
    ...(minAgeMs > 0
      ? [['minAge', 'a certificate is bound only when it is that old', minAgeMs] as const]
      : []),
  ]
  const width = Math.max(...rows.map(([name]) => name.length))
  const lines = [
    `A recall of everything, on paper: ${drilled.targets} targets, ${drilled.certificates} certificates`,
    ...rows.map(
      ([name, says, takesMs]) =>
        `  ${visible(name).padEnd(width)}  ${formatDuration(takesMs)}: ${visible(says)}`,
    ),
    `narrowest: ${visible(drilled.narrowest)}`,
    `${paint(ok ? 'in time' : 'too late', ok ? 32 : 31)}  the last target is safe after ${formatDuration(lastSafeAfterMs)}, of ${formatDuration(withinMs)} that it may take`,
    ...(withRingsMs > lastSafeAfterMs ? [`with rings: ${formatDuration(withRingsMs)}`] : []),
    ...drilled.notes.map(note => `note: ${visible(note)}`),
  ]
  return `${lines.join('\n')}\n`
}
