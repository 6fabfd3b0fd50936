/** What differs from run to run, the same each time: ids, fingerprints, names of a CA, ports, instants, durations. */
import { createHash } from 'node:crypto'

/** When a run in a picture began. */
export const BEGAN = Date.parse('2026-06-15T12:00:00Z')
/** Whatever happens in a run of seconds happens at one instant. */
const GRAIN_MS = 5 * 60_000

/** The text of a run that began at `startedAt`, as if it had begun at {@link BEGAN}. */
export function settled(text: string, startedAt: number): string {
  const known = new Map<string, string>()
  const once = (of: string, made: (nth: number) => string): string => {
    const kept = known.get(of) ?? made(known.size)
    known.set(of, kept)
    return kept
  }
  const moved = (at: number): string =>
    new Date(Math.round((at - startedAt + BEGAN) / GRAIN_MS) * GRAIN_MS).toISOString().replace('.000Z', 'Z')
  return text
    .replaceAll(/\b[0-9a-f]{20}(\d{4})\b/g, (_, nth: string) => `6b06…${nth}`)
    .replaceAll(/\b[0-9a-f]{16}…/g, of => once(of, nth => `${hashOf(`leaf ${nth}`)}…`))
    .replaceAll(/(Sandbox (?:Intermediate|Root)) [0-9A-F]{6}/g, '$1')
    .replaceAll(/\bport \d+/g, 'port 8883')
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, at => moved(Date.parse(at)))
    .replaceAll(/\b(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z/g, (_, y, m, d, h, min, s) =>
      moved(Date.parse(`${y}-${m}-${d}T${h}:${min}:${s}Z`)).replaceAll(/[-:]/g, ''),
    )
    .replaceAll(/ {2}\(\d+(ms|s)\)$/gm, '')
    .replaceAll(/after \d+s$/gm, 'after 0s')
}

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 8)
