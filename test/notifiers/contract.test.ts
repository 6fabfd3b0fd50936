/** Every notifier passes the contract, against its service as documented. */
import { expect, test } from 'vitest'
import pagerduty from '../../lib/notifiers/pagerduty.ts'
import smn from '../../lib/notifiers/smn.ts'
import smtp from '../../lib/notifiers/smtp.ts'
import sns from '../../lib/notifiers/sns.ts'
import webhook from '../../lib/notifiers/webhook.ts'
import {
  createDingtalk,
  createFeishu,
  createJsonReceiver,
  createPagerduty,
  createSlack,
  createTeams,
  createWecom,
} from '../../sandbox/alerts/chat.ts'
import { createMail } from '../../sandbox/alerts/mail.ts'
import type { AlertService } from '../../sandbox/alerts/service.ts'
import { createSmn, createSns } from '../../sandbox/alerts/topics.ts'
import { createRoot, issueLeaf } from '../../sandbox/kit/pki.ts'
import { type NotifierHarness, type NotifierTraits, notifierContract } from '../contract/notifier.ts'
import {
  AWS_KEY,
  AWS_SECRET,
  AWS_TOKEN,
  awsKeys,
  HUAWEI_KEY,
  HUAWEI_SECRET,
  huaweiKeys,
  PROJECT,
  REGION,
} from '../stores/cloud.ts'
import { cleanups } from '../support/cleanups.ts'
import { signHuawei } from '../support/huawei-sign.ts'

const SECRET = 'SEC0123456789abcdef'
const TOKEN = 'token-0123456789'
const chat: NotifierTraits = { garbage: 'later', threads: false, resolves: false }
const incidents: NotifierTraits = { garbage: 'taken', threads: true, resolves: true, titles: 'none' }

/** A webhook by its format: what `more` adds to the settings, and what of it is secret. */
const hook = (
  format: string,
  start: () => Promise<AlertService>,
  more: (url: string) => { readonly settings?: object; readonly secrets: readonly string[] },
  traits = chat,
) =>
  notifierContract(
    `webhook ${format}`,
    webhook as never,
    async () => {
      const service = await start()
      const { settings, secrets } = more(service.url)
      return { service, settings: { url: service.url, format, ...settings }, secrets }
    },
    traits,
  )

const signed = { settings: { secret: SECRET }, secrets: [SECRET] }
hook(
  'json',
  () => createJsonReceiver({ secret: SECRET }),
  url => ({ ...signed, secrets: [SECRET, url] }),
  incidents,
)
hook('slack', createSlack, url => ({ secrets: [url] }))
hook('msteams', createTeams, url => ({ secrets: [url] }), { ...chat, garbage: 'taken' })
hook(
  'feishu',
  () => createFeishu({ secret: SECRET }),
  () => signed,
)
hook(
  'dingtalk',
  () => createDingtalk({ secret: SECRET }),
  url => ({ settings: { secret: SECRET, url: `${url}?access_token=${TOKEN}` }, secrets: [SECRET, TOKEN] }),
)
hook('wecom', createWecom, url => ({ settings: { url: `${url}?key=${TOKEN}` }, secrets: [TOKEN] }))

const root = await createRoot()
const { chainPem, keyPem } = await issueLeaf({ names: ['127.0.0.1'], issuer: root })

const others: readonly (readonly [string, unknown, NotifierTraits, () => Promise<NotifierHarness>])[] = [
  [
    'pagerduty',
    pagerduty,
    incidents,
    async () => {
      const routingKey = '0123456789abcdef0123456789abcdef'
      const service = await createPagerduty(routingKey)
      return { service, settings: { routingKey, endpoint: service.url }, secrets: [routingKey] }
    },
  ],
  [
    'sns',
    sns,
    { garbage: 'taken', threads: true, resolves: false },
    async () => {
      const topicArn = `arn:aws:sns:${REGION}:123456789012:alerts.fifo`
      const service = await createSns({ keys: awsKeys, region: REGION, topicArn })
      const keys = { accessKeyId: AWS_KEY, secretAccessKey: AWS_SECRET, sessionToken: AWS_TOKEN }
      const settings = { topicArn, region: 'us-east-1', endpoint: service.url, ...keys }
      return { service, settings, secrets: [AWS_SECRET, AWS_TOKEN] }
    },
  ],
  [
    'smn',
    smn,
    chat,
    async () => {
      const topicUrn = `urn:smn:cn-north-4:${PROJECT}:alerts`
      const region = 'cn-north-4'
      const service = await createSmn({ keys: huaweiKeys, region, projectId: PROJECT, topicUrn })
      const settings = { credentials: 'cn', topicUrn, endpoint: new URL(service.url).origin }
      return { service, settings, secrets: [HUAWEI_SECRET] }
    },
  ],
  [
    'smtp',
    smtp,
    { garbage: 'later', threads: true, resolves: false },
    async () => {
      const access = { username: 'ops@example.com', password: 'pass word/+1' }
      const service = await createMail({ ...access, tls: { key: keyPem, cert: chainPem } })
      const at = { host: '127.0.0.1', port: Number(new URL(service.url).port), caCertificates: root.certPem }
      const mails = { from: 'iotda-cert@example.com', to: ['ops@example.com', 'night@example.com'] }
      return { service, settings: { ...at, ...access, ...mails }, secrets: [access.password] }
    },
  ],
]
for (const [name, driver, traits, make] of others) notifierContract(name, driver as never, make, traits)

test('the sandbox of SMN takes a plain message, and answers 401 to a wrong key', async () => {
  const topicUrn = `urn:smn:cn-north-4:${PROJECT}:alerts`
  const service = await createSmn({ keys: huaweiKeys, region: 'cn-north-4', projectId: PROJECT, topicUrn })
  cleanups.push(service.dispose)
  const body = JSON.stringify({ subject: 'hi', message: 'hello' })
  const publish = async (secretKey: string) => {
    const headers = { 'content-type': 'application/json' }
    const request = { method: 'POST', url: service.url, body, headers, at: new Date() }
    const signed = signHuawei(request, { accessKey: HUAWEI_KEY, secretKey })
    const answer = await fetch(service.url, { method: 'POST', body, headers: signed.headers })
    return [answer.status, ((await answer.json()) as { error_code?: string }).error_code]
  }
  expect(await publish(HUAWEI_SECRET)).toEqual([200, undefined])
  expect(service.taken).toMatchObject([{ title: 'hi', text: 'hello' }])
  expect(await publish('another')).toEqual([401, 'APIGW.0301'])
})
