import { stripVTControlCharacters } from 'node:util'

/** Texts in the columns of a terminal. Pure. */

/** What terminals give two columns: wide and full-width characters, and emoji. https://www.unicode.org/reports/tr11/ */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{17000}-\u{18cff}\u{1b000}-\u{1b2fb}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u
const NONE = /[\p{Mn}\p{Me}\p{Cf}]/u

const columnsOfOne = (character: string): number => (NONE.test(character) ? 0 : WIDE.test(character) ? 2 : 1)

/** How many columns a text takes; colours take none. */
export const columnsOf = (text: string): number =>
  [...stripVTControlCharacters(text)].reduce((sum, it) => sum + columnsOfOne(it), 0)

/** With spaces up to a number of columns. */
export const padded = (text: string, columns: number): string =>
  text + ' '.repeat(Math.max(0, columns - columnsOf(text)))

/** As many characters of the beginning as have room. */
function head(characters: readonly string[], columns: number): string {
  let taken = 0
  const end = characters.findIndex(it => {
    taken += columnsOfOne(it)
    return taken > columns
  })
  return characters.slice(0, end < 0 ? characters.length : end).join('')
}

/** Without colours; what has no room goes at the end, or in the middle of a name whose end tells as much. */
export function shortened(text: string, columns: number, where: 'middle' | 'end' = 'end'): string {
  if (columnsOf(text) <= columns) return text
  if (columns <= 1) return '…'.slice(0, columns)
  const characters = [...text]
  const front = where === 'end' ? columns - 1 : Math.ceil((columns - 1) / 2)
  const back = head(characters.toReversed(), columns - 1 - front)
  return `${head(characters, front)}…${[...back].toReversed().join('')}`
}

const LEAST_INDENT = 2

/** Where a line goes on below itself: under its last column, as long as that leaves half of the room. */
function indentOf(line: string, columns: number): number {
  const plain = stripVTControlCharacters(line)
  const leading = /^ */.exec(plain)?.[0].length ?? 0
  const gaps = [...plain.matchAll(/\S {2,}(?=\S)/g)].map(({ index, 0: gap }) =>
    columnsOf(plain.slice(0, index + gap.length)),
  )
  const last = gaps.findLast(at => at <= columns / 2)
  const usual = last ?? leading + LEAST_INDENT
  return usual <= columns / 2 ? usual : LEAST_INDENT
}

/** Pieces of a word that is longer than a line. */
function pieces(word: string, columns: number): readonly string[] {
  if (columnsOf(word) <= columns) return [word]
  const first = head([...word], columns)
  return first === '' ? [word] : [first, ...pieces(word.slice(first.length), columns)]
}

function wrapped(given: string, columns: number): readonly string[] {
  if (columnsOf(given) <= columns) return [given]
  // What stands below a column that is far to the right has no room there.
  const line = given.replace(/^ +/, spaces => (spaces.length > columns / 2 ? '    ' : spaces))
  const indent = ' '.repeat(indentOf(line, columns))
  const lines: string[] = []
  let current = ''
  for (const word of line.split(/(?<=\S)(?= )/)) {
    for (const piece of pieces(word, columns - indent.length)) {
      if (current !== '' && columnsOf(current + piece) > columns) {
        lines.push(current)
        current = ''
      }
      current = current === '' && lines.length > 0 ? `${indent}${piece.trimStart()}` : current + piece
    }
  }
  return [...lines, current]
}

/** Every line in so many columns: longer ones go on below themselves, between words where there are any. */
export const fitted = (text: string, columns: number): string =>
  text
    .split('\n')
    .flatMap(line => wrapped(line, columns))
    .join('\n')
