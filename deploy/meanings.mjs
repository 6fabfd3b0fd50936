import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

/**
 * A plugin of esbuild for `npm run schema` alone: the comment over a key of the settings becomes the schema's meaning.
 * What is deployed has no word of it. It goes by the lines as the formatter leaves them.
 */

const MARK = fileURLToPath(new URL('meaning.ts', import.meta.url))

/** `/** ... *\/` on lines of its own, and the key below it: its indentation, name, and what follows on that line. */
const KEY = /^( +)\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\n\1(\w+|\$\w+)(: .*|,)$/gm

/** What a comment says, and its `@example`; null without one. */
function docOf(comment) {
  const [says = '', example = null] = comment
    .replace(/\n\s*\* ?/g, ' ')
    .replace(/\s+/g, ' ')
    .split(' @example ')
    .map(it => it.trim())
  return { says, example }
}

/** How far a value reaches that begins on this line: to the line with the key's indentation that ends in a comma. */
function endOf(text, from, indent) {
  const [first] = /.*/.exec(text.slice(from)) ?? ['']
  if (first.endsWith(',')) return from + first.length - 1
  const last = new RegExp(`^${indent}[)\\]}].*,$`, 'm').exec(text.slice(from))
  return last ? from + last.index + last[0].length - 1 : null
}

/** The same module, with each `key: value` below a comment as `key: meaning(value, comment)`. */
export function withMeanings(text) {
  const edits = [...text.matchAll(KEY)].flatMap(match => {
    const [whole, indent, comment, key, rest] = match
    const told = `, ${JSON.stringify(docOf(comment))})`
    const start = match.index + whole.length - rest.length
    if (rest === ',') return [[start, `: __meaning(${key}${told}`]]
    const end = endOf(text, start + 2, indent)
    return end === null
      ? []
      : [
          [start + 2, '__meaning('],
          [end, told],
        ]
  })
  const changed = edits
    .toSorted(([one], [other]) => other - one)
    .reduce((it, [at, insert]) => it.slice(0, at) + insert + it.slice(at), text)
  return edits.length === 0
    ? text
    : `import { meaning as __meaning } from ${JSON.stringify(MARK)}\n${changed}`
}

export const meanings = {
  name: 'meanings',
  setup: build =>
    build.onLoad({ filter: /[\\/]lib[\\/].*\.ts$/ }, async ({ path }) => {
      const text = await readFile(path, 'utf8')
      return { loader: 'ts', contents: text.includes("from 'valibot'") ? withMeanings(text) : text }
    }),
}
