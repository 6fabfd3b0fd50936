import type { AlertEvent } from '../../contracts.ts'
import type { Severity } from '../../model/events.ts'
import { wordingOf } from '../shared/wording.ts'
import type { Posted, Signing } from './posted.ts'

const COLOUR: Readonly<Record<Severity, string>> = {
  info: 'default',
  warning: 'warning',
  critical: 'attention',
}

/** Rich text, which is shown as it is: in a TextBlock and a FactSet Markdown would make links of what others wrote. */
const line = (runs: readonly object[]): object => ({
  type: 'RichTextBlock',
  inlines: runs.map(run => ({ type: 'TextRun', ...run })),
})

/**
 * An Adaptive Card for a workflow "When a Teams webhook request is received", which takes nothing else.
 * https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using
 */
export function msteams(alert: AlertEvent, { language }: Signing): Posted {
  const { title, facts } = wordingOf(alert, language)
  const card = {
    $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
    type: 'AdaptiveCard',
    version: '1.4',
    msteams: { width: 'Full' },
    fallbackText: title,
    body: [
      line([
        {
          text: title,
          weight: 'bolder',
          size: 'medium',
          color: alert.ends ? 'good' : COLOUR[alert.severity],
        },
      ]),
      ...facts.map(([name, value]) => line([{ text: `${name}: `, weight: 'bolder' }, { text: value }])),
    ],
  }
  const attachment = {
    contentType: 'application/vnd.microsoft.card.adaptive',
    contentUrl: null,
    content: card,
  }
  return { headers: {}, query: {}, body: JSON.stringify({ type: 'message', attachments: [attachment] }) }
}
