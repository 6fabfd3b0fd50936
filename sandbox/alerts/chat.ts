import { createHmac, timingSafeEqual } from 'node:crypto'
import {
  type AlertRequest,
  type AlertService,
  asObject,
  createAlertService,
  must,
  type TakenMessage,
  textIn,
  understanding,
} from './service.ts'

/** Chat services and PagerDuty, each as its documentation describes a message. */

export interface ChatOptions {
  /** What messages are signed with, where the service has that. */
  readonly secret?: string
  readonly now?: () => number
}

const same = (one: string, other: string): boolean =>
  one.length === other.length && timingSafeEqual(Buffer.from(one), Buffer.from(other))

const isJson = ({ headers }: AlertRequest): boolean =>
  (headers['content-type'] ?? '').startsWith('application/json')

const plain = (title: string, text: string): TakenMessage => ({ title, text, thread: null, resolves: false })

const list = (value: unknown, what: string): Record<string, unknown>[] => {
  must(Array.isArray(value) && value.length > 0, `${what} is no list`)
  return value as Record<string, unknown>[]
}
const member = (value: unknown, name: string): Record<string, unknown> => {
  const it = (value as Record<string, unknown>)[name]
  must(typeof it === 'object' && it !== null, `${name} is no object`)
  return it as Record<string, unknown>
}

/** Our own JSON, signed: what a receiver of ours would check. */
export const createJsonReceiver = ({ secret, now = Date.now }: ChatOptions = {}): Promise<AlertService> =>
  createAlertService({
    path: '/hook',
    accepted: { status: 204, body: '' },
    refused: { status: 400, body: 'no' },
    understand: understanding(request => {
      must(isJson(request), 'not sent as JSON')
      const alert = asObject(request.body)
      must(alert.version === 1, 'another version')
      if (secret !== undefined) {
        const [, seconds = '', given = ''] =
          /^t=(\d+),v1=([0-9a-f]{64})$/.exec(request.headers['x-iotda-cert-signature'] ?? '') ?? []
        const right = createHmac('sha256', secret).update(`${seconds}.${request.body}`).digest('hex')
        must(same(given, right), 'the signature is wrong')
        must(Math.abs(now() / 1000 - Number(seconds)) < 300, 'the signature is old')
      }
      const thread = textIn(alert.dedupKey, 'dedupKey')
      return {
        title: textIn(alert.event, 'event'),
        text: request.body,
        thread,
        resolves: alert.ends !== null,
      }
    }),
  })

