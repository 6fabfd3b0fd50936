import type { AlertEvent } from '../../contracts.ts'
import { type Wording, wordingOf } from '../shared/wording.ts'
import type { Objection, Posted, Signing } from './posted.ts'

/** `&`, `<` and `>` are Slack's control characters. https://api.slack.com/reference/surfaces/formatting#escaping */
const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

/** At most so many characters, an escape never cut in two. */
const cut = (text: string, length: number): string =>
  text.length <= length ? text : `${text.slice(0, length - 1).replace(/&[a-z]{0,3}$/, '')}…`

// https://api.slack.com/reference/block-kit/blocks: a header takes 150 characters, a section 3000.
const blocks = ({ title, facts }: Wording) => [
  { type: 'header', text: { type: 'plain_text', text: cut(title, 150), emoji: false } },
  {
    type: 'section',
    text: {
      type: 'mrkdwn',
      // No links, channels or people are made of what others wrote.
      verbatim: true,
      text: cut(facts.map(([name, value]) => `*${escaped(name)}* ${escaped(value)}`).join('\n'), 3_000),
    },
  },
]

/** An incoming webhook. https://api.slack.com/messaging/webhooks */
export function slack(alert: AlertEvent, { language }: Signing): Posted {
  const wording = wordingOf(alert, language)
  return {
    headers: {},
    query: {},
    // `text` is what notifications show.
    body: JSON.stringify({ text: escaped(wording.title), blocks: blocks(wording) }),
  }
}

/** Slack answers `ok` in plain text. */
export const slackObjection = (text: string): Objection | null =>
  text.trim() === 'ok' ? null : { why: 'did not answer "ok"', retry: 'later' }
