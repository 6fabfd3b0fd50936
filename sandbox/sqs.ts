import { randomUUID } from 'node:crypto'
import type { Faults } from './kit/faults.ts'
import { type Answer, type Call, type Served, serve } from './kit/http.ts'
import { type AwsKey, verifyAws } from './stores/aws-signature.ts'

export interface SqsOptions {
  readonly faults: Faults
  readonly keys: ReadonlyMap<string, AwsKey>
  readonly region?: string
  readonly now?: () => number
  /** After so many receives a message goes to `dead` instead. */
  readonly receivesAtMost?: number
  readonly visibilityMs?: number
  readonly retentionMs?: number
}

export interface SimulatedMessage {
  readonly messageId: string
  readonly body: string
  readonly sentAt: number
  readonly receives: number
  readonly visibleAt: number
}

/** One standard queue with its dead-letter queue. */
export interface Sqs extends Served {
  readonly queueUrl: string
  readonly switches: {
    /** Bodies that hold this text fail although the call succeeds. */
    refuses: string | null
    /** Each message is kept twice, as a standard queue may. */
    twice: boolean
  }
  waiting(): readonly SimulatedMessage[]
  readonly dead: readonly SimulatedMessage[]
  put(body: string): void
  /** What may be received now, which is then invisible for a while; the newest first, which nothing forbids. */
  receive(): SimulatedMessage | null
  remove(messageId: string): void
}

const PATH = '/123456789012/rotate'
const ENTRIES_AT_MOST = 10
const BYTES_AT_MOST = 262_144

const refusal = (type: string, message: string): Answer => ({
  status: 400,
  headers: { 'content-type': 'application/x-amz-json-1.0' },
  body: JSON.stringify({ __type: `com.amazonaws.sqs#${type}`, message }),
})

interface Entry {
  readonly Id: string
  readonly MessageBody: string
}

/**
 * Amazon SQS as far as it is sent to, in the JSON protocol:
 * https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html
 */
export async function createSqs(options: SqsOptions): Promise<Sqs> {
  const { faults, keys, region = 'eu-central-1', now = Date.now } = options
  const { receivesAtMost = 2, visibilityMs = 960_000, retentionMs = 3_600_000 } = options
  const switches: Sqs['switches'] = { refuses: null, twice: false }
  let messages: SimulatedMessage[] = []
  const dead: SimulatedMessage[] = []
  const put = (body: string): string => {
    const messageId = randomUUID()
    messages.push({ messageId, body, sentAt: now(), receives: 0, visibleAt: now() })
    return messageId
  }
  const SendMessageBatch = (call: Call): Answer => {
    const { QueueUrl, Entries = [] } = JSON.parse(call.body) as { QueueUrl: string; Entries?: Entry[] }
    if (!String(QueueUrl).endsWith(PATH))
      return refusal('QueueDoesNotExist', 'The specified queue does not exist.')
    if (Entries.length === 0) return refusal('EmptyBatchRequest', 'There is no entry in the batch.')
    if (Entries.length > ENTRIES_AT_MOST) return refusal('TooManyEntriesInBatchRequest', 'At most 10.')
    if (new Set(Entries.map(it => it.Id)).size < Entries.length)
      return refusal('BatchEntryIdsNotDistinct', 'Id is repeated.')
    if (Entries.reduce((sum, it) => sum + Buffer.byteLength(it.MessageBody), 0) > BYTES_AT_MOST)
      return refusal('BatchRequestTooLong', 'The batch is longer than 262144 bytes.')
    const fails = (it: Entry) => switches.refuses !== null && it.MessageBody.includes(switches.refuses)
    const Failed = Entries.filter(fails).map(({ Id }) => ({ Id, Code: 'InternalError', SenderFault: false }))
    const Successful = Entries.filter(it => !fails(it)).map(({ Id, MessageBody }) => {
      if (switches.twice) put(MessageBody)
      return { Id, MessageId: put(MessageBody) }
    })
    const lists = {
      ...(Failed.length > 0 ? { Failed } : {}),
      ...(Successful.length > 0 ? { Successful } : {}),
    }
    return {
      status: 200,
      headers: { 'content-type': 'application/x-amz-json-1.0' },
      body: JSON.stringify(lists),
    }
  }
  const served = await serve({
    service: 'sqs',
    faults,
    routes: [
      {
        method: 'POST',
        path: '/',
        operation: 'SendMessageBatch',
        header: ['x-amz-target', 'AmazonSQS.SendMessageBatch'],
        handle: SendMessageBatch,
      },
    ],
    before: call => {
      const why = verifyAws(call, { keys, region, service: 'sqs', now: now() })
      return why === null ? null : refusal('InvalidSignatureException', `It is not signed right: ${why}`)
    },
    notFound: () => refusal('UnknownOperationException', ''),
  })
  const waiting = (): readonly SimulatedMessage[] => {
    messages = messages.filter(it => now() - it.sentAt < retentionMs)
    return messages
  }
  const remove = (messageId: string): void => {
    messages = messages.filter(it => it.messageId !== messageId)
  }
  return {
    ...served,
    queueUrl: `${served.url}${PATH}`,
    switches,
    waiting,
    dead,
    put: body => void put(body),
    receive: () => {
      for (;;) {
        const found = waiting().findLast(it => it.visibleAt <= now())
        if (!found) return null
        remove(found.messageId)
        if (found.receives < receivesAtMost) {
          const next = { ...found, receives: found.receives + 1, visibleAt: now() + visibilityMs }
          messages.push(next)
          return next
        }
        dead.push(found)
      }
    },
    remove,
  }
}
