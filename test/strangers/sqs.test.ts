/** The queue of fan-out on servers that nobody here wrote: moto's SQS, and ElasticMQ. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import aws4 from 'aws4'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { secret } from '../../lib/base/secret.ts'
import { systemClock } from '../../lib/base/time.ts'
import { createQueue } from '../../lib/clouds/aws/sqs.ts'
import { createHttp } from '../../lib/http/client.ts'
import type { Answer } from '../../lib/report/answer.ts'
import { AWS_KEY, AWS_SECRET, AWS_TOKEN } from '../stores/cloud.ts'
import { type Built, sharedBuild } from '../support/built.ts'
import { type FunctionRig, openFunctionRig } from '../support/function-rig.ts'
import { type Runtime, startRuntime } from '../support/runtime.ts'
import { quietSignal } from '../support/signal.ts'
import { freePort, startServer } from '../support/stranger-server.ts'
import { javaProgram, ran } from '../support/strangers.ts'
import { REGION, startMoto } from './moto.ts'

const ELASTICMQ = '1.6.14'
const WHAT = 'fan-out: batches, visibility timeouts, redelivery, dead letters'
const SCHEDULE = { source: 'aws.scheduler' }
const VISIBLE_AGAIN_S = 2

interface Server {
  readonly url: string
  stop(): Promise<void>
}

async function startElasticMq(): Promise<Server> {
  const jars = await javaProgram(`org.elasticmq:elasticmq-server_2.13:${ELASTICMQ}`, [
    'org.elasticmq:elasticmq-common-test_2.13',
  ])
  const port = await freePort()
  const folder = await mkdtemp(join(tmpdir(), 'elasticmq-'))
  const file = join(folder, 'elasticmq.conf')
  const lines = [
    'include classpath("application.conf")',
    ...['protocol = http', 'host = "127.0.0.1"', `port = ${port}`].map(it => `node-address.${it}`),
    'rest-sqs.bind-hostname = "127.0.0.1"',
    `rest-sqs.bind-port = ${port}`,
    'rest-stats.enabled = false',
  ]
  await writeFile(file, lines.join('\n'))
  const url = `http://127.0.0.1:${port}`
  const args = [`-Dconfig.file=${file}`, '-cp', jars, 'org.elasticmq.server.Main']
  const { stop } = await startServer('java', args, { url })
  await ran('ElasticMQ', ELASTICMQ, WHAT)
  return {
    url,
    stop: async () => {
      await stop()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

interface Received {
  readonly MessageId: string
  readonly ReceiptHandle: string
  readonly Body: string
}

/** One call as the event source mapping makes it: not by the code under test. */
const caller =
  ({ url }: Server) =>
  // biome-ignore lint/suspicious/noExplicitAny: whatever the server says
  async (operation: string, input: object): Promise<any> => {
    const { host } = new URL(url)
    const body = JSON.stringify(input)
    const headers = { 'Content-Type': 'application/x-amz-json-1.0', 'X-Amz-Target': `AmazonSQS.${operation}` }
    const request = { method: 'POST', host, path: '/', headers, body, service: 'sqs', region: REGION }
    const signed = aws4.sign(request, { accessKeyId: AWS_KEY, secretAccessKey: AWS_SECRET })
    const answer = await fetch(url, {
      method: 'POST',
      headers: signed.headers as Record<string, string>,
      body,
    })
    if (!answer.ok) throw new Error(`${operation}: ${answer.status} ${await answer.text()}`)
    return answer.json().catch(() => ({}))
  }

let built: Built
beforeAll(async () => {
  built = await sharedBuild()
})

