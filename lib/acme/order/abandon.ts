import { asRotationError } from '../../base/rotation-error.ts'
import type { Journal, Run } from '../../contracts.ts'
import type { AcmeClient } from '../protocol/client.ts'
import { problemOf } from '../protocol/problem.ts'
import type { Dns01 } from './dns01.ts'
import { openNotes } from './journal.ts'

const deactivatePending = async (client: AcmeClient, orderUrl: string): Promise<void> => {
  const order = await client.order(orderUrl)
  // A ready order has only valid authorizations, which later orders may use again.
  if (order.status !== 'pending') return
  for (const url of order.authorizations) {
    const { status } = await client.authorization(url)
    if (status === 'pending') await client.deactivate(url)
  }
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
      const { code, message } = asRotationError(thrown)
      if (problemOf(thrown)?.status !== 404)
        run.log.warn({ code, order: order.url }, `an order is left to expire: ${message}`)
    }
    await notes.dropped()
  }
  if (notes.txt().length > 0) await notes.removed(await dns.remove(notes.txt()))
}
