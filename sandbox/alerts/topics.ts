import { type AccessKey, verifySignature } from '../iotda/signature.ts'
import { type AwsKey, verifyAws } from '../stores/aws-signature.ts'
import { type AlertService, asObject, createAlertService, must, textIn, understanding } from './service.ts'

/** Topics that people and machines subscribe to: Amazon SNS and Huawei Cloud SMN. */

export interface SnsOptions {
  readonly keys: ReadonlyMap<string, AwsKey>
  readonly region: string
  readonly topicArn: string
  readonly now?: () => number
}

/** https://docs.aws.amazon.com/sns/latest/api/API_Publish.html */
export const createSns = ({ keys, region, topicArn, now = Date.now }: SnsOptions): Promise<AlertService> =>
  createAlertService({
    path: '/',
    accepted: {
      status: 200,
      body: '<PublishResponse xmlns="https://sns.amazonaws.com/doc/2010-03-31/"><PublishResult><MessageId>1</MessageId></PublishResult></PublishResponse>',
    },
    refused: {
      status: 400,
      body: '<ErrorResponse><Error><Type>Sender</Type><Code>InvalidParameter</Code><Message>Invalid parameter</Message></Error></ErrorResponse>',
    },
    understand: understanding(request => {
      const rejection = verifyAws(request, { keys, region, service: 'sns', now: now() })
      must(rejection === null, `the signature: ${rejection}`)
      must((request.headers['content-type'] ?? '').startsWith('application/x-www-form-urlencoded'), 'no form')
      const form = new URLSearchParams(request.body)
      must(form.get('Action') === 'Publish' && form.get('Version') === '2010-03-31', 'another action')
      must(form.get('TopicArn') === topicArn, 'another topic')
      const subject = textIn(form.get('Subject'), 'Subject')
      must(subject.length < 100 && /^[A-Za-z0-9!-/:-@][\x20-\x7e]*$/.test(subject), 'the subject is none')
      const text = textIn(form.get('Message'), 'Message')
      must(Buffer.byteLength(text) <= 256 * 1024, 'larger than 256 KB')
      for (let i = 1; form.has(`MessageAttributes.entry.${i}.Name`); i += 1) {
        must(form.get(`MessageAttributes.entry.${i}.Value.DataType`) === 'String', 'an attribute of no type')
        textIn(form.get(`MessageAttributes.entry.${i}.Value.StringValue`), 'an attribute')
      }
      const thread = form.get('MessageGroupId')
      const delivery = topicArn.endsWith('.fifo')
        ? textIn(form.get('MessageDeduplicationId'), 'MessageDeduplicationId', 128)
        : null
      return { title: text.split('\n')[0] ?? '', text, thread, resolves: false, delivery }
    }),
  })

export interface SmnOptions {
  readonly keys: ReadonlyMap<string, AccessKey>
  readonly region: string
  readonly projectId: string
  readonly topicUrn: string
  readonly now?: () => number
}

const WRONG_KEY = {
  status: 401,
  body: {
    error_code: 'APIGW.0301',
    error_msg: 'Incorrect IAM authentication information: verify aksk signature fail',
    request_id: '1',
  },
}

/** https://support.huaweicloud.com/en-us/api-smn/PublishMessage.html */
export const createSmn = ({ keys, region, projectId, topicUrn, now = Date.now }: SmnOptions) =>
  createAlertService({
    path: `/v2/${projectId}/notifications/topics/${encodeURIComponent(topicUrn)}/publish`,
    accepted: { status: 200, body: { request_id: '1', message_id: '2' } },
    refused: {
      status: 404,
      body: { request_id: '1', code: 'SMN.00010008', message: 'topic does not exist' },
    },
    understand: understanding(request => {
      const verdict = verifySignature(request, { keys, algorithm: 'SDK-HMAC-SHA256', region, now: now() })
      must(verdict.ok, verdict.ok ? '' : `the signature: ${verdict.message}`, WRONG_KEY)
      const { subject, message, message_structure } = asObject(request.body)
      const title = textIn(subject, 'subject')
      must(Buffer.byteLength(title) <= 512, 'the subject is longer than 512 bytes')
      // A structure takes precedence over a plain message.
      const structure =
        message_structure === undefined ? null : asObject(textIn(message_structure, 'message_structure'))
      const text = structure ? textIn(structure.default, 'default') : textIn(message, 'message')
      must(Buffer.byteLength(text) <= 256 * 1024, 'larger than 256 KB')
      if (structure) must(!/[[\]【】]/.test(textIn(structure.sms, 'sms', 490)), 'an SMS has no brackets')
      return { title, text, thread: null, resolves: false }
    }),
  })
