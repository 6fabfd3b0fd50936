/** The rooms of lib/ and their layers, drawn from the rule that holds them and from what docs/architecture.md says of each. */
import { LAYERS } from '../support/rules.ts'
import { escapeXml, MONO, SANS, svg } from './svg.ts'

const WIDTH = 560
const PAD = 16
const GAP = 8
/** Letters of a description in a pixel, about. */
const LETTER = 5.9
const ROW = { title: 20, line: 15, pad: 10 }

interface Room {
  readonly names: readonly string[]
  readonly says: string
}

/** The block of docs/architecture.md: names of folders, then two blanks or more, then what they are for. */
export function roomsOf(architecture: string): readonly Room[] {
  const [, block = ''] = /## The rooms\n\n((?: {4}.*\n)+)/.exec(architecture) ?? []
  const rooms: { names: readonly string[]; says: string }[] = []
  for (const line of block.split('\n')) {
    const [, named = '', says = ''] =
      /^ {4,6}((?:[a-z0-9.-]+\/? )*[a-z0-9.-]+\/?)(?: {2,}| (?=builds)| *$)(.*)$/.exec(line) ?? []
    if (named !== '') rooms.push({ names: named.split(' ').map(it => it.replace(/\/$/, '')), says })
    else if (line.trim() !== '') {
      const last = rooms.pop()
      if (last) rooms.push({ ...last, says: `${last.says} ${line.trim()}` })
    }
  }
  return rooms
}

/** @throws Error for a room that docs/architecture.md does not describe */
export function roomsSvg(architecture: string): string {
  const rooms = roomsOf(architecture)
  const layers = LAYERS.toReversed().map(layer => {
    const names = Object.keys(layer).map(it => it.replace(/^lib\/|\/$/g, ''))
    const undescribed = names.filter(name => !rooms.some(room => room.names.includes(name)))
    if (undescribed.length > 0)
      throw new Error(`docs/architecture.md does not describe ${undescribed.join(', ')}`)
    return rooms.filter(room => room.names.some(name => names.includes(name)))
  })
  let y = 54
  const parts: string[] = []
  for (const layer of layers) {
    const band = bandOf(layer, y + GAP)
    parts.push(
      `<rect x="${PAD}" y="${y}" width="${WIDTH - 2 * PAD}" height="${band.height + 2 * GAP}" rx="8" class="band"/>`,
      ...band.parts,
    )
    y += band.height + 2 * GAP + 10
  }
  const head = `<text x="${PAD}" y="28" class="h">The rooms</text><text x="${PAD}" y="45" class="d">each may import what stands below it, never what stands above</text>`
  return svg({
    width: WIDTH,
    height: y + 6,
    title: 'The rooms, from the doors to the vocabulary',
    style: `.h{font:700 16px ${SANS};fill:var(--text)}.n{font:700 12.5px ${MONO};fill:var(--key)}.d{font:11.5px ${SANS};fill:var(--soft)}.band{fill:var(--card)}.room{fill:var(--ground);stroke:var(--line)}`,
    body: [head, ...parts].join('\n'),
  })
}

const PER_ROW = 3

/** The boxes of one layer, at most three side by side. */
function bandOf(
  rooms: readonly Room[],
  top: number,
): { readonly parts: readonly string[]; readonly height: number } {
  const rows = Math.ceil(rooms.length / PER_ROW)
  const each = Math.ceil(rooms.length / rows)
  const parts: string[] = []
  let y = top
  for (let row = 0; row < rows; row += 1) {
    const boxes = rooms.slice(row * each, (row + 1) * each)
    const width = (WIDTH - 2 * PAD - GAP * (boxes.length + 1)) / boxes.length
    const texts = boxes.map(
      ({ says, names }) =>
        [wrap(names.join(' '), (width - 20) / 7.5), wrap(says, (width - 20) / LETTER)] as const,
    )
    const height = Math.max(...texts.map(([names, says]) => names.length * 16 + says.length * ROW.line)) + 14
    boxes.forEach((_, i) => {
      const x = PAD + GAP + i * (width + GAP)
      const [names, says] = texts[i] ?? [[], []]
      parts.push(
        `<rect x="${x.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="${height}" rx="6" class="room"/>`,
      )
      names.forEach((line, n) => {
        parts.push(
          `<text x="${(x + 10).toFixed(1)}" y="${y + 18 + n * 16}" class="n">${escapeXml(line)}</text>`,
        )
      })
      says.forEach((line, n) => {
        parts.push(
          `<text x="${(x + 10).toFixed(1)}" y="${y + 18 + names.length * 16 + n * ROW.line}" class="d">${escapeXml(line)}</text>`,
        )
      })
    })
    y += height + (row < rows - 1 ? GAP : 0)
  }
  return { parts, height: y - top }
}

function wrap(text: string, letters: number): readonly string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + 1 + word.length <= letters)
      lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}
