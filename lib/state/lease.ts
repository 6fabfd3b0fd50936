import { RotationError } from '../base/rotation-error.ts'
import { formatDuration, iso, MINUTE_MS } from '../base/time.ts'
import type { Run, StateStore, StoredDocument } from '../contracts.ts'
import { isConflict } from './conflict.ts'
import { parseDocument } from './document.ts'
import { LeaseDocument } from './documents.ts'

const LEASE_MS = 5 * MINUTE_MS

/**
 * The right to change one thing, for a while. Its document carries no MAC: whoever can write the store can remove it
 * as well, and all that a forged one does is to be waited for, at most twice as long as a real one.
 */
export interface Lease {
  /**
   * Proves by compare-and-swap that the lease is still ours and makes it last another five minutes; call it
   * before every mutating call. @throws RotationError `lease-lost`
   */
  guard(): Promise<void>
  /** Gives it back; never throws. */
  release(): Promise<void>
}

/**
 * Takes the lease of one instance or certificate. A lease whose time is over, or whose writer is certainly
 * dead, is taken over. @throws RotationError `busy` when another run holds it
 */
export async function takeLease(store: StateStore, key: string, run: Run): Promise<Lease> {
  const { clock, runId } = run
  const documentKey = `leases/${key}`
  const bodyUntil = (until: number, writer: string | null = store.writer): string =>
    `${JSON.stringify({ schema: 1, writer, runId, until } satisfies LeaseDocument)}\n`

  const before = await store.read(documentKey)
  if (before) await refuseIfHeld(store, documentKey, before, clock.now())
  const body = bodyUntil(clock.now() + LEASE_MS)
  let revision = await store.write(documentKey, body, before?.revision ?? null).catch(error => {
    throw isConflict(error) ? busy('another run has just started', clock.now() + LEASE_MS) : error
  })
  await refuseUnconditionalStore(store, documentKey, body, before?.revision ?? null).catch(async error => {
    await store.write(documentKey, bodyUntil(0, null), revision).catch(() => {})
    throw error
  })

  return {
    guard: async () => {
      const lost = (why: string, cause?: unknown) =>
        new RotationError('lease-lost', `the lease of this run is lost: ${why}; nothing more was changed`, {
          cause,
        })
      // A lease that ran out unnoticed is still ours as long as nobody wrote it: the revision is the fence.
      revision = await store.write(documentKey, bodyUntil(clock.now() + LEASE_MS), revision).catch(error => {
        throw isConflict(error) ? lost('another run took it over', error) : error
      })
    },
    release: async () => {
      try {
        await store.write(documentKey, bodyUntil(0, null), revision)
      } catch (error) {
        run.log.warn(
          { error: (error as Error).message },
          'the lease could not be given back; it ends by itself',
        )
      }
    },
  }
}

const busy = (why: string, until: number): RotationError =>
  new RotationError('busy', `another run is at work on this instance: ${why}`, {
    retryAt: until,
    hint: 'Nothing to do: the other run finishes the work, or its lease ends by itself.',
  })

async function refuseIfHeld(
  store: StateStore,
  key: string,
  stored: StoredDocument,
  now: number,
): Promise<void> {
  const lease = parseDocument(LeaseDocument, key, stored.body)
  if (lease.writer === null || lease.until <= now) return
  // Nobody takes one for longer: a clock was wrong, then or now, and nobody knows which.
  if (lease.until > now + 2 * LEASE_MS)
    throw new RotationError(
      'store-unreadable',
      `the lease ${key} of run ${lease.runId} ends at ${iso(lease.until)}, which is too late to be true`,
      {
        retry: 'never',
        hint: 'Nothing was changed. Set the clocks of all machines that rotate; then, if no run is at work, remove that document.',
      },
    )
  if (await store.isGone(lease.writer)) return
  throw busy(
    `run ${lease.runId} holds the lease for another ${formatDuration(lease.until - now)} (${iso(lease.until)})`,
    lease.until,
  )
}

/** A store that ignores the condition of a write cannot hold a lease: the second writer would win as well. */
async function refuseUnconditionalStore(
  store: StateStore,
  key: string,
  body: string,
  stale: string | null,
): Promise<void> {
  const obeyed = await store.write(key, body, stale).then(
    () => false,
    error => isConflict(error) || Promise.reject(error),
  )
  if (obeyed) return
  throw new RotationError('store-conflict', 'the state store ignores the condition of a conditional write', {
    retry: 'never',
    hint: 'Use a store with compare-and-swap, or make sure that only one writer ever runs.',
  })
}
