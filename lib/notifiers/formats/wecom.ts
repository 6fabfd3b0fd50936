import { withinBytes, wordingOf } from '../shared/wording.ts'
import { type Format, rejectionByCode } from './format.ts'

const MARKDOWN_AT_MOST_BYTES = 4_096

const WIDE: Readonly<Record<string, string>> = { '<': '＜', '>': '＞', '[': '［', ']': '］', '`': '｀' }

/** Colours and people are tags, links have brackets, and nothing escapes them: what looks like one must not be. */
const escaped = (text: string): string => text.replaceAll(/[<>[\]`]/g, char => WIDE[char] ?? char)

/** A group robot; its key stands in the URL. https://developer.work.weixin.qq.com/document/path/91770 */
export const wecom: Format = {
  requestFor: (alert, { language }) => {
    const { title, facts } = wordingOf(alert, language)
    const colour = alert.ends ? 'info' : alert.severity === 'info' ? 'comment' : 'warning'
    const head = `<font color="${colour}">${escaped(title)}</font>`
    const lines = facts.map(([name, value]) => `> ${name}: ${escaped(value)}`)
    const content = withinBytes([head, ...lines].join('\n'), MARKDOWN_AT_MOST_BYTES)
    return { body: { msgtype: 'markdown', markdown: { content } } }
  },
  // -1: busy; 45009: too many messages.
  rejectionIn: rejectionByCode('errcode', 'errmsg', [-1, 45009]),
}
