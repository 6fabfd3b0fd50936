import { visible } from '../../base/visible.ts'

/** HTML as text, with everything that comes from elsewhere escaped. */

/** A piece of markup that is whole. */
export interface Markup {
  readonly markup: string
}

/** What is not there is nothing. */
type Part = string | number | Markup | readonly Part[] | null | undefined | false

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

export const escapeHtml = (text: string): string =>
  visible(text).replaceAll(/[&<>"']/g, char => ENTITIES[char] ?? '')

const asMarkup = (part: Part): string => {
  if (part === null || part === undefined || part === false) return ''
  if (typeof part === 'string') return escapeHtml(part)
  if (typeof part === 'number') return String(part)
  return 'markup' in part ? part.markup : part.map(asMarkup).join('')
}

/** A template whose values are escaped, but for other markup. */
export const html = (strings: TemplateStringsArray, ...parts: readonly Part[]): Markup => ({
  markup: strings.map((text, i) => text + asMarkup(parts[i])).join(''),
})

/** A text of our own that is markup already. */
export const raw = (markup: string): Markup => ({ markup })
