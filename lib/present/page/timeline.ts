import { lifeOf } from '../../report/health.ts'
import type { TargetResult } from '../../report/result.ts'
import type { Urgency } from '../urgency.ts'
import { html, type Markup } from './html.ts'

/** Certificates, rotations and failures of one target along time. */

const DAY_MS = 86_400_000
const WIDTH = 1_000
const HEIGHT = 46
/** No more of the past than this. */
const PAST_MS = 200 * DAY_MS

const dateOf = (at: number): string => new Date(at).toISOString().slice(0, 10)

interface Scale {
  readonly from: number
  readonly until: number
  readonly x: (at: number) => number
}

function scaleOf(result: TargetResult, now: number): Scale {
  const life = lifeOf(result)
  const past = (result.kept?.history ?? []).map(h => Date.parse(h.at))
  const starts = [...past, ...(life ? [Date.parse(life.notBefore)] : []), now - 30 * DAY_MS]
  const from = Math.max(now - PAST_MS, Math.min(...starts))
  const ends = (result.devices?.ends ?? []).map(({ at }) => Date.parse(at))
  const until = Math.max(life ? Date.parse(life.notAfter) : now, now, ...ends) + 10 * DAY_MS
  const x = (at: number): number =>
    Math.round(Math.max(0, Math.min(1, (at - from) / (until - from))) * (WIDTH - 20) + 10)
  return { from, until, x }
}

type Rotation = NonNullable<TargetResult['kept']>['history'][number]
const isTurn = ({ outcome }: Rotation): boolean => outcome === 'rotated' || outcome === 'repaired'

/** From when until when each certificate before the present one was bound, as far as it is written down. */
function livesOf({ kept }: TargetResult): readonly { readonly from: number; readonly until: number }[] {
  const turns = (kept?.history ?? []).filter(isTurn).map(({ at }) => Date.parse(at))
  return turns.slice(1).map((until, i) => ({ from: turns[i] ?? until, until }))
}

/** An image with a text of the same content for those who cannot see it. */
export function timelineOf(result: TargetResult, now: number, urgency: Urgency): Markup {
  const scale = scaleOf(result, now)
  const { x } = scale
  const life = lifeOf(result)
  const history = (result.kept?.history ?? []).filter(h => Date.parse(h.at) >= scale.from)
  const turns = history.filter(isTurn)
  const fails = history.filter(h => !isTurn(h))
  const earlier = livesOf(result).filter(it => it.until > scale.from)
  const window = result.kept?.renewalWindow ?? null
  const said = [
    life ? `served until ${life.notAfter}` : 'nothing was seen',
    `${turns.length} rotations`,
    `${fails.length} failures`,
    ...(window ? [`the CA suggests ${window.start} to ${window.end}`] : []),
    ...(result.devices?.ends ?? []).map(({ what }) => what),
  ].join(', ')
  return html`<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="Time line: ${said}">
${window ? html`<rect class="window" x="${x(Date.parse(window.start))}" y="4" width="${Math.max(3, x(Date.parse(window.end)) - x(Date.parse(window.start)))}" height="36"><title>renewal window of the CA</title></rect>` : null}
${earlier.map(e => html`<rect class="life" x="${x(e.from)}" y="14" width="${Math.max(2, x(e.until) - x(e.from) - 2)}" height="14" rx="3"/>`)}
${life ? html`<rect class="life now ${urgency}" x="${x(Date.parse(life.notBefore))}" y="14" width="${Math.max(3, x(Date.parse(life.notAfter)) - x(Date.parse(life.notBefore)))}" height="14" rx="3"><title>${life.notBefore} to ${life.notAfter}</title></rect>` : null}
${turns.map(t => html`<path class="turn" d="M${x(Date.parse(t.at))} 31v13"><title>${t.outcome} at ${t.at}</title></path>`)}
${fails.map(f => html`<path class="fail" d="M${x(Date.parse(f.at))} 1v10"><title>${f.outcome} at ${f.at}: ${f.error ?? ''}</title></path>`)}
${(result.devices?.ends ?? []).map(({ at, what }) => html`<line class="root" x1="${x(Date.parse(at))}" x2="${x(Date.parse(at))}" y1="4" y2="42"><title>${what}</title></line>`)}
<line class="now-line" x1="${x(now)}" x2="${x(now)}" y1="4" y2="42"/>
</svg>
<p class="dates soft"><span>${dateOf(scale.from)}</span><span class="hide-small">failures above, rotations below; the long line is now</span><span>${dateOf(scale.until)}</span></p>`
}
