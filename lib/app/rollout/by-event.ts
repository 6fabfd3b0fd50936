import { RotationError } from '../../base/rotation-error.ts'
import { quoted } from '../../base/visible.ts'
import type { ReportedRollout } from '../../report/rollout.ts'
import { type RolloutRequest, type RolloutWord, rollout } from './rollout.ts'

const KEYS = ['action', 'resume', 'approve', 'ring', 'by', 'why']
const TEXT_AT_MOST = 300

const bad = (what: string, hint: string): RotationError =>
  new RotationError('usage', `the event is not understood: ${what}`, { retry: 'never', hint })

/**
 * Parses `{"action":"rollout"}`, with `"resume":"KIND"` or `"approve":"KIND"` (and `"ring"`) also a person's word,
 * said by `by`, or else by the request. Null: only how things stand is asked. @throws RotationError `usage`
 */
export function parseRolloutEvent(
  event: Readonly<Record<string, unknown>>,
  request: string,
): RolloutWord | null {
  const unknown = Object.keys(event).find(key => !KEYS.includes(key))
  if (unknown !== undefined)
    throw bad(`unknown key ${quoted(unknown)} with action "rollout"`, `Known keys: ${KEYS.join(', ')}.`)
  const [resume, approve, ring, by, why] = ['resume', 'approve', 'ring', 'by', 'why'].map(key =>
    textOf(event, key),
  )
  if (resume && approve) throw bad('"resume" and "approve" at once', 'Send one event for each.')
  const kind = resume ?? approve ?? null
  if (kind === null && (ring || by || why))
    throw bad(
      '"ring", "by" or "why" without "resume" or "approve"',
      'Name the kind: {"action":"rollout","resume":"3fa2"}.',
    )
  if (ring && !approve) throw bad('"ring" without "approve"', 'A kind is resumed for all rings.')
  if (kind === null) return null
  const who = { by: by ? `${by} (${request})` : request, why: why ?? 'no reason given' }
  return { action: approve ? 'approve' : 'resume', kind, ring: ring ?? null, ...who }
}

function textOf(event: Readonly<Record<string, unknown>>, key: string): string | null {
  const value = event[key] ?? null
  if (value === null) return null
  if (typeof value === 'string' && value !== '' && value.length <= TEXT_AT_MOST) return value
  throw bad(`"${key}" is no text of at most ${TEXT_AT_MOST} characters`, 'Send a text, or leave it out.')
}

/** Does what an event asks of the rings. `request` names who sent it. @throws RotationError */
export const rolloutByEvent = (
  event: Readonly<Record<string, unknown>>,
  { request, ...rest }: Omit<RolloutRequest, 'word'> & { readonly request: string },
): Promise<ReportedRollout> => rollout({ ...rest, word: parseRolloutEvent(event, request) })
