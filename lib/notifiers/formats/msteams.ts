import { wordingOf } from '../shared/wording.ts'
import type { Format } from './format.ts'

const COLOUR = { info: 'default', warning: 'warning', critical: 'attention' } as const

/** Rich text, which is shown as it is: in a TextBlock and a FactSet Markdown would make links of what others wrote. */
const line = (...runs: readonly object[]): object => ({
  type: 'RichTextBlock',
  inlines: runs.map(run => ({ type: 'TextRun', ...run })),
})

/**
 * An Adaptive Card for a workflow "When a Teams webhook request is received", which takes nothing else.
 * https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using
 */
export const msteams: Format = {
  requestFor: (alert, { language }) => {
    const { title, facts } = wordingOf(alert, language)
    const color = alert.ends ? 'good' : COLOUR[alert.severity]
    const content = {
      $schema: 'http://adaptivecards.io/schemas/adaptive-card.json',
      type: 'AdaptiveCard',
      version: '1.4',
      msteams: { width: 'Full' },
      fallbackText: title,
      body: [
        line({ text: title, weight: 'bolder', size: 'medium', color }),
        ...facts.map(([name, value]) => line({ text: `${name}: `, weight: 'bolder' }, { text: value })),
      ],
    }
    const contentType = 'application/vnd.microsoft.card.adaptive'
    return { body: { type: 'message', attachments: [{ contentType, contentUrl: null, content }] } }
  },
}
