import { lifeOf, shareLeft } from '../../report/health.ts'
import type { ReportedLeaf, TargetResult } from '../../report/result.ts'
import { byUrgency, conditionOf, countsOf, leftText, type Urgency, urgencyOf } from '../urgency.ts'
import { html, type Markup, raw } from './html.ts'
import { STYLE } from './style.ts'
import { timelineOf } from './timeline.ts'

/** The fleet as one page: no script, no request to anywhere. */

/** What there is to show: an answer of `status`, or what a run saw. */
export interface Fleet {
  readonly runId: string
  readonly finishedAt: string
  readonly results: readonly TargetResult[]
}

const SAYS: Readonly<Record<Urgency, string>> = { bad: 'act now', watch: 'look at it', well: 'well' }
const HISTORY_AT_MOST = 20
/** Details are open from the start only where there are few. */
const OPEN_AT_MOST = 3

const instant = (text: string): Markup =>
  html`<time datetime="${text}">${text.replace('T', ' ').replace(/(:\d\d)(\.\d+)?Z$/, '')} UTC</time>`

/** The whole document. Pure. */
export function pageOf(answer: Fleet): string {
  const now = Date.parse(answer.finishedAt)
  const sorted = byUrgency(answer.results, now)
  const counts = countsOf(sorted, now).map(
    ([urgency, count]) => html`<li class="${urgency}"><b>${count}</b>${SAYS[urgency]}</li>`,
  )
  const size = sorted.length === 1 ? '1 target' : `${sorted.length} targets`
  const csp = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
  const page = html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${csp}"><meta name="robots" content="noindex"><link rel="icon" href="data:,">
<title>iotda-cert: ${size}</title><style>${raw(STYLE)}</style></head>
<body><header><h1>iotda-cert</h1><p class="soft">${size}, as of ${instant(answer.finishedAt)}; most urgent first</p>
<ul class="counts" aria-label="Summary">${counts}</ul></header>
<main><h2>Fleet</h2>${sorted.map(result => targetOf(result, now, sorted.length <= OPEN_AT_MOST))}</main>
<footer><p>Run ${answer.runId}. What each state means and what to do about it stands in RUNBOOK.md.</p></footer></body></html>
`
  return page.markup
}

function targetOf(result: TargetResult, now: number, isOpen: boolean): Markup {
  const urgency = urgencyOf(result, now)
  const life = lifeOf(result)
  const percent = life ? Math.round(shareLeft(life, now) * 100) : 0
  const next = result.kept?.retryAfter ?? result.decision.nextCheckAt
  return html`<details class="target"${raw(isOpen ? ' open' : '')}><summary><h3>${result.target}</h3>
<span class="bar" role="img" aria-label="${percent} percent of its lifetime left"><i class="${urgency}" style="width:${percent}%"></i></span>
<span><b>${leftText(life, now)}</b>${life && percent > 0 ? ' left' : ''}</span>
<span class="says ${urgency}">${SAYS[urgency]}: ${conditionOf(result, now)}</span></summary>
<div class="body">${timelineOf(result, now, urgency)}
${life && html`<p>${result.outlook.served ? 'Served' : 'Bound'} until ${instant(life.notAfter)}${next && html`; next check ${instant(next)}`}.</p>`}
${notesOf(result)}${devicesOf(result)}${slotsOf(result)}${stepsOf(result)}${historyOf(result)}</div></details>
`
}

function notesOf({ kept, error, warnings, decision, devices, nextKey }: TargetResult): Markup {
  // Roots that end have a list of their own.
  const news = warnings.filter(({ code }) => code !== 'root-ends' || !devices)
  const { held, trouble, failures = 0 } = kept ?? {}
  return html`<h4>State</h4><ul class="notes">${[
    error && html`<li class="bad">${error.code}: ${error.message}${error.hint && ` ${error.hint}`}</li>`,
    held && watch(html`Held since ${instant(held.since)}: ${held.why}`),
    trouble && watch(html`Told since ${instant(trouble.since)}: ${trouble.event}, ${trouble.severity}`),
    failures > 0 && watch(html`${failures} failures in a row`),
    news.map(({ code, message }) => watch(html`${code}: ${message}`)),
    nextKey &&
      html`<li>Next key, announced since ${instant(nextKey.since)}: <span class="mono">sha256/${nextKey.spki}</span></li>`,
    html`<li>${decision.due ? 'Due' : 'Idle'}: ${decision.detail}</li>`,
  ]}</ul>`
}

const watch = (said: Markup): Markup => html`<li class="watch">${said}</li>`

const leafText = ({ subject, names, issuer, keyType }: ReportedLeaf): string =>
  `${subject || names.join(', ')}, ${keyType}, by ${issuer}`

function slotsOf({ seen }: TargetResult): Markup | null {
  if (!seen) return null
  const rows = seen.slots.map(
    ({ serverCertificateId, bound, leaf, expiryDate }) =>
      html`<tr><th scope="row">${bound ? 'bound' : 'spare'}</th><td>${leaf ? leafText(leaf) : 'cannot be read'}</td><td>${instant(leaf?.notAfter ?? expiryDate)}</td><td class="mono hide-small">${leaf ? leaf.fingerprint.slice(0, 16) : serverCertificateId}</td></tr>`,
  )
  const served = seen.served.map(
    ({ address, leaf, error }) =>
      html`<tr><th scope="row">${address}</th><td>${leaf ? leafText(leaf) : (error ?? 'nothing')}</td><td>${leaf && instant(leaf.notAfter)}</td><td class="mono hide-small">${leaf?.fingerprint.slice(0, 16)}</td></tr>`,
  )
  return html`<h4>Slots and what is served</h4><div class="scroll"><table><thead><tr><th scope="col">where</th><th scope="col">certificate</th><th scope="col">until</th><th scope="col" class="hide-small">SHA-256</th></tr></thead><tbody>${rows}${served}</tbody></table></div>`
}

/** What each kind of device makes of the chain that it is given. */
function devicesOf({ devices }: TargetResult): Markup | null {
  if (!devices || devices.verdicts.length === 0) return null
  const verdicts = devices.verdicts.map(({ profile, address, ok, lines }) => {
    const mark = ok ? (lines.length > 0 ? 'watch' : 'well') : 'bad'
    const why = lines.map(
      ({ check, reason, remedy }) => html`<li>${check}: ${reason}${remedy && `. To do: ${remedy}`}</li>`,
    )
    return html`<li><b>${profile ?? 'any device'}</b> <span class="${mark}">${ok ? 'accepts' : 'refuses'}</span> what is ${address === null ? 'bound' : `served at ${address}`}${lines.length > 0 && html`<ul class="notes">${why}</ul>`}</li>`
  })
  const ends = devices.ends.map(({ at, what }) => watch(html`${instant(at)}: ${what}`))
  return html`<h4>What devices make of it</h4><ul class="notes">${verdicts}</ul>${ends.length > 0 && html`<h4>Trust that ends</h4><ul class="notes">${ends}</ul>`}`
}

const tookText = (durationMs: number): string =>
  durationMs >= 1_000 ? `${(durationMs / 1_000).toFixed(1)} s` : `${durationMs} ms`

function stepsOf({ kept }: TargetResult): Markup | null {
  if (!kept || kept.lastSteps.length === 0) return null
  const rows = kept.lastSteps.map(
    ({ step, status, durationMs }) =>
      html`<tr><th scope="row">${step}</th><td>${status}</td><td class="number">${tookText(durationMs)}</td></tr>`,
  )
  return html`<h4>Steps of the last run that did something</h4><table class="narrow"><thead><tr><th scope="col">step</th><th scope="col">status</th><th scope="col" class="number">took</th></tr></thead><tbody>${rows}</tbody></table>`
}

function historyOf({ kept }: TargetResult): Markup | null {
  if (!kept || kept.history.length === 0) return null
  const rows = kept.history
    .toReversed()
    .slice(0, HISTORY_AT_MOST)
    .map(
      ({ at, outcome, reason, error, until }) =>
        html`<tr><th scope="row">${instant(at)}</th><td>${outcome}</td><td>${error ?? reason}</td><td class="hide-small">${until && instant(until)}</td></tr>`,
    )
  return html`<h4>History</h4><div class="scroll"><table><thead><tr><th scope="col">when</th><th scope="col">outcome</th><th scope="col">why</th><th scope="col" class="hide-small">new until</th></tr></thead><tbody>${rows}</tbody></table></div>`
}
