import { iso } from '../base/time.ts'
import type { AlertEvent, Notifier } from '../contracts.ts'
import { OUTCOMES } from '../model.ts'
import { targetKey } from './record.ts'
import type { TargetResult } from './report.ts'
import type { World } from './world.ts'

const REMIND_MS = 24 * 3_600_000

/**
 * Tells the notifiers of a result that a person should know of. One state is told once and then once a day;
 * what a notifier throws is a warning of the run, never its result.
 */
export async function alert(
  world: World,
  result: TargetResult,
  notifiers: readonly Notifier[],
): Promise<void> {
  if (notifiers.length === 0 || world.event.action !== 'rotate') return
  const document = world.records.target(world.target)
  const now = world.run.clock.now()
  const last = await document.get().then(
    d => d.alert,
    () => null,
  )
  const event = eventFor(world, result, last !== null)
  const key = event && `${event.event}/${event.error?.code ?? result.decision.reason}`
  if (!event || (last?.key === key && now - last.at < REMIND_MS)) return
  const told = await Promise.allSettled(notifiers.map(notifier => notifier.notify(event, world.run)))
  for (const failure of told.filter(t => t.status === 'rejected')) {
    world.run.log.warn(
      { target: world.target.name, error: String((failure.reason as Error).message) },
      'an alert was not delivered',
    )
  }
  if (!told.some(t => t.status === 'fulfilled')) return
  const kept = event.event === 'recovered' ? null : { key: key ?? '', at: now }
  await document.update(d => ({ ...d, alert: kept })).catch(() => {})
}

function eventFor(world: World, result: TargetResult, alerted: boolean): AlertEvent | null {
  const { outcome, error, decision, warnings } = result
  const base = {
    version: 1 as const,
    target: result.target,
    domain: world.target.domain,
    dedupKey: targetKey(world.target),
    runId: world.run.runId,
    at: iso(world.run.clock.now()),
    error: error && { code: error.code, message: error.message, hint: error.hint },
  }
  if (!OUTCOMES[outcome].ok) {
    const severity =
      outcome === 'refused' || outcome === 'held' ? ('warning' as const) : ('critical' as const)
    return { ...base, event: outcome, severity, reason: error?.message ?? decision.detail }
  }
  // Waiting is well, but not while the certificate runs out.
  if (outcome === 'suspended' && ['emergency', 'expired'].includes(decision.reason))
    return { ...base, event: outcome, severity: 'critical', reason: decision.detail }
  const noteworthy = warnings.find(w =>
    ['adopted', 'not-propagated', 'too-little-time', 'unverified', 'rollback-unverified'].includes(w.code),
  )
  if (noteworthy) return { ...base, event: noteworthy.code, severity: 'warning', reason: noteworthy.message }
  const isWell = outcome === 'idle' || outcome === 'rotated' || outcome === 'repaired'
  return alerted && isWell ? { ...base, event: 'recovered', severity: 'info', reason: decision.detail } : null
}
