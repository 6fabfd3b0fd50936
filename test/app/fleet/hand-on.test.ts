import { expect, test } from 'vitest'
import { messagesFor } from '../../../lib/app/fleet/hand-on.ts'
import type { Target } from '../../../lib/model/target.ts'
import { awsPolicy } from '../../../lib/permissions/aws.ts'

const target = (name: string, certificate: string) => ({ name, certificate }) as Target

test('one message for each certificate, in the order of the settings', () => {
  const targets = [target('a', 'one'), target('b', 'two'), target('c', 'one')]
  expect(messagesFor(targets).map(it => JSON.parse(it.body))).toEqual([
    { action: 'rotate', targets: ['a', 'c'] },
    { action: 'rotate', targets: ['b'] },
  ])
  expect(messagesFor([])).toEqual([])
})

test('what a thousand targets share fits into messages, and ten of those into a call', () => {
  const targets = Array.from({ length: 1_001 }, (_, i) => target(`${'a-long-name-'.repeat(5)}${i}`, 'one'))
  const messages = messagesFor(targets)
  expect(messages.map(it => it.targets.length)).toEqual([250, 250, 250, 250, 1])
  for (const { body } of messages) expect(Buffer.byteLength(body) * 10).toBeLessThan(262_144)
})

const STACK = 'iotda-cert-*-RotateQueue-*'
test.each([
  [{}, `arn:aws:sqs:eu-central-1:*:${STACK}`],
  [
    { queueUrl: 'https://sqs.eu-west-1.amazonaws.com/123456789012/mine' },
    'arn:aws:sqs:eu-west-1:123456789012:mine',
  ],
])('the policy names the queue and no other: %j', async (more, arn) => {
  const settings = { schedule: { fanOut: { type: 'sqs', ...more } }, store: { type: 's3' } }
  const { Statement } = await awsPolicy(settings, null, 'eu-central-1')
  expect(Statement.filter(it => it.Action.some(action => action.startsWith('sqs:')))).toEqual([
    {
      Sid: 'FanOut',
      Effect: 'Allow',
      Action: ['sqs:SendMessage', 'sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:GetQueueAttributes'],
      Resource: [arn],
    },
  ])
  const without = await awsPolicy({ store: { type: 's3' } }, null, 'eu-central-1')
  expect(JSON.stringify(without)).not.toContain('sqs')
})
