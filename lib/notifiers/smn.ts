import * as v from 'valibot'
import { nameField, pemField, urlField } from '../base/fields.ts'
import { createHuaweiClient } from '../clouds/huawei/client.ts'
import { allow, urn } from '../clouds/huawei/policy.ts'
import { defineNotifier } from '../contracts.ts'
import { POST_TIMEOUT_MS } from '../http/post.ts'
import { plainText, withinBytes, wordingOf } from './shared/wording.ts'

const TOPIC = /^urn:smn:([a-z0-9-]+):([0-9A-Za-z]{1,64}):([\w-]{1,255})$/
const SUBJECT_AT_MOST_BYTES = 512
/** An SMS takes that many characters, and neither brackets. */
const SMS_AT_MOST = 490

const forSms = (text: string): string => text.replaceAll(/[[\]【】]/g, '').slice(0, SMS_AT_MOST)

/** A topic of Huawei Cloud's Simple Message Notification. */
/** `urn:smn:region:project:name`; the documentation has the path of a topic's resource both ways. */
const topicsOf = (topicUrn: string): readonly string[] => {
  const [, , region = '*', , name = '*'] = topicUrn.split(':')
  return [urn('smn', region, 'topic', name), urn('smn', region, 'topic', topicUrn)]
}

export default defineNotifier({
  settings: v.strictObject({
    /** Name of an entry of `credentials`. @example "cn" */
    credentials: nameField(),
    /**
     * Of the topic; it says region and project.
     * @example "urn:smn:cn-north-4:0123456789abcdef0123456789abcdef:alerts"
     */
    topicUrn: v.pipe(
      v.string('must be the URN of a topic'),
      v.regex(TOPIC, 'must be the URN of a topic, e.g. urn:smn:cn-north-4:0123456789abcdef:alerts'),
    ),
    /** Default: the region's own. @example "https://smn.cn-north-4.myhuaweicloud.com" */
    endpoint: v.optional(v.nullable(urlField()), null),
    /** Roots for the service's HTTPS instead of Node's. */
    caCertificates: v.optional(v.nullable(pemField()), null),
  }),
  create: ({ credentials, topicUrn, endpoint, caCertificates }, context) => {
    const { name, clock, huaweiKeys, language } = context
    // The URN of a topic says its region and its project.
    const [, region = '', projectId = ''] = TOPIC.exec(topicUrn) ?? []
    const client = context.http(caCertificates)
    const smn = createHuaweiClient({
      http: { ...client, request: request => client.request({ ...request, timeoutMs: POST_TIMEOUT_MS }) },
      clock,
      region,
      projectId,
      signing: 'standard',
      driver: `${name} (smn)`,
      keys: () => huaweiKeys(credentials),
      endpoint: endpoint ?? `https://smn.${region}.myhuaweicloud.com`,
    })
    return {
      /** https://support.huaweicloud.com/en-us/api-smn/PublishMessage.html */
      notify: async (alert, { signal }) => {
        const wording = wordingOf(alert, language)
        const text = plainText(wording)
        await smn.call({
          operation: 'PublishMessage',
          method: 'POST',
          path: `/v2/${encodeURIComponent(projectId)}/notifications/topics/${encodeURIComponent(topicUrn)}/publish`,
          body: {
            subject: withinBytes(wording.title, SUBJECT_AT_MOST_BYTES),
            message_structure: JSON.stringify({ default: text, sms: forSms(wording.title) }),
          },
          iamAction: 'smn:topic:publish',
          expect: v.object({ message_id: v.string() }),
          signal,
        })
      },
    }
  },
  docs: {
    link: 'https://support.huaweicloud.com/en-us/api-smn/PublishMessage.html',
    says: '`topicUrn`, `credentials`',
  },
  permissions: {
    huawei: entries => [
      allow(
        ['smn:topic:publish'],
        entries.flatMap(({ topicUrn }) => topicsOf(String(topicUrn))),
      ),
    ],
  },
})
