import type { TargetResult } from '../../report/result.ts'
import type { Words } from './english.ts'
import { html, type Markup } from './html.ts'

/** How many devices of a target were online lately, and how many are usual. */

const WIDTH = 1_000
const HEIGHT = 80
const EDGE = 6

/** A curve with a text of the same content for those who cannot see it; null where nothing was counted. */
export function onlineOf({ kept }: TargetResult, words: Words): Markup | null {
  const { boundAt = null, counts = [] } = kept?.online ?? {}
  const [first] = counts
  const last = counts.at(-1)
  if (!first || !last) return null
  const from = Date.parse(first.at)
  const spanMs = Math.max(1, Date.parse(last.at) - from)
  const most = Math.max(1, ...counts.flatMap(({ count, usual }) => [count, usual ?? 0]))
  const x = (at: string): number => Math.round(((Date.parse(at) - from) / spanMs) * (WIDTH - 2 * EDGE) + EDGE)
  const y = (count: number): number => Math.round(HEIGHT - EDGE - (count / most) * (HEIGHT - 2 * EDGE))
  const line = (points: readonly { readonly at: string; readonly count: number }[]): string =>
    points.map(({ at, count }, i) => `${i === 0 ? 'M' : 'L'}${x(at)} ${y(count)}`).join('')
  const usual = counts.flatMap(it => (it.usual === null ? [] : [{ at: it.at, count: it.usual }]))
  const isShown = boundAt !== null && Date.parse(boundAt) >= from
  const after = isShown ? counts.filter(({ at }) => Date.parse(at) > Date.parse(boundAt)) : []
  const fewest = after.length === 0 ? null : Math.min(...after.map(({ count }) => count))
  const say = words.online
  const said = say.label(last, isShown ? { boundAt, fewest } : null)
  return html`<h4>${words.headings.online}</h4><svg class="online" viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${said}">
${usual.length > 1 && html`<path class="usual" d="${line(usual)}"><title>${say.usual}</title></path>`}
<path class="count" d="${line(counts)}"><title>${say.count}</title></path>
${isShown && html`<path class="turn" d="M${x(boundAt)} 0v${HEIGHT}"><title>${say.bound(boundAt)}</title></path>`}
</svg><p class="dates soft"><span>${first.at.slice(0, 16)}</span><span class="hide-small">${say.legend}</span><span>${last.at.slice(0, 16)}</span></p>`
}
