/** A run on a terminal, as a moving picture: its lines come one after the other, and scroll. */
import { escapeXml, MONO, svg } from './svg.ts'

const COLUMNS = 68
const ROWS = 24
const CELL = { width: 7.8, height: 19 }
const PAD = { x: 16, top: 44, bottom: 14 }
/** How long nothing is seen. */
const FIRST_MS = 400
/** How long the end stays. */
const LAST_MS = 7_000

interface Line {
  readonly text: string
  /** How long before it appears. */
  readonly waitMs: number
}

/** How long a person would wait for it, about. */
function waitOf(text: string): number {
  if (text.startsWith('$ ')) return 1_200
  if (/^ {2}\S \S+ {2}(obtain|verify)/.test(text)) return 1_300
  if (/^ {2}[✓·…✗] /.test(text)) return 350
  if (/^(Before|After|Rotated|The page)/.test(text)) return 900
  return 110
}

const cut = (text: string): string => (text.length > COLUMNS ? `${text.slice(0, COLUMNS - 1)}…` : text)

/** The picture of what a run said. Pure. */
export function terminalSvg(title: string, said: string): string {
  const lines = said
    .trimEnd()
    .split('\n')
    .map((text, i) => ({ text: cut(text), waitMs: i === 0 ? FIRST_MS : waitOf(text) }))
  const width = Math.ceil(COLUMNS * CELL.width + 2 * PAD.x)
  const height = PAD.top + ROWS * CELL.height + PAD.bottom
  const style = `${motion(lines)}
.t{font:13px ${MONO};fill:var(--text)}.g{fill:var(--good)}.w{fill:var(--warn)}.r{fill:var(--bad)}.s{fill:var(--soft)}.k{fill:var(--key)}.b{font-weight:700}.c{fill:var(--ground)}`
  const dots = ['bad', 'warn', 'good'].map(
    (name, i) => `<circle cx="${20 + i * 18}" cy="18" r="5.5" style="fill:var(--${name});opacity:.75"/>`,
  )
  const body = `${dots.join('')}<text class="t s" x="${width / 2}" y="22" text-anchor="middle">${escapeXml(title)}</text>
<path d="M0 34.5h${width}" style="stroke:var(--line)"/>
<clipPath id="screen"><rect width="${width - 2 * PAD.x}" height="${ROWS * CELL.height}"/></clipPath>
<g transform="translate(${PAD.x} ${PAD.top})" clip-path="url(#screen)"><g class="scroll">
${lines.map(({ text }, i) => lineOf(text, i)).join('\n')}
<g class="cover"><rect class="c" width="${width}" height="${ROWS * CELL.height * 2}"/><rect x="0" y="3" width="8" height="14" class="s"/></g>
</g></g>`
  return svg({ width, height, title: `Recording: ${title}`, style, body })
}

/** Each line is uncovered at its time, and the text moves up when the screen is full; who wants no motion sees the end. */
function motion(lines: readonly Line[]): string {
  const totalMs = lines.reduce((sum, { waitMs }) => sum + waitMs, 0) + LAST_MS
  let at = 0
  const shown = lines.map(({ waitMs }, i) => {
    at += waitMs
    return { percent: ((at / totalMs) * 100).toFixed(2), rows: i + 1 }
  })
  const cover = (rows: number): string => `transform:translateY(${rows * CELL.height}px)`
  const scroll = (rows: number): string =>
    `transform:translateY(${-Math.max(0, rows + 1 - ROWS) * CELL.height}px)`
  const frames = (of: (rows: number) => string): string =>
    shown
      .filter(({ rows }, i) => i === 0 || of(rows) !== of(rows - 1))
      .map(({ percent, rows }) => `${percent}%{${of(rows)}}`)
      .join('')
  const last = lines.length
  const seconds = (totalMs / 1_000).toFixed(1)
  return `@keyframes cover{0%{${cover(0)}}${frames(cover)}}
@keyframes scroll{0%{${scroll(0)}}${frames(scroll)}}
.cover{${cover(last)};animation:cover ${seconds}s step-end infinite}
.scroll{${scroll(last)};animation:scroll ${seconds}s step-end infinite}
@media (prefers-reduced-motion:reduce){.cover,.scroll{animation:none}}`
}

/** What is of which colour: the first that matches. */
const PAINT: readonly (readonly [pattern: RegExp, classes: string])[] = [
  [/^\$/, 'g b'],
  [/^(iotda-cert|npm) \S+.*/, 'b'],
  [/^✓/, 'g'],
  [/^✗/, 'r'],
  [/^…(?= )/, 'w'],
  [/^(Before|After)(?= )/, 'b'],
  [/^(rotated|planned|Rotated\.)(?= )/, 'g b'],
  [/^warning(?= )/, 'w'],
  [/^<- bound/, 'g'],
  [/^dist\/\S+/, 'k'],
  [/^npx .*/, 'k b'],
]

function lineOf(text: string, row: number): string {
  const bare = text.trimStart()
  if (bare === '') return ''
  const x = ((text.length - bare.length) * CELL.width).toFixed(1)
  const length = (bare.length * CELL.width).toFixed(1)
  return `<text class="t" x="${x}" y="${row * CELL.height + 14}" textLength="${length}" xml:space="preserve">${painted(bare)}</text>`
}

function painted(text: string): string {
  let left = text
  let done = ''
  while (left !== '') {
    const [match, classes] =
      PAINT.map(([pattern, names]) => [pattern.exec(left)?.[0], names] as const).find(([it]) => it) ?? []
    const word = match ?? (/^\S+|^\s+/.exec(left)?.[0] as string)
    done += match ? `<tspan class="${classes}">${escapeXml(word)}</tspan>` : escapeXml(word)
    left = left.slice(word.length)
  }
  return done
}
