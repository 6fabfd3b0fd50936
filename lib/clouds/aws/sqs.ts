import * as v from 'valibot'
import { asRotationError } from '../../base/rotation-error.ts'
import { type Clock, SECOND_MS } from '../../base/time.ts'
import { visible } from '../../base/visible.ts'
import { expected } from '../../http/api-call.ts'
import type { Http } from '../../http/http.ts'
import { type AwsKeys, createAwsClient } from './client.ts'

export interface QueueOptions {
  readonly http: Http
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly keys: AwsKeys
  /** For a queue whose URL does not say it. */
  readonly region: string
  /** Another address of the service; null: where the URL of the queue is. */
  readonly endpoint: string | null
  readonly queueUrl: string
}

/** https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html */
export const MESSAGES_AT_MOST = 10
const TIMEOUT_MS = 10 * SECOND_MS
const DRIVER = 'fan-out (sqs)'
const CALL = 'SendMessageBatch'

const entry = { Id: v.string() }
/** A list that is empty may be left out. */
const BatchAnswer = v.object({
  Successful: v.optional(v.array(v.object(entry)), []),
  Failed: v.optional(v.array(v.object({ ...entry, Code: v.string() })), []),
})

/** Sends messages; for each of them why it was not sent, or null. Never throws. */
export type Queue = (messages: readonly string[]) => Promise<readonly (string | null)[]>

/**
 * A standard queue, which takes up to {@link MESSAGES_AT_MOST} messages at once, each of which succeeds or fails by
 * itself. What may have been sent already is sent again: whoever takes messages takes each at least once anyway.
 */
export function createQueue({ queueUrl, endpoint, region, http, signal, ...rest }: QueueOptions): Queue {
  const { origin, host } = new URL(queueUrl)
  const call = createAwsClient({
    ...rest,
    http: { ...http, request: it => http.request({ ...it, timeoutMs: TIMEOUT_MS, signal }) },
    region: /^sqs\.([a-z0-9-]+)\.amazonaws\./.exec(host)?.[1] ?? region,
    service: 'sqs',
    driver: DRIVER,
  })
  return async messages => {
    const Entries = messages.map((MessageBody, i) => ({ Id: `${i}`, MessageBody }))
    try {
      const { json } = await call({
        operation: CALL,
        method: 'POST',
        url: endpoint ?? `${origin}/`,
        headers: { 'Content-Type': 'application/x-amz-json-1.0', 'X-Amz-Target': `AmazonSQS.${CALL}` },
        body: JSON.stringify({ QueueUrl: queueUrl, Entries }),
        retry: 'safe',
        permission: `sqs:SendMessage on ${queueUrl}`,
      })
      const { Successful, Failed } = expected(json, BatchAnswer, `${DRIVER}: ${CALL}`)
      // What is not named among the successes was not sent.
      return Entries.map(({ Id }) => {
        if (Successful.some(it => it.Id === Id)) return null
        const code = Failed.find(it => it.Id === Id)?.Code ?? 'without a reason'
        return `${DRIVER}: ${CALL} did not take it (${visible(code).slice(0, 64)})`
      })
    } catch (thrown) {
      return messages.map(() => asRotationError(thrown).message)
    }
  }
}