/** https://api.slack.com/messaging/webhooks and https://api.slack.com/reference/block-kit/blocks */
export const createSlack = (): Promise<AlertService> =>
  createAlertService({
    path: '/services/T0123ABCD/B0123ABCD/abcdefghijklmnopqrstuvwx',
    accepted: { status: 200, body: 'ok' },
    refused: { status: 400, body: 'invalid_blocks' },
    understand: understanding(request => {
      must(isJson(request), 'not sent as JSON')
      const { text, blocks, ...others } = asObject(request.body)
      must(Object.keys(others).length === 0, `unknown: ${Object.keys(others)}`)
      const title = textIn(text, 'text', 40_000)
      must(!/<(?!mailto:|https?:|#|@|!)/.test(title.replaceAll(/&(amp|lt|gt);/g, '')), 'text is not escaped')
      const parts = list(blocks, 'blocks').map(block => {
        const own = member(block, 'text')
        if (block.type === 'header') {
          must(own.type === 'plain_text', 'a header is plain text')
          return textIn(own.text, 'header', 150)
        }
        must(block.type === 'section' && own.type === 'mrkdwn', `block ${String(block.type)}`)
        must(own.verbatim === true, 'links and mentions are made of what it shows')
        return textIn(own.text, 'section', 3_000)
      })
      must(parts.length <= 50, 'too many blocks')
      return plain(title, parts.join('\n'))
    }),
  })

/** https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using */
export const createTeams = (): Promise<AlertService> =>
  createAlertService({
    path: '/workflows/0123456789abcdef/triggers/manual/paths/invoke',
    accepted: { status: 202, body: '' },
    refused: { status: 400, body: { error: { code: 'InvalidRequestContent' } } },
    understand: understanding(request => {
      must(isJson(request), 'not sent as JSON')
      must(Buffer.byteLength(request.body) <= 28 * 1024, 'larger than 28 KB')
      const { type, attachments } = asObject(request.body)
      must(type === 'message', 'no message')
      const [attachment, ...more] = list(attachments, 'attachments')
      must(more.length === 0, 'more than one card')
      must(attachment?.contentType === 'application/vnd.microsoft.card.adaptive', 'no Adaptive Card')
      const card = member(attachment, 'content')
      must(
        card.type === 'AdaptiveCard' && /^1\.[0-5]$/.test(String(card.version)),
        'no Adaptive Card up to 1.5',
      )
      const parts = list(card.body, 'body').map(element => {
        must(
          element.type === 'RichTextBlock',
          `element ${String(element.type)}: Markdown would make links of what it shows`,
        )
        return list(element.inlines, 'inlines')
          .map(run => {
            must(run.type === 'TextRun', `inline ${String(run.type)}`)
            return textIn(run.text, 'TextRun')
          })
          .join('')
      })
      return plain(parts[0] ?? '', parts.join('\n'))
    }),
  })

/** https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot */
export const createFeishu = ({ secret, now = Date.now }: ChatOptions = {}): Promise<AlertService> =>
  createAlertService({
    path: '/open-apis/bot/v2/hook/00000000-0000-0000-0000-000000000000',
    accepted: { status: 200, body: { code: 0, msg: 'success', data: {} } },
    refused: {
      status: 200,
      body: { code: 19021, msg: 'sign match fail or timestamp is not within one hour' },
    },
    understand: understanding(request => {
      must(isJson(request), 'not sent as JSON')
      must(Buffer.byteLength(request.body) <= 20 * 1024, 'larger than 20 KB')
      const { timestamp, sign, msg_type, card } = asObject(request.body)
      if (secret !== undefined) {
        const right = createHmac('sha256', `${timestamp}\n${secret}`).update('').digest('base64')
        must(typeof timestamp === 'string' && same(String(sign), right), 'the sign is wrong')
        must(Math.abs(now() / 1000 - Number(timestamp)) < 3_600, 'the timestamp is old')
      }
      must(msg_type === 'interactive', 'another msg_type')
      const title = member(member({ card }, 'card'), 'header')
      must(['red', 'orange', 'blue', 'green'].includes(String(title.template)), 'unknown colour')
      const elements = list((card as Record<string, unknown>).elements, 'elements').map(element => {
        must(element.tag === 'div', `tag ${String(element.tag)}`)
        const own = member(element, 'text')
        must(own.tag === 'plain_text', 'no plain_text')
        return textIn(own.content, 'content')
      })
      return plain(textIn(member(title, 'title').content, 'title'), elements.join('\n'))
    }),
  })

/** https://open.dingtalk.com/document/orgapp/custom-robot-access */
export const createDingtalk = ({ secret, now = Date.now }: ChatOptions = {}): Promise<AlertService> =>
  createAlertService({
    path: '/robot/send',
    accepted: { status: 200, body: { errcode: 0, errmsg: 'ok' } },
    refused: { status: 200, body: { errcode: 310000, errmsg: 'sign not match' } },
    understand: understanding(request => {
      must(isJson(request), 'not sent as JSON')
      must(request.query.has('access_token'), 'no access_token')
      if (secret !== undefined) {
        const timestamp = request.query.get('timestamp') ?? ''
        const right = createHmac('sha256', secret).update(`${timestamp}\n${secret}`).digest('base64')
        must(same(request.query.get('sign') ?? '', right), 'the sign is wrong')
        must(
          /^\d{13}$/.test(timestamp) && Math.abs(now() - Number(timestamp)) < 3_600_000,
          'an old timestamp',
        )
      }
      const { msgtype, markdown } = asObject(request.body)
      must(msgtype === 'markdown', 'another msgtype')
      const { title, text } = member({ markdown }, 'markdown')
      must(Buffer.byteLength(textIn(text, 'text')) <= 20_000, 'text is too long')
      return plain(textIn(title, 'title'), String(text).replaceAll('\\', ''))
    }),
  })

/** https://developer.work.weixin.qq.com/document/path/91770 */
export const createWecom = (): Promise<AlertService> =>
  createAlertService({
    path: '/cgi-bin/webhook/send',
    accepted: { status: 200, body: { errcode: 0, errmsg: 'ok' } },
    refused: { status: 200, body: { errcode: 93000, errmsg: 'invalid webhook url' } },
    understand: understanding(request => {
      must(isJson(request), 'not sent as JSON')
      must(request.query.has('key'), 'no key')
      const { msgtype, markdown } = asObject(request.body)
      must(msgtype === 'markdown', 'another msgtype')
      const content = textIn(member({ markdown }, 'markdown').content, 'content')
      must(Buffer.byteLength(content) <= 4_096, 'content is longer than 4096 bytes')
      const [, colour, title] = /^<font color="(\w+)">([^<>]+)<\/font>\n/.exec(content) ?? []
      must(['info', 'comment', 'warning'].includes(colour ?? ''), 'an unknown colour')
      must(!/\[[^\]]*\]\(|<@/.test(content), 'a link, or a person')
      return plain(textIn(title, 'title'), content)
    }),
  })

/** https://developer.pagerduty.com/docs/events-api-v2/trigger-events/ */
export const createPagerduty = (routingKey: string): Promise<AlertService> =>
  createAlertService({
    path: '/v2/enqueue',
    accepted: { status: 202, body: { status: 'success', message: 'Event processed', dedup_key: 'it' } },
    refused: {
      status: 400,
      body: { status: 'invalid event', message: 'Event object is invalid', errors: [] },
    },
    understand: understanding(request => {
      must(isJson(request), 'not sent as JSON')
      must(Buffer.byteLength(request.body) <= 512 * 1024, 'larger than 512 KB')
      const { routing_key, event_action, dedup_key, payload } = asObject(request.body)
      must(routing_key === routingKey && routingKey.length === 32, 'the routing key is wrong')
      const thread = textIn(dedup_key, 'dedup_key', 255)
      if (event_action === 'resolve') return { title: 'resolve', text: request.body, thread, resolves: true }
      must(event_action === 'trigger', 'another event_action')
      const { summary, source, severity, timestamp } = member({ payload }, 'payload')
      textIn(source, 'source')
      must(['critical', 'error', 'warning', 'info'].includes(String(severity)), 'another severity')
      must(!Number.isNaN(Date.parse(String(timestamp))), 'timestamp is none')
      return { title: textIn(summary, 'summary', 1_024), text: request.body, thread, resolves: false }
    }),
  })