describe.each([
  ['moto', () => startMoto(WHAT)],
  ['ElasticMQ', startElasticMq],
] as const)('%s', (_name, start) => {
  let server: Server
  let call: ReturnType<typeof caller>
  let count = 0
  beforeAll(async () => {
    server = await start()
    call = caller(server)
  }, 480_000)
  afterAll(() => server?.stop())

  /** A queue with its dead letters, as serverless.yml makes it, but quick. */
  const makeQueue = async () => {
    count += 1
    const create = async (QueueName: string, Attributes: object) =>
      (await call('CreateQueue', { QueueName, Attributes })).QueueUrl as string
    const attribute = async (QueueUrl: string, AttributeName: string) =>
      (await call('GetQueueAttributes', { QueueUrl, AttributeNames: [AttributeName] })).Attributes[
        AttributeName
      ]
    const dead = await create(`dead-${count}`, {})
    const deadLetterTargetArn = await attribute(dead, 'QueueArn')
    const queueUrl = await create(`rotate-${count}`, {
      VisibilityTimeout: `${VISIBLE_AGAIN_S}`,
      RedrivePolicy: JSON.stringify({ deadLetterTargetArn, maxReceiveCount: 2 }),
    })
    const receive = async (QueueUrl: string): Promise<Received | null> =>
      (await call('ReceiveMessage', { QueueUrl, MaxNumberOfMessages: 1 })).Messages?.[0] ?? null
    return {
      queueUrl,
      receive: () => receive(queueUrl),
      receiveDead: () => receive(dead),
      waiting: async () => Number(await attribute(queueUrl, 'ApproximateNumberOfMessages')),
      hidden: async () => Number(await attribute(queueUrl, 'ApproximateNumberOfMessagesNotVisible')),
      put: (MessageBody: string) => call('SendMessage', { QueueUrl: queueUrl, MessageBody }),
      remove: ({ ReceiptHandle }: Received) => call('DeleteMessage', { QueueUrl: queueUrl, ReceiptHandle }),
    }
  }
  type Queue = Awaited<ReturnType<typeof makeQueue>>

  const keys = { accessKeyId: AWS_KEY, secretAccessKey: AWS_SECRET, sessionToken: AWS_TOKEN }
  const functionOf = (rig: FunctionRig, { queueUrl }: Queue): Promise<Runtime> => {
    const fanOut = { type: 'sqs', queueUrl, region: REGION, endpoint: server.url, ...keys }
    const config = rig.config(settings => {
      settings.schedule = { fanOut }
    })
    return startRuntime('lambda', built.zip('lambda'), { IOTDA_CERT_CONFIG: config })
  }

  /** As Lambda gives messages of a queue. https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html */
  const eventOf = ({ MessageId, ReceiptHandle, Body }: Received) => ({
    Records: [
      {
        messageId: MessageId,
        receiptHandle: ReceiptHandle,
        body: Body,
        attributes: { ApproximateReceiveCount: '1', SentTimestamp: `${Date.now()}`, SenderId: 'sender' },
        messageAttributes: {},
        md5OfBody: '',
        eventSource: 'aws:sqs',
        eventSourceARN: `arn:aws:sqs:${REGION}:123456789012:rotate`,
        awsRegion: REGION,
      },
    ],
  })
  const outcomes = (answer: unknown) => (answer as Answer).results.map(it => it.outcome)
  const messageOf = async (queue: Queue): Promise<Received> => {
    let message: Received | null = null
    await expect
      .poll(
        async () => {
          message = await queue.receive()
          return message
        },
        { interval: 200 },
      )
      .not.toBeNull()
    return message as unknown as Received
  }

  test('what the zip sends, it takes; and is idle then', async () => {
    const [rig, queue] = [await openFunctionRig(20), await makeQueue()]
    const lambda = await functionOf(rig, queue)
    const { answer } = await lambda.invoke({ event: SCHEDULE })
    expect(outcomes(answer), lambda.log()).toEqual(['suspended'])
    expect(rig.changes()).toEqual([])
    const message = await messageOf(queue)
    expect(JSON.parse(message.Body)).toEqual({ action: 'rotate', targets: ['factory-1'] })
    const taken = await lambda.invoke({ event: eventOf(message) })
    expect(taken.answer, lambda.log()).toEqual({ batchItemFailures: [] })
    expect(rig.changes()).toContain('UpdateDomainConfiguration')
    await queue.remove(message)
    expect(outcomes((await lambda.invoke({ event: SCHEDULE })).answer)).toEqual(['idle'])
    expect(await queue.waiting()).toBe(0)
  })

  test('killed when it had just received: not seen for a while, then delivered again, and rotated', async () => {
    const [rig, queue] = [await openFunctionRig(20), await makeQueue()]
    const first = await functionOf(rig, queue)
    await first.invoke({ event: SCHEDULE })
    const message = await messageOf(queue)
    const { faults } = rig.sandbox
    faults.add({ operations: ['iotda.*'], kill: { pid: first.pid, when: 'before' } })
    void first.invoke({ event: eventOf(message) })
    await expect.poll(() => faults.active()).toEqual([])
    expect(await queue.receive()).toBeNull()
    expect(await queue.hidden()).toBe(1)
    const again = await messageOf(queue)
    expect(again.MessageId).toBe(message.MessageId)
    const second = await functionOf(rig, queue)
    const { answer } = await second.invoke({ event: eventOf(again) })
    expect(answer, second.log()).toEqual({ batchItemFailures: [] })
    expect(rig.changes().filter(it => it === 'UpdateDomainConfiguration')).toHaveLength(1)
  })

  test('killed in the middle: delivered again, it waits for the lease of the dead, and does nothing twice', async () => {
    const [rig, queue] = [await openFunctionRig(20), await makeQueue()]
    const first = await functionOf(rig, queue)
    await first.invoke({ event: SCHEDULE })
    const message = await messageOf(queue)
    const { faults } = rig.sandbox
    faults.add({ operations: ['iotda.CreateServerCertificate'], kill: { pid: first.pid, when: 'after' } })
    void first.invoke({ event: eventOf(message) })
    await expect.poll(() => faults.active()).toEqual([])
    const before = rig.changes()
    const second = await functionOf(rig, queue)
    const { answer } = await second.invoke({ event: eventOf(await messageOf(queue)) })
    expect(answer, second.log()).toEqual({ batchItemFailures: [] })
    expect(rig.changes()).toEqual(before)
  })

  test('what nobody understands, or is for no target, is refused twice and then lies among the dead', async () => {
    const [rig, queue] = [await openFunctionRig(20), await makeQueue()]
    const lambda = await functionOf(rig, queue)
    for (const body of ['rotate everything', '{"action":"rotate","targets":["elsewhere"]}']) {
      await queue.put(body)
      for (const _ of ['first', 'second']) {
        const message = await messageOf(queue)
        expect(message.Body).toBe(body)
        const { ok, message: said } = await lambda.invoke({ event: eventOf(message) })
        expect([ok, said]).toEqual([
          false,
          expect.stringMatching(/it is no JSON|there is no target "elsewhere"/),
        ])
      }
      let found: Received | null = null
      await expect
        .poll(
          async () => {
            expect(await queue.receive()).toBeNull()
            found = await queue.receiveDead()
            return found
          },
          { interval: 200 },
        )
        .toMatchObject({ Body: body })
    }
    expect(rig.changes()).toEqual([])
  })

  test('a queue that is not there: the sweep rotates', async () => {
    const [rig, queue] = [await openFunctionRig(20), await makeQueue()]
    const lambda = await functionOf(rig, { ...queue, queueUrl: `${queue.queueUrl}-gone` })
    const { answer } = await lambda.invoke({ event: SCHEDULE })
    expect(outcomes(answer), lambda.log()).toEqual(['rotated'])
    expect(JSON.stringify(answer)).toContain('this run looked after factory-1 itself')
  })

  test('ten messages in a call are taken, eleven are not', async () => {
    const queue = await makeQueue()
    const http = createHttp()
    const send = createQueue({
      http,
      clock: systemClock,
      signal: quietSignal(),
      keys: {
        accessKeyId: secret(AWS_KEY),
        secretAccessKey: secret(AWS_SECRET),
        sessionToken: secret(AWS_TOKEN),
      },
      region: REGION,
      endpoint: server.url,
      queueUrl: queue.queueUrl,
    })
    const messages = (n: number) => Array.from({ length: n }, (_, i) => `{"n":${i}}`)
    expect(await send(messages(10))).toEqual(Array(10).fill(null))
    expect(await queue.waiting()).toBe(10)
    expect(await send(messages(11))).toEqual(Array(11).fill(expect.stringContaining('SendMessageBatch')))
    expect(await queue.waiting()).toBe(10)
    await http.close()
  })
})
