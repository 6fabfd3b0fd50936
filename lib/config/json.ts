/** Where a text stops being JSON (RFC 8259), as an index; its length when it only ends too soon. */
export function jsonMistakeAt(text: string): number {
  let at = 0
  const take = (pattern: RegExp): boolean => {
    pattern.lastIndex = at
    if (!pattern.test(text)) return false
    at = pattern.lastIndex
    return true
  }
  /** One pair of brackets and what stands in it, with commas between. */
  const list = (end: RegExp, item: () => boolean): boolean => {
    take(SPACE)
    if (take(end)) return true
    do {
      take(SPACE)
      if (!item()) return false
      take(SPACE)
    } while (take(COMMA))
    return take(end)
  }
  const member = (): boolean => {
    if (!take(STRING)) return false
    take(SPACE)
    return take(COLON) && value()
  }
  const value = (): boolean => {
    take(SPACE)
    if (take(OPEN_OBJECT)) return list(CLOSE_OBJECT, member)
    if (take(OPEN_LIST)) return list(CLOSE_LIST, value)
    return take(STRING) || take(SCALAR)
  }
  try {
    if (value()) take(SPACE)
  } catch {
    // Brackets in brackets without end: the place where it became too deep.
  }
  return at
}

const SPACE = /[ \t\n\r]*/y
const COMMA = /,/y
const COLON = /:/y
const OPEN_OBJECT = /\{/y
const CLOSE_OBJECT = /\}/y
const OPEN_LIST = /\[/y
const CLOSE_LIST = /\]/y
const STRING = /"(?:[^"\\\p{Cc}]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/uy
const SCALAR = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y
