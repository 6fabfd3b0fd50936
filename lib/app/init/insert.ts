/**
 * Adds to a JSON text (RFC 8259) without touching what stands there: order, spaces, line ends and the way that numbers
 * are written stay as a person has them. The text is known to be JSON.
 */

/** Where a value stands in the text, and the places of what it holds. */
interface Span {
  readonly from: number
  readonly to: number
  /** Of an object by its keys, of a list in order. */
  readonly items: readonly { readonly key: string | null; readonly from: number; readonly value: Span }[]
}

const SPACE = /[ \t\n\r\uFEFF]*/y
const STRING = /"(?:[^"\\]|\\.)*"/y
const SCALAR = /[^\s,\]}]+/y

function spanOf(text: string, start: number): Span {
  let at = start
  const take = (pattern: RegExp): string => {
    pattern.lastIndex = at
    const [taken = ''] = pattern.exec(text) ?? []
    at += taken.length
    return taken
  }
  take(SPACE)
  const from = at
  const opening = text[at]
  if (opening !== '{' && opening !== '[') {
    take(opening === '"' ? STRING : SCALAR)
    return { from, to: at, items: [] }
  }
  const items: Span['items'][number][] = []
  at += 1
  for (;;) {
    take(SPACE)
    if (text[at] === '}' || text[at] === ']') return { from, to: at + 1, items }
    if (text[at] === ',') {
      at += 1
      continue
    }
    const begins = at
    const key = opening === '{' ? (JSON.parse(take(STRING)) as string) : null
    if (key !== null) {
      take(SPACE)
      at += 1
    }
    const value = spanOf(text, at)
    items.push({ key, from: begins, value })
    at = value.to
  }
}

/** The spaces between the beginning of the line and a place; null: something else stands before it. */
function indentAt(text: string, at: number): string | null {
  const line = text.slice(text.lastIndexOf('\n', at - 1) + 1, at)
  return /^[ \t]*$/.test(line) && text.lastIndexOf('\n', at - 1) >= 0 ? line : null
}

/** One step of the file's own indent, by the first member of the whole. */
const stepOf = (text: string, { items }: Span): string => {
  const indent = items[0] ? indentAt(text, items[0].from) : null
  return indent ? indent : '  '
}

/**
 * Adds a value at the end of the list or object that is the member `section` of the whole, under `key` in an object; a
 * section that is not there is made.
 */
export function inserted(text: string, section: string, key: string | null, value: unknown): string {
  const whole = spanOf(text, 0)
  const found = whole.items.findLast(it => it.key === section)
  if (!found) return insertedAt(text, whole, whole, section, key === null ? [value] : { [key]: value })
  return insertedAt(text, whole, found.value, key, value)
}

function insertedAt(text: string, whole: Span, into: Span, key: string | null, value: unknown): string {
  const step = stepOf(text, whole)
  const newline = text.includes('\r\n') ? '\r\n' : '\n'
  const last = into.items.at(-1)
  const own = last ? indentAt(text, last.from) : null
  // Where everything stands in one line, so does what is added.
  const isInline = last !== undefined && own === null
  const closing = indentAt(text, into.to - 1) ?? lineIndent(text, into.from)
  const indent = own ?? `${closing}${step}`
  const json = isInline
    ? JSON.stringify(value)
    : JSON.stringify(value, null, step).replaceAll('\n', `${newline}${indent}`)
  const member = key === null ? json : `${JSON.stringify(key)}: ${json}`
  if (last) {
    const between = isInline ? ' ' : `${newline}${indent}`
    return `${text.slice(0, last.value.to)},${between}${member}${text.slice(last.value.to)}`
  }
  const opened = `${text.slice(0, into.from + 1)}${newline}${indent}${member}${newline}${closing}`
  return `${opened}${text.slice(into.to - 1)}`
}

/** What the line that a place is in begins with. */
const lineIndent = (text: string, at: number): string =>
  /^[ \t]*/.exec(text.slice(text.lastIndexOf('\n', at - 1) + 1))?.[0] ?? ''
