import { wordingOf } from '../shared/wording.ts'
import type { Format } from './format.ts'

/** `&`, `<` and `>` are Slack's control characters. https://api.slack.com/reference/surfaces/formatting#escaping */
const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

/** At most so many characters, an escape never cut in two. */
const cut = (text: string, length: number): string =>
  text.length <= length ? text : `${text.slice(0, length - 1).replace(/&[a-z]{0,3}$/, '')}…`

/** An incoming webhook. https://api.slack.com/messaging/webhooks */
export const slack: Format = {
  requestFor: (alert, { language }) => {
    const { title, facts } = wordingOf(alert, language)
    const lines = facts.map(([name, value]) => `*${escaped(name)}* ${escaped(value)}`)
    // https://api.slack.com/reference/block-kit/blocks: a header takes 150 characters, a section 3000.
    const header = { type: 'plain_text', text: cut(title, 150), emoji: false }
    // `verbatim`: no links, channels or people are made of what others wrote.
    const section = { type: 'mrkdwn', verbatim: true, text: cut(lines.join('\n'), 3_000) }
    const blocks = [
      { type: 'header', text: header },
      { type: 'section', text: section },
    ]
    // `text` is what notifications show.
    return { body: { text: escaped(title), blocks } }
  },
  // Slack answers `ok` in plain text.
  rejectionIn: answer => (answer.trim() === 'ok' ? null : { why: 'did not answer "ok"', retry: 'later' }),
}
