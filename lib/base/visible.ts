/** What moves a terminal's cursor, rings its bell, or turns the direction of writing. */
const UNSEEN = /[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu

const escaped = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`

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
