import { createHmac } from 'node:crypto'
import { withinBytes, wordingOf } from '../shared/wording.ts'
import { type Format, rejectionByCode } from './format.ts'

/** What Markdown would take for a mark of its own. */
const escaped = (text: string): string => text.replaceAll(/([\\*_`#>[\]])/g, '\\$1')

/** https://open.dingtalk.com/document/robots/customize-robot-security-settings */
const signed = (secret: string, now: number): string =>
  createHmac('sha256', secret).update(`${now}\n${secret}`).digest('base64')

/** A custom robot. https://open.dingtalk.com/document/orgapp/custom-robot-access */
export const dingtalk: Format = {
  requestFor: (alert, { secret, now, language }) => {
    const { title, facts } = wordingOf(alert, language)
    const lines = facts.map(([name, value]) => `- **${name}** ${escaped(value)}`)
    const text = withinBytes([`#### ${escaped(title)}`, '', ...lines].join('\n'), 18_000)
    return {
      query: secret ? { timestamp: `${now}`, sign: signed(secret.reveal(), now) } : {},
      body: { msgtype: 'markdown', markdown: { title, text } },
    }
  },
  // -1: busy; 130101 and 410100: too many messages.
  rejectionIn: rejectionByCode('errcode', 'errmsg', [-1, 130101, 410100]),
}
