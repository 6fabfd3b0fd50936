import { emergencyMs } from '../base/lifetime.ts'
import { DAY_MS } from '../base/time.ts'
import { ERROR_CODES } from '../model/errors.ts'
import type { EventName, Severity } from '../model/events.ts'
import { OUTCOMES } from '../model/outcomes.ts'
import type { ReportedLife, TargetResult } from './result.ts'

/**
 * Is this target well? The one answer: `ok`, exit code, metrics, page, text and alerts derive from it. Pure.
 * Waiting is what goes on by itself; unwell is what a person should look at.
 */
export type Health = 'well' | 'waiting' | 'unwell'

/** What people are told of a state, and when: at once, or when it has lasted. */
interface Told {
  readonly event: EventName
  readonly graceMs?: number
  /** At least so bad. */
  readonly severity?: Severity
}

interface State {
  readonly health: Health
  /** Of a run that did not do what it was asked for. */
  readonly exit: 0 | 1 | 3
  readonly tells: Told | null
  /** In a word or two. */
  readonly why: string
}

/** Every state of a target. */
export const STATES = {
  fine: { health: 'well', exit: 0, tells: null, why: 'fresh' },
  /** Another run is at work, and says how it ends. */
  busy: { health: 'waiting', exit: 3, tells: null, why: 'busy' },
  /** Nothing is bound, and no run has tried yet. */
  unbound: { health: 'waiting', exit: 3, tells: null, why: 'no-certificate' },
  'under-way': {
    health: 'waiting',
    exit: 3,
    tells: { event: 'suspended', graceMs: DAY_MS },
    why: 'suspended',
  },
  /** Under way, while the certificate is near its end: the next run goes on all the same. */
  late: { health: 'unwell', exit: 3, tells: { event: 'suspended', severity: 'critical' }, why: 'suspended' },
  /** No order is allowed yet, by the CA or by the budget: people are told, and may have to find out why. */
  paused: { health: 'unwell', exit: 1, tells: { event: 'paused' }, why: 'paused' },
  /** Near its end, and no run is at it. */
  ending: { health: 'unwell', exit: 1, tells: { event: 'expiring' }, why: 'about to expire' },
  /** An earlier run failed, and no later one made it good. */
  failing: { health: 'unwell', exit: 1, tells: { event: 'failed' }, why: 'backing-off' },
  held: { health: 'unwell', exit: 1, tells: { event: 'held' }, why: 'held' },
  /** Bound, and revoked by us; told as a warning of each run. */
  revoked: { health: 'unwell', exit: 1, tells: null, why: 'revoked' },
  failed: { health: 'unwell', exit: 1, tells: { event: 'failed' }, why: 'failed' },
  refused: { health: 'unwell', exit: 1, tells: { event: 'refused' }, why: 'refused' },
  'rolled-back': { health: 'unwell', exit: 1, tells: { event: 'rolled-back' }, why: 'rolled-back' },
  /** Told by the watchdog, and by the verdicts in the metrics. */
  'refused-by-devices': { health: 'unwell', exit: 1, tells: null, why: 'devices refuse it' },
} as const satisfies Record<string, State>
export type StateName = keyof typeof STATES

/** The state of a target; with what is written down of it, where the result has that. */
export function stateOf(result: TargetResult, now: number): StateName {
  const { outcome, kept, devices } = result
  switch (outcome) {
    case 'failed':
    case 'refused':
    case 'rolled-back':
    case 'held':
    case 'busy':
      return outcome
  }
  if (kept?.held) return 'held'
  const isOpen = outcome === 'idle' || outcome === 'planned' || outcome === 'suspended'
  const open = isOpen ? openState(result, now) : null
  if (open) return open
  if (isNearEnd(result, now)) return 'ending'
  return devices?.verdicts.some(({ ok }) => !ok) ? 'refused-by-devices' : 'fine'
}

/** Of a result that leaves to later what was decided; null: nothing is open. */
function openState(result: TargetResult, now: number): StateName | null {
  const { outcome, decision, kept } = result
  const { due, reason } = decision
  const last = kept?.lastResult?.outcome
  const isLate = reason === 'emergency' || reason === 'expired' || isNearEnd(result, now)
  if (reason === 'held') return 'held'
  if (reason === 'backing-off') return 'failing'
  if (reason === 'paused') return 'paused'
  // What a run left open is under way for whoever only asks, too; it has taken up again what failed before.
  if (outcome === 'suspended' || (due && last === 'suspended')) return isLate ? 'late' : 'under-way'
  const hasFailed = last === 'failed' || last === 'refused' || last === 'rolled-back'
  // Failures count as long as something is wanted: whatever it was, it was made good otherwise.
  if (hasFailed || (due && kept && kept.failures > 0)) return 'failing'
  if (isLate) return 'ending'
  if (reason === 'revoked') return 'revoked'
  return reason === 'no-certificate' ? 'unbound' : null
}

/** In what the rotation calls an emergency, by what is served, or bound where that cannot be seen. */
export function isNearEnd(result: TargetResult, now: number): boolean {
  const life = lifeOf(result)
  if (!life) return false
  const [notBefore, notAfter] = [Date.parse(life.notBefore), Date.parse(life.notAfter)]
  return notAfter - now <= emergencyMs({ notBefore, notAfter })
}

/** Whether all is well with a target, or goes on by itself, or a person should look. */
export const healthOf = (result: TargetResult, now: number): Health => STATES[stateOf(result, now)].health

/** Whoever asked for a look, or for a deed that was done, was answered well, however the target is. */
const isAnswered = ({ outcome }: TargetResult): boolean => OUTCOMES[outcome].isDone

/** `ok` of the answer: no run ended with a target unwell, although one that only waits does not throw. */
export const allOk = (results: readonly TargetResult[], now: number): boolean =>
  results.every(result => isAnswered(result) || healthOf(result, now) !== 'unwell')

/** The exit code: failures first, then set-up, then waiting. An error says more than its outcome. */
export function exitCode(results: readonly TargetResult[], now: number): number {
  const codes: readonly number[] = results.map(result => {
    if (result.error) return ERROR_CODES[result.error.code].exit
    return isAnswered(result) ? 0 : STATES[stateOf(result, now)].exit
  })
  return [1, 2, 3].find(code => codes.includes(code)) ?? 0
}

/** What is served, or bound where it cannot be seen. */
export const lifeOf = ({ outlook }: TargetResult): ReportedLife | null => outlook.served ?? outlook.bound

/** How much of its life is left, from 1 to 0. */
export function shareLeft({ notBefore, notAfter }: ReportedLife, now: number): number {
  const [from, until] = [Date.parse(notBefore), Date.parse(notAfter)]
  return Math.max(0, Math.min(1, (until - now) / (until - from)))
}
