import { createHash } from 'node:crypto'
import * as v from 'valibot'
import { createAwsClient } from '../clouds/aws/client.ts'
import { allow, textOf } from '../clouds/aws/policy.ts'
import { awsDomain } from '../clouds/aws/s3.ts'
import { awsSettings } from '../clouds/aws/settings.ts'
import { type AlertEvent, defineNotifier, type Language } from '../contracts.ts'
import { POST_TIMEOUT_MS } from '../http/post.ts'
import { plainText, wordingOf } from './shared/wording.ts'

const TOPIC = /^arn:aws[\w-]*:sns:([a-z0-9-]+):\d{12}:([\w-]{1,256}(?:\.fifo)?)$/
const ASCII_AT_MOST = 100

/** A subject is ASCII without line breaks, begins with a letter, and has less than 100 characters. */
const subjectOf = (alert: AlertEvent): string =>
  wordingOf(alert, 'en')
    .title.replaceAll(/[^\x20-\x7e]/g, '?')
    .slice(0, ASCII_AT_MOST - 1)

/** One message, however often it is sent: SNS swallows another one of the same id, over all groups of a topic. */
const deliveryOf = (alert: AlertEvent): string =>
  createHash('sha256').update(JSON.stringify(alert)).digest('hex')

/** https://docs.aws.amazon.com/sns/latest/api/API_Publish.html */
function publication(alert: AlertEvent, topicArn: string, language: Language): string {
  const form = new URLSearchParams({
    Action: 'Publish',
    Version: '2010-03-31',
    TopicArn: topicArn,
    Subject: subjectOf(alert),
    Message: plainText(wordingOf(alert, language)),
  })
  const attributes = { event: alert.event, severity: alert.severity, target: alert.target ?? 'iotda-cert' }
  Object.entries(attributes).forEach(([name, value], i) => {
    const at = `MessageAttributes.entry.${i + 1}`
    form.set(`${at}.Name`, name)
    form.set(`${at}.Value.DataType`, 'String')
    form.set(`${at}.Value.StringValue`, value)
  })
  if (topicArn.endsWith('.fifo')) {
    form.set('MessageGroupId', alert.dedupKey.slice(0, 128))
    form.set('MessageDeduplicationId', deliveryOf(alert))
  }
  return form.toString()
}

/** A topic of Amazon SNS; `event`, `severity` and `target` are attributes that subscriptions can filter by. */
export default defineNotifier({
  settings: awsSettings(
    {
      /** Of the topic. @example "arn:aws:sns:eu-central-1:123456789012:alerts" */
      topicArn: v.pipe(
        v.string('must be the ARN of a topic'),
        v.regex(TOPIC, 'must be the ARN of a topic, e.g. arn:aws:sns:eu-central-1:123456789012:alerts'),
      ),
    },
    'SNS',
  ),
  create: (settings, { name, http, clock, language }) => {
    const { topicArn, endpoint, caCertificates, accessKeyId, secretAccessKey, sessionToken } = settings
    // The ARN of a topic says its region.
    const region = TOPIC.exec(topicArn)?.[1] ?? settings.region
    const client = http(caCertificates)
    return {
      notify: async (alert, { signal }) => {
        const publish = createAwsClient({
          http: {
            ...client,
            request: request => client.request({ ...request, timeoutMs: POST_TIMEOUT_MS, signal }),
          },
          clock,
          region,
          service: 'sns',
          driver: `${name} (sns)`,
          keys: { accessKeyId, secretAccessKey, sessionToken },
        })
        await publish({
          operation: 'Publish',
          method: 'POST',
          url: endpoint ?? `https://sns.${region}.${awsDomain(region)}/`,
          headers: { 'Content-Type': 'application/x-www-form-urlencoded; charset=utf-8' },
          body: publication(alert, topicArn, language),
          retry: 'never',
          permission: `sns:Publish on ${topicArn}`,
        })
      },
    }
  },
  docs: {
    link: 'https://docs.aws.amazon.com/sns/latest/api/API_Publish.html',
    says: '`topicArn`, keys as for the `s3` store',
  },
  permissions: {
    aws: entries => [
      allow(
        'Alerts',
        ['sns:Publish'],
        entries.map(it => textOf(it, 'topicArn')),
      ),
    ],
  },
})
