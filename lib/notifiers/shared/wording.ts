import { formatDuration } from '../../base/time.ts'
import type { AlertEvent, Language } from '../../contracts.ts'
import type { ErrorCode } from '../../model/errors.ts'
import { EVENTS, type Severity } from '../../model/events.ts'
import { ERRORS_ZH, EVENTS_ZH } from './chinese.ts'

/** An alert in words. */
export interface Wording {
  /** What, which, and how long: all that a lock screen shows. No brackets, which SMS gateways refuse. */
  readonly title: string
  /** Name and value, in the order of use. */
  readonly facts: readonly (readonly [name: string, value: string])[]
}

interface Words {
  readonly severity: Readonly<Record<Severity, string>>
  readonly well: string
  readonly event: (alert: AlertEvent) => string
  readonly todo: (alert: AlertEvent) => string
  readonly rotator: string
  readonly each: (count: number) => string
  readonly atWorst: (text: string) => string
  readonly more: (count: number) => string
  readonly left: (days: number) => string
  readonly lasted: (text: string) => string
  readonly title: (parts: { mark: string; who: string; what: string; long: string; where: string }) => string
  readonly error: (code: string, message: string) => string
  readonly certificate: (issuer: string, until: string) => string
  readonly names: Readonly<
    Record<
      'targets' | 'reason' | 'error' | 'since' | 'todo' | 'next' | 'before' | 'after' | 'runbook',
      string
    >
  >
}

const ENGLISH: Words = {
  severity: { info: 'INFO', warning: 'WARNING', critical: 'CRITICAL' },
  well: 'OK',
  event: ({ event }) => EVENTS[event].text,
  todo: ({ whatToDo }) => whatToDo,
  rotator: 'iotda-cert',
  each: many => `each of ${many} targets`,
  atWorst: text => `${text} at worst`,
  more: many => `and ${many} more`,
  left: days =>
    days < -1
      ? `expired ${count(-days - 1)} ago`
      : days < 0
        ? 'expired today'
        : days < 1
          ? 'less than a day left'
          : `${count(days)} left`,
  lasted: text => `after ${text}`,
  title: ({ mark, who, what, long, where }) =>
    `${mark}: ${who} ${what}${long && `, ${long}`}${where && ` (${where})`}`,
  error: (code, message) => `${code}: ${message}`,
  certificate: (issuer, until) => `by ${issuer}, until ${until}`,
  names: {
    ...{ targets: 'Targets', reason: 'Why', error: 'Error', since: 'Since', todo: 'To do', next: 'Next try' },
    ...{ before: 'Before', after: 'Now', runbook: 'Runbook' },
  },
}

const count = (days: number): string => (days === 1 ? '1 day' : `${days} days`)

const CHINESE: Words = {
  severity: { info: '通知', warning: '警告', critical: '严重' },
  well: '恢复',
  event: ({ event }) => EVENTS_ZH[event].text,
  // What an error says is more to the point, though in English.
  todo: alert => (alert.error?.hint ? alert.error.hint : EVENTS_ZH[alert.event].todo),
  rotator: 'iotda-cert',
  each: many => `${many} 个目标`,
  atWorst: text => `最急者${text}`,
  more: many => `另外 ${many} 个`,
  left: days =>
    days < -1
      ? `已过期 ${-days - 1} 天`
      : days < 0
        ? '今天过期'
        : days < 1
          ? '剩余不足 1 天'
          : `剩余 ${days} 天`,
  lasted: text => `历时 ${text}`,
  title: ({ mark, who, what, long, where }) =>
    `${mark}：${who} ${what}${long && `，${long}`}${where && `（${where}）`}`,
  error: (code, message) => {
    const meaning = Object.hasOwn(ERRORS_ZH, code) ? `${ERRORS_ZH[code as ErrorCode]}：` : ''
    return `${code}：${meaning}${message}`
  },
  certificate: (issuer, until) => `${issuer} 签发，有效期至 ${until}`,
  names: {
    ...{ targets: '目标', reason: '原因', error: '错误', since: '开始', todo: '处理', next: '下次尝试' },
    ...{ before: '之前', after: '现在', runbook: '手册' },
  },
}

const WORDS: Readonly<Record<Language, Words>> = { en: ENGLISH, zh: CHINESE }

/** An alert in words of a language. Pure. */
export function wordingOf(alert: AlertEvent, language: Language): Wording {
  const words = WORDS[language]
  const { names } = words
  const { ends, daysLeft, durationMs, error, since, before, after, reason, targets } = alert
  const lasted = durationMs === null ? '' : formatDuration(durationMs)
  const left = daysLeft === null ? '' : words.left(daysLeft)
  const long = ends ? words.lasted(lasted) : targets && left ? words.atWorst(left) : left
  const title = words.title({
    mark: ends ? words.well : words.severity[alert.severity],
    who: targets ? words.each(targets.count) : (alert.target ?? words.rotator),
    what: words.event(alert),
    long,
    where: alert.domain ?? '',
  })
  const facts: (readonly [string, string | null])[] = [
    [names.targets, targets ? namesOf(targets, words) : null],
    [names.reason, error === null || !sameText(reason, error.message) ? reason : null],
    [names.error, error && words.error(error.code, error.message)],
    [names.since, since && `${since} (${lasted})`],
    [names.todo, words.todo(alert)],
    [names.next, alert.nextTryAt],
    [names.before, before && words.certificate(before.issuer, before.notAfter)],
    [
      names.after,
      after && after.fingerprint !== before?.fingerprint
        ? words.certificate(after.issuer, after.notAfter)
        : null,
    ],
    [names.runbook, alert.runbook],
  ]
  return { title, facts: facts.filter((fact): fact is readonly [string, string] => Boolean(fact[1])) }
}

const NAMED_AT_MOST = 20

/** The most urgent by name, and how many there are besides. */
function namesOf({ count: all, names }: NonNullable<AlertEvent['targets']>, { more }: Words): string {
  const named = names.slice(0, NAMED_AT_MOST)
  return [...named, ...(all > named.length ? [more(all - named.length)] : [])].join(', ')
}

/** Texts may have been cut. */
const sameText = (one: string, other: string): boolean => one.slice(0, 300) === other.slice(0, 300)

/** Title and facts as plain text. */
export const plainText = ({ title, facts }: Wording): string =>
  [title, '', ...facts.map(([name, value]) => `${name}: ${value}`)].join('\n')

/** At most so many bytes of UTF-8, cut between characters. */
export function withinBytes(text: string, bytes: number): string {
  if (Buffer.byteLength(text) <= bytes) return text
  let cut = Buffer.from(text)
    .subarray(0, bytes - 3)
    .toString('utf8')
  cut = cut.replace(/�+$/, '')
  return `${cut}…`
}
