import { RotationError } from '../../lib/base/rotation-error.ts'
import type { RunEvent } from '../../lib/model/outcomes.ts'
import { parseEvent, rotateEverything } from '../event.ts'
import type { Invocation } from '../invocation.ts'
import { jsonLog } from '../output.ts'

/** https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html */
export interface Message {
  readonly messageId: string
  readonly body: string
}

const HINT =
  'Messages are {"action":"rotate","targets":["factory-1"]}; whatever else is to be done, invoke the function with it.'

/**
 * The event in a message: what a scheduled run hands on, which may ask for no more than a schedule does. However old it
 * is, the world and the state say what is to be done now. @throws RotationError `usage`
 */
export function queuedEvent(body: string): RunEvent {
  const refused = (why: string, cause?: unknown) =>
    new RotationError('usage', `the message is not understood: ${why}`, { cause, retry: 'never', hint: HINT })
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch (cause) {
    throw refused('it is no JSON', cause)
  }
  const { action, targets, ...more } = (value ?? {}) as Readonly<Record<string, unknown>>
  const [other] = Object.keys(more)
  if (other !== undefined) throw refused('it has more than "action" and "targets"')
  const event = parseEvent(value)
  if (event.action === 'rotate' && event.targets !== null)
    return { ...rotateEverything, targets: event.targets }
  throw refused('it does not name the targets that are to be rotated')
}

/**
 * One message after the other; the ids of those that failed, to be delivered again. A target that failed is then found
 * to be backing off, or is gone on with; what cannot even begin ends in the dead-letter queue. Where all failed, the
 * door throws, so that the platform counts an error as well as it delivers them again.
 * https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
 */
export async function takeMessages(
  messages: readonly Message[],
  take: (message: Pick<Invocation, 'requestId' | 'read'>) => Promise<unknown>,
  logged: object,
): Promise<{ readonly batchItemFailures: readonly { readonly itemIdentifier: string }[] }> {
  const failures: { readonly itemIdentifier: string; readonly thrown: unknown }[] = []
  for (const { messageId, body } of messages) {
    const read = () => ({ event: queuedEvent(body), trigger: 'queue' as const })
    await take({ requestId: messageId, read }).catch(thrown => {
      failures.push({ itemIdentifier: messageId, thrown })
    })
  }
  const [first] = failures
  if (first && failures.length === messages.length) throw first.thrown
  const log = jsonLog('info', logged)
  for (const { itemIdentifier, thrown } of failures)
    log.error({ messageId: itemIdentifier }, (thrown as Error).message)
  await log.flush()
  return { batchItemFailures: failures.map(({ itemIdentifier }) => ({ itemIdentifier })) }
}
