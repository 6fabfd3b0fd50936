import type { Undelivered } from '../state/ledger.ts'

export { emptyLedger, Ledger, type Open, type Undelivered } from '../state/ledger.ts'

/** Names an entry of an outbox. */
export const entryId = ({ notifier, alert }: Undelivered): string =>
  `${notifier} ${alert.dedupKey} ${alert.event} ${alert.at}`
