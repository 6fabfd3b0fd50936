import { asRotationError } from '../../base/rotation-error.ts'
import type { CertificateRequest, Journal } from '../../contracts.ts'
import type { AcmeClient } from '../protocol/client.ts'
import type { Budget } from './budget.ts'
import type { Dns01 } from './dns01.ts'
import type { Notes } from './journal.ts'

/** What one order is driven to its certificate with. */
export interface OrderWork {
  readonly client: AcmeClient
  readonly dns: Dns01
  readonly request: CertificateRequest
  readonly journal: Journal
  readonly budget: Budget
}

/** The same with the journal opened. */
export interface OpenOrderWork extends OrderWork {
  readonly notes: Notes
}

/** Removes the TXT values of the journal; those that stay are tried again by a later run. Never throws. */
export async function removeTxtValues({ client, dns, notes }: OpenOrderWork): Promise<void> {
  const { run } = client.connection
  if (notes.txt().length === 0 || run.signal.aborted) return
  const left = await dns.remove(notes.txt())
  try {
    await notes.removed(left)
  } catch (thrown) {
    run.log.warn({}, `the journal still names removed TXT values: ${asRotationError(thrown).message}`)
  }
}
