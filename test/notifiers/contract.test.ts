/** Every notifier passes the contract, against its service as documented. */
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
import { createSmn, createSns } from '../../sandbox/alerts/topics.ts'
import { createRoot, issueLeaf } from '../../sandbox/kit/pki.ts'
import { notifierContract } from '../contract/notifier.ts'
import {
  AWS_KEY,
  AWS_SECRET,
  AWS_TOKEN,
  awsKeys,
  HUAWEI_SECRET,
  huaweiKeys,
  PROJECT,
  REGION,
} from '../stores/cloud.ts'

const SECRET = 'SEC0123456789abcdef'
const TOKEN = 'token-0123456789'
const chat = { garbage: 'later', threads: false, resolves: false } as const
const driver = webhook as never

notifierContract(
  'webhook json',
  driver,
  async () => {
    const service = await createJsonReceiver({ secret: SECRET })
    return { service, settings: { url: service.url, secret: SECRET }, secrets: [SECRET, service.url] }
  },
  { garbage: 'taken', threads: true, resolves: true, titles: 'none' },
)
notifierContract(
  'webhook slack',
  driver,
  async () => {
    const service = await createSlack()
    return { service, settings: { url: service.url, format: 'slack' }, secrets: [service.url] }
  },
  chat,
)
notifierContract(
  'webhook msteams',
  driver,
  async () => {
    const service = await createTeams()
    return { service, settings: { url: service.url, format: 'msteams' }, secrets: [service.url] }
  },
  { ...chat, garbage: 'taken' },
)
notifierContract(
  'webhook feishu',
  driver,
  async () => {
    const service = await createFeishu({ secret: SECRET })
    return { service, settings: { url: service.url, format: 'feishu', secret: SECRET }, secrets: [SECRET] }
  },
  chat,
)
notifierContract(
  'webhook dingtalk',
  driver,
  async () => {
    const service = await createDingtalk({ secret: SECRET })
    const url = `${service.url}?access_token=${TOKEN}`
    return { service, settings: { url, format: 'dingtalk', secret: SECRET }, secrets: [SECRET, TOKEN] }
  },
  chat,
)
notifierContract(
  'webhook wecom',
  driver,
  async () => {
    const service = await createWecom()
    return { service, settings: { url: `${service.url}?key=${TOKEN}`, format: 'wecom' }, secrets: [TOKEN] }
  },
  chat,
)
notifierContract(
  'pagerduty',
  pagerduty as never,
  async () => {
    const routingKey = '0123456789abcdef0123456789abcdef'
    const service = await createPagerduty(routingKey)
    return { service, settings: { routingKey, endpoint: service.url }, secrets: [routingKey] }
  },
  { garbage: 'taken', threads: true, resolves: true, titles: 'none' },
)
notifierContract(
  'sns',
  sns as never,
  async () => {
    const topicArn = `arn:aws:sns:${REGION}:123456789012:alerts.fifo`
    const service = await createSns({ keys: awsKeys, region: REGION, topicArn })
    const keys = { accessKeyId: AWS_KEY, secretAccessKey: AWS_SECRET, sessionToken: AWS_TOKEN }
    const settings = { topicArn, region: 'us-east-1', endpoint: service.url, ...keys }
    return { service, settings, secrets: [AWS_SECRET, AWS_TOKEN] }
  },
  { garbage: 'taken', threads: true, resolves: false },
)
notifierContract(
  'smn',
  smn as never,
  async () => {
    const topicUrn = `urn:smn:cn-north-4:${PROJECT}:alerts`
    const region = 'cn-north-4'
    const service = await createSmn({ keys: huaweiKeys, region, projectId: PROJECT, topicUrn })
    const settings = { credentials: 'cn', topicUrn, endpoint: new URL(service.url).origin }
    return { service, settings, secrets: [HUAWEI_SECRET] }
  },
  { garbage: 'later', threads: false, resolves: false },
)

const root = await createRoot()
const { chainPem, keyPem } = await issueLeaf({ names: ['127.0.0.1'], issuer: root })
notifierContract(
  'smtp',
  smtp as never,
  async () => {
    const access = { username: 'ops@example.com', password: 'pass word/+1' }
    const service = await createMail({ ...access, tls: { key: keyPem, cert: chainPem } })
    const at = { host: '127.0.0.1', port: Number(new URL(service.url).port), caCertificates: root.certPem }
    const mails = { from: 'iotda-cert@example.com', to: ['ops@example.com', 'night@example.com'] }
    return { service, settings: { ...at, ...access, ...mails }, secrets: [access.password] }
  },
  { garbage: 'later', threads: true, resolves: false },
)
