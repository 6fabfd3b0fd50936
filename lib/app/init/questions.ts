import { isLoopbackUrl } from '../../base/fields.ts'
import { PRESETS } from '../../devices/presets.ts'

/** What `iotda-cert init` asks, in order; each is an option of the same name, too. */
export interface Question {
  readonly key: keyof Answers
  /** Option on the command line. */
  readonly option: string
  readonly text: string
  /** What an empty answer means; null: there must be one. */
  readonly preset: string | null
  /** What is wrong with an answer, or null. */
  readonly mistake: (answer: string) => string | null
}

/** As a person gave them, each without a mistake. */
export interface Answers {
  readonly domain: string
  readonly endpoint: string
  readonly region: string
  /** Empty: what HUAWEICLOUD_SDK_PROJECT_ID says. */
  readonly project: string
  /** Empty: none is sent. */
  readonly instance: string
  readonly dns: string
  /** Names of presets, joined by commas; empty: not known. */
  readonly devices: string
  readonly where: string
  readonly tell: string
  readonly email: string
  readonly ca: string
}

/** Solvers that need nothing but keys, with what they are given; no secret, only where each stands. */
export const DNS_SERVICES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  huaweicloud: { credentials: 'cn' },
  route53: {},
  cloudflare: { apiToken: 'env:CLOUDFLARE_API_TOKEN' },
  alidns: {
    accessKeyId: 'env:ALIBABA_CLOUD_ACCESS_KEY_ID',
    accessKeySecret: 'env:ALIBABA_CLOUD_ACCESS_KEY_SECRET',
  },
  tencentcloud: { secretId: 'env:TENCENTCLOUD_SECRET_ID', secretKey: 'env:TENCENTCLOUD_SECRET_KEY' },
}

/** Directories by short name. https://letsencrypt.org/docs/acme-protocol-updates/ */
export const CAS: Readonly<Record<string, string>> = {
  letsencrypt: 'https://acme-v02.api.letsencrypt.org/directory',
  'letsencrypt-staging': 'https://acme-staging-v02.api.letsencrypt.org/directory',
}

export const PLACES = ['here', 'aws', 'functiongraph'] as const
export const CHANNELS = ['none', 'json', 'slack', 'dingtalk', 'feishu', 'wecom', 'msteams'] as const

const NAME = /^(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]*[a-z][a-z0-9-]*$/i

const fits = (pattern: RegExp, otherwise: string) => (answer: string) =>
  pattern.test(answer) ? null : otherwise
const oneOf = (known: readonly string[]) => (answer: string) =>
  known.includes(answer) ? null : `must be one of ${known.join(', ')}`

const isOrigin = (text: string): boolean =>
  URL.canParse(text) &&
  (text.startsWith('https:') || isLoopbackUrl(text)) &&
  /^https?:\/\/[^/?#@\s]+\/?$/.test(text)
const isDirectory = (text: string): boolean => /^https:\/\/[^?#@\s]+$/.test(text) && URL.canParse(text)

/** The names of presets in an answer. */
export const devicesOf = (answer: string): readonly string[] => answer.split(/[\s,]+/).filter(it => it !== '')

function devicesMistake(answer: string): string | null {
  const stranger = devicesOf(answer).find(it => !Object.hasOwn(PRESETS, it))
  return stranger === undefined
    ? null
    : `${JSON.stringify(stranger)} is no preset; known: ${Object.keys(PRESETS).join(', ')}`
}

/** The region in the name of an access address, where it says one. */
export const regionOf = (endpoint: string): string | null =>
  /\.iotda-app\.([a-z0-9-]+)\.|\.iotda\.([a-z0-9-]+)\./.exec(endpoint)?.slice(1).find(Boolean) ?? null

export const QUESTIONS: readonly Question[] = [
  {
    ...{ key: 'domain', option: 'domain', preset: null, text: 'Custom domain of the devices' },
    mistake: fits(NAME, 'must be a domain name such as iot.example.com'),
  },
  {
    ...{ key: 'endpoint', option: 'endpoint', preset: null },
    text: 'Application access address over HTTPS (console: Overview, Access Details)',
    mistake: answer =>
      isOrigin(answer) ? null : 'must be https://NAME, without a path, as the console shows it',
  },
  {
    ...{ key: 'region', option: 'region', preset: null, text: 'Region' },
    mistake: fits(/^[a-z]{2,}-[a-z0-9-]+$/, 'must be a region such as cn-north-4'),
  },
  {
    ...{ key: 'project', option: 'project-id', preset: '' },
    text: 'Project id (empty: what HUAWEICLOUD_SDK_PROJECT_ID says)',
    mistake: fits(/^([0-9A-Za-z]{1,64})?$/, 'must be 32 hex characters (console: My Credentials)'),
  },
  {
    ...{ key: 'instance', option: 'instance-id', preset: '', text: 'Instance id (empty: none)' },
    mistake: fits(/^([0-9A-Za-z-]{1,64})?$/, 'must be the UUID that the console shows'),
  },
  {
    ...{ key: 'dns', option: 'dns', preset: null },
    text: `Where the DNS is: ${Object.keys(DNS_SERVICES).join(', ')}`,
    mistake: oneOf(Object.keys(DNS_SERVICES)),
  },
  {
    ...{ key: 'devices', option: 'devices', preset: '' },
    text: `Devices, by TLS stack, joined by commas (empty: not known): ${Object.keys(PRESETS).join(', ')}`,
    mistake: devicesMistake,
  },
  {
    ...{ key: 'where', option: 'where', preset: 'here', text: `Where it will run: ${PLACES.join(', ')}` },
    mistake: oneOf(PLACES),
  },
  {
    ...{ key: 'tell', option: 'tell', preset: 'none' },
    text: `Whom to tell, by a webhook whose URL is in ALERT_URL: ${CHANNELS.join(', ')}`,
    mistake: oneOf(CHANNELS),
  },
  {
    ...{ key: 'email', option: 'email', preset: null, text: 'E-mail address for the CA' },
    mistake: fits(/^[^\s@"<>]+@[^\s@"<>]+\.[^\s@"<>]+$/, 'must be an e-mail address'),
  },
  {
    ...{ key: 'ca', option: 'ca', preset: 'letsencrypt' },
    text: `CA: ${Object.keys(CAS).join(', ')}, or the URL of an ACME directory`,
    mistake: answer =>
      Object.hasOwn(CAS, answer) || isDirectory(answer)
        ? null
        : `must be ${Object.keys(CAS).join(', ')}, or https://...`,
  },
]

export const directoryOf = (ca: string): string => CAS[ca] ?? ca
