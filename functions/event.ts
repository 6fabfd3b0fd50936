import { RotationError } from '../lib/base/rotation-error.ts'
import { quoted } from '../lib/base/visible.ts'
import { REVOCATION_REASONS, type RevocationReason } from '../lib/model/certificate.ts'
import { ACTIONS, type Action, type RunEvent, type StepName } from '../lib/model/outcomes.ts'

/** What a bare schedule event means: rotate everything. */
export const rotateEverything: RunEvent = {
  action: 'rotate',
  targets: null,
  force: false,
  until: null,
  accept: null,
}

/**
 * The event of a platform's schedule: rotate everything. What an event of ours would have in it, or in the parts
 * that are named, says that somebody wants something else of it, which must not be lost. @throws RotationError `usage`
 */
export function scheduledEvent(payload: object, parts: readonly string[] = []): RunEvent {
  const ours = (part: unknown): readonly string[] =>
    typeof part === 'object' && part !== null ? Object.keys(part).filter(key => KEYS.includes(key)) : []
  const inParts = parts.flatMap(part => {
    const keys = ours((payload as Readonly<Record<string, unknown>>)[part])
    return keys.map(key => `${part}.${key}`)
  })
  const paths = [...ours(payload), ...inParts]
  if (paths.length === 0) return rotateEverything
  throw bad(
    `"${paths.join('", "')}" in the event of a schedule, which rotates everything`,
    'Send the event by itself, as the constant input of the schedule: {"action":"plan"}.',
  )
}

/** Whether an event asks of the rings, which is no run: lib/app/rollout/by-event.ts has what else it may say. */
export const asksOfRings = (payload: unknown): payload is Readonly<Record<string, unknown>> =>
  typeof payload === 'object' && payload !== null && (payload as { action?: unknown }).action === 'rollout'

/** Actions of a later version. */
export const RESERVED = ['doctor']
const KEYS = ['action', 'targets', 'force', 'until', 'accept', 'profiles', 'certificate', 'reason']
const bad = (what: string, hint: string): RotationError =>
  new RotationError('usage', `the event is not understood: ${what}`, { retry: 'never', hint })

/**
 * Parses `{"action":"rotate","targets":["factory-1"],"force":true,"until":"add","accept":"<fingerprint>"}`.
 * An event may narrow, pace or force a run; any other key is refused. @throws RotationError `usage`
 */
export function parseEvent(value: unknown): RunEvent {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw bad('it is no object', 'Send {"action":"rotate"}.')
  const event = value as Readonly<Record<string, unknown>>
  const unknown = Object.keys(event).find(key => !KEYS.includes(key))
  if (unknown !== undefined) throw bad(`unknown key ${quoted(unknown)}`, `Known keys: ${KEYS.join(', ')}.`)
  const action = actionOf(event.action)
  refuseUnheeded(event, action)
  const profiles = namesOf(event, 'profiles')
  return {
    action,
    targets: namesOf(event, 'targets'),
    force: forceOf(event.force),
    until: untilOf(event.until),
    accept: fingerprintOf('accept', event.accept),
    ...(profiles ? { profiles } : {}),
    ...(action === 'revoke' ? { revoke: revocationOf(event) } : {}),
  }
}

function actionOf(action: unknown = 'rotate'): Action {
  const known = ACTIONS.find(a => a === action)
  if (known) return known
  const isReserved = typeof action === 'string' && RESERVED.includes(action)
  throw bad(
    isReserved ? `action "${action}" is reserved and not supported yet` : 'unknown action',
    `Actions: ${ACTIONS.join(', ')}.`,
  )
}

/** What a person may say besides, by the actions that heed it. */
const HEEDED: Readonly<Record<string, readonly Action[]>> = {
  force: ['rotate', 'plan', 'revoke'],
  until: ['rotate'],
  accept: ['rotate', 'rollback'],
}
/** What one action alone has. */
const OWN: readonly (readonly [key: string, action: Action, hint: string])[] = [
  ['profiles', 'probe', 'Only a probe is narrowed to profiles.'],
  ['certificate', 'revoke', 'Only a revocation has it.'],
  ['reason', 'revoke', 'Only a revocation has it.'],
]

/** Whoever forces a hold expects something of it that will not happen. */
function refuseUnheeded(event: Readonly<Record<string, unknown>>, action: Action): void {
  for (const [key, actions] of Object.entries(HEEDED)) {
    if ((event[key] ?? false) === false || actions.includes(action)) continue
    throw bad(`"${key}" with action "${action}"`, `Leave it out: it is for ${actions.join(', ')} only.`)
  }
  for (const [key, only, hint] of OWN)
    if ((event[key] ?? null) !== null && action !== only) throw bad(`"${key}" without action "${only}"`, hint)
}

function namesOf(
  event: Readonly<Record<string, unknown>>,
  key: 'targets' | 'profiles',
): readonly string[] | null {
  const names = event[key] ?? null
  if (names === null) return null
  if (Array.isArray(names) && names.length > 0 && names.every(name => typeof name === 'string'))
    return [...new Set<string>(names)]
  throw bad(`"${key}" is no list of names`, `Leave it out for all ${key}.`)
}

function revocationOf({ certificate, reason, targets }: Readonly<Record<string, unknown>>) {
  if ((targets ?? null) === null)
    throw bad('"revoke" names no target', 'A certificate is revoked for one target: name it.')
  const known = Object.keys(REVOCATION_REASONS) as RevocationReason[]
  const why = known.find(r => r === (reason ?? 'unspecified'))
  if (why === undefined) throw bad('"reason" is none that a CA takes', `Reasons: ${known.join(', ')}.`)
  return { certificate: fingerprintOf('certificate', certificate), reason: why }
}

function forceOf(force: unknown = false): boolean {
  if (typeof force === 'boolean') return force
  throw bad('"force" is not true or false', 'Send true or false.')
}

/** The steps a person may stop after; after verify its verdict is carried out as well. */
const PACED: readonly StepName[] = ['obtain', 'preflight', 'free', 'add', 'bind', 'verify']

function untilOf(until: unknown): StepName | null {
  if (until === undefined || until === null) return null
  const step = PACED.find(s => s === until)
  if (step) return step
  throw bad('"until" names no step to stop after', `Steps: ${PACED.join(', ')}.`)
}

function fingerprintOf(key: string, value: unknown): string | null {
  if (value === undefined || value === null) return null
  const text = typeof value === 'string' ? value.toLowerCase() : ''
  const fingerprint = text.replaceAll(':', '').replace(/^sha256\//, '')
  if (/^[0-9a-f]{64}$/.test(fingerprint)) return fingerprint
  const where = key === 'accept' ? 'that the refusal names' : 'that status shows with --json'
  throw bad(`"${key}" is no SHA-256 fingerprint`, `Give the 64 hex digits ${where}.`)
}
