import { createHmac } from 'node:crypto'
import type { AlertEvent } from '../../contracts.ts'
import { withinBytes, wordingOf } from '../shared/wording.ts'
import { byCode, type Posted, type Signing } from './posted.ts'

/** What Markdown would take for a mark of its own. */
const escaped = (text: string): string => text.replaceAll(/([\\*_`#>[\]])/g, '\\$1')

/** A custom robot. https://open.dingtalk.com/document/orgapp/custom-robot-access */
export function dingtalk(alert: AlertEvent, { secret, now, language }: Signing): Posted {
  const { title, facts } = wordingOf(alert, language)
  const lines = facts.map(([name, value]) => `- **${name}** ${escaped(value)}`)
  const text = withinBytes([`#### ${escaped(title)}`, '', ...lines].join('\n'), 18_000)
  const query =
    secret === null
      ? {}
      : {
          timestamp: String(now),
          // https://open.dingtalk.com/document/robots/customize-robot-security-settings
          sign: createHmac('sha256', secret.reveal()).update(`${now}\n${secret.reveal()}`).digest('base64'),
        }
  return { headers: {}, query, body: JSON.stringify({ msgtype: 'markdown', markdown: { title, text } }) }
}

/** -1: busy; 130101 and 410100: too many messages. */
export const dingtalkObjection = byCode('errcode', 'errmsg', [-1, 130101, 410100])
