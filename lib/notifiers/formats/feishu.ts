import { createHmac } from 'node:crypto'
import { wordingOf } from '../shared/wording.ts'
import { type Format, rejectionByCode } from './format.ts'

const COLOUR = { info: 'blue', warning: 'orange', critical: 'red' } as const

/** Of `SECONDS\nSECRET` as the key, over nothing. */
const signed = (secret: string, seconds: number): string =>
  createHmac('sha256', `${seconds}\n${secret}`).update('').digest('base64')

const plain = (content: string) => ({ tag: 'plain_text', content })

/** A custom bot of Feishu or Lark. https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot */
export const feishu: Format = {
  requestFor: (alert, { secret, now, language }) => {
    const { title, facts } = wordingOf(alert, language)
    const seconds = Math.floor(now / 1_000)
    const card = {
      config: { wide_screen_mode: true },
      header: { template: alert.ends ? 'green' : COLOUR[alert.severity], title: plain(title) },
      elements: facts.map(([name, value]) => ({ tag: 'div', text: plain(`${name}: ${value}`) })),
    }
    const signature = secret ? { timestamp: `${seconds}`, sign: signed(secret.reveal(), seconds) } : {}
    return { body: { ...signature, msg_type: 'interactive', card } }
  },
  // 11232: too many messages.
  rejectionIn: rejectionByCode('code', 'msg', [11232]),
}
