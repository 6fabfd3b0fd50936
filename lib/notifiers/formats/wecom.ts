import type { AlertEvent } from '../../contracts.ts'
import { withinBytes, wordingOf } from '../shared/wording.ts'
import { byCode, type Posted, type Signing } from './posted.ts'

const MARKDOWN_AT_MOST_BYTES = 4_096

const WIDE: Readonly<Record<string, string>> = { '<': '＜', '>': '＞', '[': '［', ']': '］', '`': '｀' }

/** Colours and people are tags, links have brackets, and nothing escapes them: what looks like one must not be. */
const escaped = (text: string): string => text.replaceAll(/[<>[\]`]/g, char => WIDE[char] ?? char)

/** A group robot; its key stands in the URL. https://developer.work.weixin.qq.com/document/path/91770 */
export function wecom(alert: AlertEvent, { language }: Signing): Posted {
  const { title, facts } = wordingOf(alert, language)
  const colour = alert.ends ? 'info' : alert.severity === 'info' ? 'comment' : 'warning'
  const lines = facts.map(([name, value]) => `> ${name}: ${escaped(value)}`)
  const content = withinBytes(
    [`<font color="${colour}">${escaped(title)}</font>`, ...lines].join('\n'),
    MARKDOWN_AT_MOST_BYTES,
  )
  return { headers: {}, query: {}, body: JSON.stringify({ msgtype: 'markdown', markdown: { content } }) }
}

/** -1: busy; 45009: too many messages. */
export const wecomObjection = byCode('errcode', 'errmsg', [-1, 45009])
