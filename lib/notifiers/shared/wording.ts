import { formatDuration } from '../../base/time.ts'
import type { AlertEvent, Language } from '../../contracts.ts'
import type { ErrorCode } from '../../model/errors.ts'
import { EVENTS } from '../../model/events.ts'
import { ERRORS_ZH, EVENTS_ZH } from './chinese.ts'

/** An alert in words. */
export interface Wording {
  /** What, which, and how long: all that a lock screen shows. No brackets, which SMS gateways refuse. */
  readonly title: string
  /** Name and value, in the order of use. */
  readonly facts: readonly (readonly [name: string, value: string])[]
}

type Title = Readonly<Record<'mark' | 'who' | 'what' | 'long' | 'where', string>>

const ENGLISH = {
  severity: { info: 'INFO', warning: 'WARNING', critical: 'CRITICAL' },
  well: 'OK',
  event: ({ event }: AlertEvent): string => EVENTS[event].text,
  todo: ({ whatToDo }: AlertEvent): string => whatToDo,
  each: (many: number) => `each of ${many} targets`,
  atWorst: (text: string) => `${text} at worst`,
  more: (many: number) => `and ${many} more`,
  left: (days: number) => `${count(days)} left`,
  lastDay: 'less than a day left',
  expiredToday: 'expired today',
  expired: (days: number) => `expired ${count(days)} ago`,
  lasted: (text: string) => `after ${text}`,
  title: ({ mark, who, what, long, where }: Title) =>
    `${mark}: ${who} ${what}${long && `, ${long}`}${where && ` (${where})`}`,
  error: (code: string, message: string) => `${code}: ${message}`,
  section: (runbook: string) => runbook,
  certificate: (issuer: string, until: string) => `by ${issuer}, until ${until}`,
  names: {
    targets: 'Targets',
    reason: 'Why',
    error: 'Error',
    since: 'Since',
    todo: 'To do',
    next: 'Next try',
    before: 'Before',
    after: 'Now',
    runbook: 'Runbook',
  },
}

type Words = typeof ENGLISH

const count = (days: number): string => (days === 1 ? '1 day' : `${days} days`)

const CHINESE: Words = {
  severity: { info: '通知', warning: '警告', critical: '严重' },
  well: '恢复',
  event: ({ event }) => EVENTS_ZH[event][0],
  // What an error says is more to the point, though in English.
  todo: alert => (alert.error?.hint ? alert.error.hint : EVENTS_ZH[alert.event][1]),
  each: many => `${many} 个目标`,
  atWorst: text => `最急者${text}`,
  more: many => `另外 ${many} 个`,
  left: days => `剩余 ${days} 天`,
  lastDay: '剩余不足 1 天',
  expiredToday: '今天过期',
  expired: days => `已过期 ${days} 天`,
  lasted: text => `历时 ${text}`,
  title: ({ mark, who, what, long, where }) =>
    `${mark}：${who} ${what}${long && `，${long}`}${where && `（${where}）`}`,
  error: (code, message) => {
    const meaning = Object.hasOwn(ERRORS_ZH, code) ? `${ERRORS_ZH[code as ErrorCode]}：` : ''
    return `${code}：${meaning}${message}`
  },
  // The same headings, hence the same anchors.
  section: runbook => runbook.replace(/^RUNBOOK/, 'docs/zh-CN/operating'),
  certificate: (issuer, until) => `${issuer} 签发，有效期至 ${until}`,
  names: {
    targets: '目标',
    reason: '原因',
    error: '错误',
    since: '开始',
    todo: '处理',
    next: '下次尝试',
    before: '之前',
    after: '现在',
    runbook: '手册',
  },
}

const WORDS: Readonly<Record<Language, Words>> = { en: ENGLISH, zh: CHINESE }

const leftText = (days: number, words: Words): string => {
  if (days >= 1) return words.left(days)
  if (days >= 0) return words.lastDay
  return days < -1 ? words.expired(-days - 1) : words.expiredToday
}

/** An alert in words of a language. Pure. */
export function wordingOf(alert: AlertEvent, language: Language): Wording {
  const words = WORDS[language]
  const { names } = words
  const { ends, daysLeft, durationMs, error, since, before, after, reason, targets } = alert
  const lasted = durationMs === null ? '' : formatDuration(durationMs)
  const left = daysLeft === null ? '' : leftText(daysLeft, words)
  const long = ends ? words.lasted(lasted) : targets && left ? words.atWorst(left) : left
  const title = words.title({
    mark: ends ? words.well : words.severity[alert.severity],
    who: targets ? words.each(targets.count) : (alert.target ?? 'iotda-cert'),
    what: words.event(alert),
    long,
    where: alert.domain ?? '',
  })
  const isReplaced = after !== null && after.fingerprint !== before?.fingerprint
  const facts: readonly (readonly [string, string | null])[] = [
    [names.targets, targets ? namesOf(targets, words) : null],
    [names.reason, error === null || !sameText(reason, error.message) ? reason : null],
    [names.error, error && words.error(error.code, error.message)],
    [names.since, since && `${since} (${lasted})`],
    [names.todo, words.todo(alert)],
    [names.next, alert.nextTryAt],
    [names.before, before && words.certificate(before.issuer, before.notAfter)],
    [names.after, isReplaced ? words.certificate(after.issuer, after.notAfter) : null],
    [names.runbook, words.section(alert.runbook)],
  ]
  return { title, facts: facts.flatMap(([name, value]) => (value ? [[name, value] as const] : [])) }
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
  const head = Buffer.from(text).subarray(0, bytes - 3)
  return `${head.toString('utf8').replace(/�{1,3}$/, '')}…`
}
