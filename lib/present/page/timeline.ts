import { DAY_MS, iso } from '../../base/time.ts'
import { lifeOf } from '../../report/health.ts'
import type { TargetResult } from '../../report/result.ts'
import type { Urgency } from '../urgency.ts'
import type { Words } from './english.ts'
import { html, type Markup } from './html.ts'

/** Certificates, rotations and failures of one target along time. */

const WIDTH = 1_000
/** No more of the past than this. */
const PAST_MS = 200 * DAY_MS

const parsed = (instants: readonly { readonly at: string }[]): readonly number[] =>
  instants.map(({ at }) => Date.parse(at))

/** An image with a text of the same content for those who cannot see it. */
export function timelineOf(result: TargetResult, now: number, urgency: Urgency, words: Words): Markup {
  const { timeline: say } = words
  const life = lifeOf(result)
  const { history: all = [], renewalWindow: window = null } = result.kept ?? {}
  const ends = result.devices?.ends ?? []
  const begins = life ? [Date.parse(life.notBefore)] : []
  const from = Math.max(now - PAST_MS, Math.min(...parsed(all), ...begins, now - 30 * DAY_MS))
  const until = Math.max(life ? Date.parse(life.notAfter) : now, now, ...parsed(ends)) + 10 * DAY_MS
  const x = (at: number | string): number => {
    const share = ((typeof at === 'string' ? Date.parse(at) : at) - from) / (until - from)
    return Math.round(Math.max(0, Math.min(1, share)) * (WIDTH - 20) + 10)
  }
  const turned = all.filter(({ outcome }) => outcome === 'rotated' || outcome === 'repaired')
  const isShown = ({ at }: { readonly at: string }): boolean => Date.parse(at) >= from
  const turns = turned.filter(isShown)
  const fails = all.filter(it => isShown(it) && !turned.includes(it))
  // Each certificate before the present one, from one rotation to the next.
  const earlier = turned
    .slice(1)
    .map(({ at }, i) => ({ begun: turned[i]?.at ?? at, at }))
    .filter(it => Date.parse(it.at) > from)
  const said = say.label([
    life ? say.served(life.notAfter) : say.unseen,
    say.rotations(turns.length),
    say.failures(fails.length),
    ...(window ? [say.suggested(window.start, window.end)] : []),
    ...ends.map(say.ends),
  ])
  const happened = ({ outcome, at, error }: (typeof all)[number]): string =>
    say.event(words.outcome(outcome), at, error && words.why(error))
  return html`<svg viewBox="0 0 ${WIDTH} 46" preserveAspectRatio="none" role="img" aria-label="${said}">
${window && html`<rect class="window" x="${x(window.start)}" y="4" width="${Math.max(3, x(window.end) - x(window.start))}" height="36"><title>${say.window}</title></rect>`}
${earlier.map(({ begun, at }) => html`<rect class="life" x="${x(begun)}" y="14" width="${Math.max(2, x(at) - x(begun) - 2)}" height="14" rx="3"/>`)}
${life && html`<rect class="life now ${urgency}" x="${x(life.notBefore)}" y="14" width="${Math.max(3, x(life.notAfter) - x(life.notBefore))}" height="14" rx="3"><title>${say.life(life.notBefore, life.notAfter)}</title></rect>`}
${turns.map(t => html`<path class="turn" d="M${x(t.at)} 31v13"><title>${happened(t)}</title></path>`)}
${fails.map(f => html`<path class="fail" d="M${x(f.at)} 1v10"><title>${happened(f)}</title></path>`)}
${ends.map(({ at, what }) => html`<line class="root" x1="${x(at)}" x2="${x(at)}" y1="4" y2="42"><title>${say.ends({ at, what })}</title></line>`)}
<line class="now-line" x1="${x(now)}" x2="${x(now)}" y1="4" y2="42"/>
</svg>
<p class="dates soft"><span>${iso(from).slice(0, 10)}</span><span class="hide-small">${say.legend}</span><span>${iso(until).slice(0, 10)}</span></p>`
}
