import { RotationError } from '../lib/base/rotation-error.ts'
import { quoted } from '../lib/base/visible.ts'
import { REVOCATION_REASONS } from '../lib/model/certificate.ts'
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
  const paths = ['', ...parts].flatMap(part => {
    const inside = part === '' ? payload : (payload as Readonly<Record<string, unknown>>)[part]
    const isObject = typeof inside === 'object' && inside !== null
    const keys = isObject ? Object.keys(inside).filter(key => KEYS.includes(key)) : []
    return keys.map(key => (part === '' ? key : `${part}.${key}`))
  })
  if (paths.length === 0) return rotateEverything
  throw bad(
    `"${paths.join('", "')}" in the event of a schedule, which rotates everything`,
    'Send the event by itself, as the constant input of the schedule: {"action":"plan"}.',
  )
}

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
  const event = value as Record<string, unknown>
  const unknown = Object.keys(event).find(key => !KEYS.includes(key))
  if (unknown !== undefined) throw bad(`unknown key ${quoted(unknown)}`, `Known keys: ${KEYS.join(', ')}.`)
  const action = actionOf(event.action)
  refuseIdle(event, action)
  return {
    action,
    targets: targetsOf(event.targets),
    force: forceOf(event.force),
    until: untilOf(event.until),
    accept: fingerprintOf('accept', event.accept),
    ...profilesOf(event),
    ...revocationOf(event),
  }
}

function actionOf(action: unknown): Action {
  if (action === undefined) return 'rotate'
  const known = ACTIONS.find(a => a === action)
  if (known) return known
  if (typeof action === 'string' && RESERVED.includes(action))
    throw bad(`action "${action}" is reserved and not supported yet`, `Actions: ${ACTIONS.join(', ')}.`)
  throw bad('unknown action', `Actions: ${ACTIONS.join(', ')}.`)
}

/** What a person may say besides, by the actions that heed it. */
const HEEDED: Readonly<Record<string, readonly Action[]>> = {
  force: ['rotate', 'plan', 'revoke'],
  until: ['rotate'],
  accept: ['rotate', 'rollback'],
}

/** Whoever forces a hold expects something of it that will not happen. */
function refuseIdle(event: Record<string, unknown>, action: Action): void {
  for (const [key, actions] of Object.entries(HEEDED)) {
    if ((event[key] ?? false) === false || actions.includes(action)) continue
    throw bad(`"${key}" with action "${action}"`, `Leave it out: it is for ${actions.join(', ')} only.`)
  }
}

function targetsOf(targets: unknown): readonly string[] | null {
  if (targets === undefined || targets === null) return null
  if (Array.isArray(targets) && targets.length > 0 && targets.every(t => typeof t === 'string'))
    return [...new Set<string>(targets)]
  throw bad('"targets" is no list of names', 'Leave it out for all targets.')
}

function profilesOf({ profiles, action }: Record<string, unknown>): { profiles?: readonly string[] } {
  if (profiles === undefined || profiles === null) return {}
  if (action !== 'probe')
    throw bad('"profiles" without action "probe"', 'Only a probe is narrowed to profiles.')
  if (Array.isArray(profiles) && profiles.length > 0 && profiles.every(p => typeof p === 'string'))
    return { profiles: [...new Set<string>(profiles)] }
  throw bad('"profiles" is no list of names', 'Leave it out for all profiles.')
}

function revocationOf(event: Record<string, unknown>): Pick<RunEvent, 'revoke'> {
  const { action, certificate, reason, targets } = event
  if (action !== 'revoke') {
    const stray = ['certificate', 'reason'].find(key => event[key] !== undefined && event[key] !== null)
    if (stray === undefined) return {}
    throw bad(`"${stray}" without action "revoke"`, 'Only a revocation has it.')
  }
  if (targets === undefined || targets === null)
    throw bad('"revoke" names no target', 'A certificate is revoked for one target: name it.')
  const known = Object.keys(REVOCATION_REASONS) as (keyof typeof REVOCATION_REASONS)[]
  const why = known.find(r => r === (reason ?? 'unspecified'))
  if (why === undefined) throw bad('"reason" is none that a CA takes', `Reasons: ${known.join(', ')}.`)
  return { revoke: { certificate: fingerprintOf('certificate', certificate), reason: why } }
}

function forceOf(force: unknown): boolean {
  if (force === undefined || typeof force === 'boolean') return force ?? false
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
  const fingerprint = (typeof value === 'string' ? value : '')
    .toLowerCase()
    .replaceAll(':', '')
    .replace(/^sha256\//, '')
  if (/^[0-9a-f]{64}$/.test(fingerprint)) return fingerprint
  const where = key === 'accept' ? 'that the refusal names' : 'that status shows with --json'
  throw bad(`"${key}" is no SHA-256 fingerprint`, `Give the 64 hex digits ${where}.`)
}
