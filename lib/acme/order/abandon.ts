import { asRotationError } from '../../base/rotation-error.ts'
import type { Journal, Run } from '../../contracts.ts'
import type { AcmeClient } from '../protocol/client.ts'
import { problemOf } from '../protocol/problem.ts'
import type { Dns01 } from './dns01.ts'
import { openNotes } from './journal.ts'

/** Ends an order that is not to be validated (RFC 8555 section 7.5.2). @throws those of AcmeClient */
export async function deactivatePending(client: AcmeClient, orderUrl: string): Promise<void> {
  const order = await client.order(orderUrl)
  // A ready order has only valid authorizations, which later orders may use again.
  if (order.status !== 'pending') return
  for (const url of order.authorizations) {
    const { status } = await client.authorization(url)
    if (status === 'pending') await client.deactivate(url)
  }
}

/** What is said of an order that could not be ended. */
export const leftToExpire = (run: Run, order: string, thrown: unknown): void => {
  const { code, message } = asRotationError(thrown)
  run.log.warn({ code, order }, `an order is left to expire: ${message}`)
}

/**
 * Gives up what a journal names: pending authorizations are deactivated (RFC 8555 section 7.5.2), which also
 * ends the order and frees its predecessor for another `replaces`; TXT values are removed. What cannot be
 * done is a warning; values that could not be removed stay in the journal. `open` gives the client, or null
 * when there is no account.
 */
export async function abandonOrder(
  open: () => Promise<AcmeClient | null>,
  dns: Dns01,
  journal: Journal,
  run: Run,
): Promise<void> {
  const notes = openNotes(journal)
  const order = notes.order()
  if (order !== null) {
    try {
      const client = await open()
      if (client) await deactivatePending(client, order.url)
    } catch (thrown) {
      if (problemOf(thrown)?.status !== 404) leftToExpire(run, order.url, thrown)
    }
    await notes.dropped()
  }
  if (notes.txt().length > 0) await notes.removed(await dns.remove(notes.txt()))
}
