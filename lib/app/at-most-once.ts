import type { RunEvent, Warning } from '../model/outcomes.ts'
import type { Records } from '../state/state.ts'

/**
 * Platforms deliver an event at least once. Most events may come again: the second finds nothing to do. A force
 * and a rollback would be done twice, so the state remembers which of them were delivered.
 */
export async function asDelivered(
  { event, deliveryId }: { readonly event: RunEvent; readonly deliveryId?: string },
  records: Records,
  now: number,
): Promise<{ readonly event: RunEvent; readonly warnings: readonly Warning[] }> {
  const isRollback = event.action === 'rollback'
  const changesAgain = isRollback || (event.action === 'rotate' && event.force)
  if (!changesAgain || deliveryId === undefined || (await records.isFirstDelivery(deliveryId, now)))
    return { event, warnings: [] }
  const message = `the event ${deliveryId} was delivered before: it ${isRollback ? 'rolls nothing back' : 'forces nothing'} a second time`
  return {
    event: isRollback ? { ...event, action: 'status', accept: null } : { ...event, force: false },
    warnings: [{ code: 'delivered-again', message }],
  }
}
