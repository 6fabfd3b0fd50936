import { isLoopbackUrl } from '../../base/fields.ts'
import { PRESETS } from '../../devices/presets.ts'
import { solvers } from '../../solvers/index.ts'

/** What `iotda-cert init` asks, in order; each is an option of the same name, too. */
export interface Question {
  /** Under which name its answer is kept. */
  readonly key: string
  /** Option on the command line. */
  readonly option: string
  readonly text: string
  /** What an empty answer means; null: there must be one. */
  readonly preset: string | null
  /** What is wrong with an answer, or null. */
  readonly mistake: (answer: string) => string | null
}

/** Where the rotation runs, which decides how a secret can be referred to there. */
export const PLACES = ['here', 'aws', 'functiongraph'] as const
export type Place = (typeof PLACES)[number]

/** As a person gave them, each without a mistake. */
export interface Answers {
  readonly domain: string
  readonly endpoint: string
  readonly region: string
  /** Empty: what HUAWEICLOUD_SDK_PROJECT_ID says. */
  readonly project: string
  /** Empty: none is sent. */
  readonly instance: string
  readonly where: Place
  /** The type of a solver. */
  readonly dns: string
  /** Names of presets, joined by commas; empty: not known. */
  readonly devices: string
  /** `none`, a format of the notifier `webhook`, or the type of another notifier. */
  readonly tell: string
  readonly email: string
  readonly ca: string
}

/** Directories by short name. https://letsencrypt.org/docs/acme-protocol-updates/ */
export const CAS: Readonly<Record<string, string>> = {
  letsencrypt: 'https://acme-v02.api.letsencrypt.org/directory',
  'letsencrypt-staging': 'https://acme-staging-v02.api.letsencrypt.org/directory',
}

const NAME = /^(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]*[a-z][a-z0-9-]*$/i

export const fits = (pattern: RegExp, otherwise: string) => (answer: string) =>
  pattern.test(answer) ? null : otherwise
export const oneOf = (known: readonly string[]) => (answer: string) =>
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

const DOMAIN: Question = {
  ...{ key: 'domain', option: 'domain', preset: null, text: 'Custom domain of the devices' },
  mistake: fits(NAME, 'must be a domain name such as iot.example.com'),
}
const ENDPOINT: Question = {
  ...{ key: 'endpoint', option: 'endpoint', preset: null },
  text: 'Application access address over HTTPS (console: Overview, Access Details)',
  mistake: answer =>
    isOrigin(answer) ? null : 'must be https://NAME, without a path, as the console shows it',
}
const REGION: Question = {
  ...{ key: 'region', option: 'region', preset: null, text: 'Region' },
  mistake: fits(/^[a-z]{2,}-[a-z0-9-]+$/, 'must be a region such as cn-north-4'),
}
const PROJECT: Question = {
  ...{ key: 'project', option: 'project-id', preset: '' },
  text: 'Project id (empty: what HUAWEICLOUD_SDK_PROJECT_ID says)',
  mistake: fits(/^([0-9A-Za-z]{1,64})?$/, 'must be 32 hex characters (console: My Credentials)'),
}
const INSTANCE: Question = {
  ...{ key: 'instance', option: 'instance-id', preset: '', text: 'Instance id (empty: none)' },
  mistake: fits(/^([0-9A-Za-z-]{1,64})?$/, 'must be the UUID that the console shows'),
}
const DEVICES: Question = {
  ...{ key: 'devices', option: 'devices', preset: '' },
  text: `Devices, by TLS stack, joined by commas (empty: not known): ${Object.keys(PRESETS).join(', ')}`,
  mistake: devicesMistake,
}
const ROOTS: Question = {
  ...{ key: 'roots', option: 'roots', preset: '' },
  text: 'Roots burnt into the devices, a PEM file (empty: the public ones, as Node has them)',
  mistake: () => null,
}
const WHERE: Question = {
  ...{ key: 'where', option: 'where', preset: 'here', text: `Where it will run: ${PLACES.join(', ')}` },
  mistake: oneOf(PLACES),
}
const EMAIL: Question = {
  ...{ key: 'email', option: 'email', preset: null, text: 'E-mail address for the CA' },
  mistake: fits(/^[^\s@"<>]+@[^\s@"<>]+\.[^\s@"<>]+$/, 'must be an e-mail address'),
}
const CA: Question = {
  ...{ key: 'ca', option: 'ca', preset: 'letsencrypt' },
  text: `CA: ${Object.keys(CAS).join(', ')}, or the URL of an ACME directory`,
  mistake: answer =>
    Object.hasOwn(CAS, answer) || isDirectory(answer)
      ? null
      : `must be ${Object.keys(CAS).join(', ')}, or https://...`,
}
export const FIXED = {
  ...{ domain: DOMAIN, endpoint: ENDPOINT, region: REGION, project: PROJECT, instance: INSTANCE },
  ...{ where: WHERE, devices: DEVICES, roots: ROOTS, email: EMAIL, ca: CA },
} as const

/** Solvers that can work there: a program is no part of a function. */
const solversAt = (where: string): readonly string[] =>
  Object.keys(solvers).filter(type => where === 'here' || type !== 'exec')

/** Which solver writes the challenges. */
export const dnsQuestion = (where: string): Question => ({
  ...{ key: 'dns', option: 'dns', preset: null },
  text: `Where the DNS is: ${solversAt(where).join(', ')}`,
  mistake: oneOf(solversAt(where)),
})

/** Who hears of trouble, by `channels` as they are known. */
export const tellQuestion = (channels: readonly string[]): Question => ({
  ...{ key: 'tell', option: 'tell', preset: 'none' },
  text: `Whom to tell: ${channels.join(', ')}`,
  mistake: oneOf(channels),
})

export const directoryOf = (ca: string): string => CAS[ca] ?? ca
