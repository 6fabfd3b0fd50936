import { createHmac } from 'node:crypto'
import type { AlertEvent } from '../../contracts.ts'
import type { Severity } from '../../model/events.ts'
import { wordingOf } from '../shared/wording.ts'
import { byCode, type Posted, type Signing } from './posted.ts'

const COLOUR: Readonly<Record<Severity, string>> = { info: 'blue', warning: 'orange', critical: 'red' }

/** Of `SECONDS\nSECRET` as the key, over nothing. */
const signed = (secret: string, seconds: number): string =>
  createHmac('sha256', `${seconds}\n${secret}`).update('').digest('base64')

/** A custom bot of Feishu or Lark. https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot */
export function feishu(alert: AlertEvent, { secret, now, language }: Signing): Posted {
  const { title, facts } = wordingOf(alert, language)
  const seconds = Math.floor(now / 1_000)
  const card = {
    config: { wide_screen_mode: true },
    header: {
      template: alert.ends ? 'green' : COLOUR[alert.severity],
      title: { tag: 'plain_text', content: title },
    },
    elements: facts.map(([name, value]) => ({
      tag: 'div',
      text: { tag: 'plain_text', content: `${name}: ${value}` },
    })),
  }
  const signature =
    secret === null ? {} : { timestamp: String(seconds), sign: signed(secret.reveal(), seconds) }
  return { headers: {}, query: {}, body: JSON.stringify({ ...signature, msg_type: 'interactive', card }) }
}

/** 11232: too many messages. */
export const feishuObjection = byCode('code', 'msg', [11232])
