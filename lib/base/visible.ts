/**
 * Texts of others (a CA, a certificate, state, a service) become visible where they leave for people, and nowhere
 * else: words in lib/present, JSON and log lines by {@link visibleJson}, alerts in lib/alerts/fit.ts.
 */

/**
 * What moves a terminal's cursor, rings its bell, breaks a line, turns the direction of writing, or is not to be seen
 * at all: control and format characters, separators of lines and paragraphs, halves of pairs, and what is ignored
 * where nothing knows it. https://www.unicode.org/reports/tr44/#General_Category_Values, #Default_Ignorable_Code_Point
 */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Default_Ignorable_Code_Point}]/gu

/** As JSON and JavaScript write it: in two halves beyond U+FFFF. */
const escaped = (char: string): string =>
  char
    .split('')
    .map(half => `\\u${half.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('')

/** A text of somebody else, such as a name in a certificate, as one line that only says what it says. */
export const visible = (text: string): string => text.replaceAll(UNSEEN, escaped)

const LONGEST_QUOTE = 80

/** A name that somebody asked for, as a message repeats it: one line, and no longer than a name may be. */
export const quoted = (name: string): string =>
  `"${visible(name.length > LONGEST_QUOTE ? `${name.slice(0, LONGEST_QUOTE)}…` : name)}"`

/** The same for every text in a value. */
export function allVisible<T>(value: T): T {
  if (typeof value === 'string') return visible(value) as T
  if (Array.isArray(value)) return value.map(allVisible) as T
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, allVisible(item)])) as T
}

/** JSON whose values say only what they say, and are the same when it is read; the line breaks are its own. */
export const visibleJson = (json: string): string =>
  json.replaceAll(UNSEEN, char => (char === '\n' ? char : escaped(char)))

/** An answer as JSON for people and programs, with a line break at its end. */
export const jsonText = (answer: unknown): string => `${visibleJson(JSON.stringify(answer, null, 2))}\n`
