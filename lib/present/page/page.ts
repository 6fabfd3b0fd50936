import type { Language } from '../../contracts.ts'
import { lifeOf, shareLeft } from '../../report/health.ts'
import { nameIn, type ReportedLeaf, type TargetResult } from '../../report/result.ts'
import { byUrgency, conditionOf, countsOf, leftOf, urgencyOf } from '../urgency.ts'
import { CHINESE } from './chinese.ts'
import { ENGLISH, type Words } from './english.ts'
import { filterOf, MANY } from './filter.ts'
import { html, type Markup, raw } from './html.ts'
import { onlineOf } from './online.ts'
import { STYLE } from './style.ts'
import { timelineOf } from './timeline.ts'

/** The fleet as one page: no script, no request to anywhere. */

/** What there is to show: an answer of `status`, or what a run saw. */
export interface Fleet {
  readonly runId: string
  readonly finishedAt: string
  readonly results: readonly TargetResult[]
}

const WORDS: Readonly<Record<Language, Words>> = { en: ENGLISH, zh: CHINESE }
const HISTORY_AT_MOST = 20
/** The most urgent of a large fleet are shown with all that is known of them. */
const WHOLE_AT_MOST = 40
/** Details are open from the start only where there are few. */
const OPEN_AT_MOST = 3

/** The same in every language, as in alerts and in the log. */
const instant = (text: string): Markup =>
  html`<time datetime="${text}">${text.replace('T', ' ').replace(/(:\d\d)(\.\d+)?Z$/, '')} UTC</time>`

/** The whole document. Pure. */
export function pageOf(answer: Fleet, language: Language = 'en'): string {
  const words = WORDS[language]
  const now = Date.parse(answer.finishedAt)
  const sorted = byUrgency(answer.results, now)
  const all = countsOf(sorted, now)
  const counts = all.map(
    ([urgency, count]) => html`<li class="${urgency}"><b>${count}</b>${words.urgency[urgency]}</li>`,
  )
  const size = words.size(sorted.length)
  const csp = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
  const isOpen = sorted.length <= OPEN_AT_MOST
  const page = html`<!doctype html>
<html lang="${words.lang}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${csp}"><meta name="robots" content="noindex"><link rel="icon" href="data:,">
<title>iotda-cert: ${size}</title><style>${raw(STYLE)}</style></head>
<body><header><h1>iotda-cert</h1><p class="soft">${words.heading(size, instant(answer.finishedAt))}</p>
<ul class="counts" aria-label="${words.summary}">${counts}</ul></header>
<main><h2>${words.fleet}</h2>${sorted.length > MANY && filterOf(all, words)}${sorted.map((result, i) => targetOf(result, now, { isOpen, isWhole: i < WHOLE_AT_MOST, isOfMany: sorted.length > MANY }, words))}</main>
<footer><p>${words.footer(answer.runId)}</p></footer></body></html>
`
  return page.markup
}

interface Shown {
  readonly isOpen: boolean
  /** With all that is known of it. */
  readonly isWhole: boolean
  readonly isOfMany: boolean
}

function targetOf(result: TargetResult, now: number, shown: Shown, words: Words): Markup {
  const { isOpen, isWhole, isOfMany } = shown
  const urgency = urgencyOf(result, now)
  const life = lifeOf(result)
  const percent = life ? Math.round(shareLeft(life, now) * 100) : 0
  const next = result.kept?.retryAfter ?? result.decision.nextCheckAt
  const isServed = result.outlook.served !== null
  const condition = words.condition(conditionOf(result, now))
  return html`<details class="target"${isOfMany && html` data-state="${urgency}"`}${raw(isOpen ? ' open' : '')}><summary><h3>${nameIn(result)}</h3>
<span class="bar" role="img" aria-label="${words.shareLeft(percent)}"><i class="${urgency}" style="width:${percent}%"></i></span>
<span>${words.left(leftOf(life, now))}</span>
<span class="says ${urgency}">${words.says(words.urgency[urgency], condition)}</span></summary>
<div class="body">${isWhole && timelineOf(result, now, urgency, words)}
${life && html`<p>${words.lasts(isServed, instant(life.notAfter), next === null ? null : instant(next))}</p>`}
${isWhole ? PARTS.map(part => part(result, words)) : html`<p class="soft">${words.more(`iotda-cert status --target ${result.target} --verbose`)}</p>`}</div></details>
`
}

type Section = (result: TargetResult, words: Words) => Markup | null

const notesOf: Section = ({ kept, error, warnings, decision, devices, nextKey }, words) => {
  // Roots that end have a list of their own.
  const news = warnings.filter(({ code }) => code !== 'root-ends' || !devices)
  const { held, trouble, failures = 0 } = kept ?? {}
  return html`<h4>${words.headings.state}</h4><ul class="notes">${[
    error && html`<li class="bad">${words.error(error)}</li>`,
    held && watch(words.held(instant(held.since), held.why)),
    trouble && watch(words.trouble(instant(trouble.since), trouble.event, trouble.severity)),
    failures > 0 && watch(words.failures(failures)),
    news.map(({ code, message }) => watch(words.warning(code, message))),
    nextKey &&
      html`<li>${words.nextKey(instant(nextKey.since), html`<span class="mono">sha256/${nextKey.spki}</span>`)}</li>`,
    html`<li>${words.decision(decision)}</li>`,
  ]}</ul>`
}

const watch = (said: Markup): Markup => html`<li class="watch">${said}</li>`

const slotsOf: Section = ({ seen }, words) => {
  if (!seen) return null
  const { headings, columns } = words
  const leafText = ({ subject, names, issuer, keyType }: ReportedLeaf): string =>
    words.leaf(subject || names.join(', '), keyType, issuer)
  const rows = seen.slots.map(
    ({ serverCertificateId, bound, leaf, expiryDate }) =>
      html`<tr><th scope="row">${bound ? words.bound : words.spare}</th><td>${leaf ? leafText(leaf) : words.unread}</td><td>${instant(leaf?.notAfter ?? expiryDate)}</td><td class="mono hide-small">${leaf ? leaf.fingerprint.slice(0, 16) : serverCertificateId}</td></tr>`,
  )
  const served = seen.served.map(
    ({ address, leaf, error }) =>
      html`<tr><th scope="row">${address}</th><td>${leaf ? leafText(leaf) : error === null ? words.nothing : words.foreign(error)}</td><td>${leaf && instant(leaf.notAfter)}</td><td class="mono hide-small">${leaf?.fingerprint.slice(0, 16)}</td></tr>`,
  )
  return html`<h4>${headings.slots}</h4><div class="scroll"><table><thead><tr><th scope="col">${columns.where}</th><th scope="col">${columns.certificate}</th><th scope="col">${columns.until}</th><th scope="col" class="hide-small">SHA-256</th></tr></thead><tbody>${rows}${served}</tbody></table></div>`
}

/** What each kind of device makes of the chain that it is given. */
const devicesOf: Section = ({ devices }, words) => {
  if (!devices || devices.verdicts.length === 0) return null
  const verdicts = devices.verdicts.map(verdict => {
    const { ok, lines } = verdict
    const mark = ok ? (lines.length > 0 ? 'watch' : 'well') : 'bad'
    const why = lines.map(({ check, reason, remedy }) => html`<li>${words.check(check, reason, remedy)}</li>`)
    return html`<li>${words.verdict(verdict, mark)}${lines.length > 0 && html`<ul class="notes">${why}</ul>`}</li>`
  })
  const ends = devices.ends.map(({ at, what }) => watch(html`${instant(at)}: ${words.foreign(what)}`))
  return html`<h4>${words.headings.devices}</h4><ul class="notes">${verdicts}</ul>${ends.length > 0 && html`<h4>${words.headings.ends}</h4><ul class="notes">${ends}</ul>`}`
}

const tookText = (durationMs: number): string =>
  durationMs >= 1_000 ? `${(durationMs / 1_000).toFixed(1)} s` : `${durationMs} ms`

const stepsOf: Section = ({ kept }, words) => {
  if (!kept || kept.lastSteps.length === 0) return null
  const { headings, columns } = words
  const rows = kept.lastSteps.map(
    ({ step, status, durationMs }) =>
      html`<tr><th scope="row">${words.step(step)}</th><td>${words.status(status)}</td><td class="number">${tookText(durationMs)}</td></tr>`,
  )
  return html`<h4>${headings.steps}</h4><table class="narrow"><thead><tr><th scope="col">${columns.step}</th><th scope="col">${columns.status}</th><th scope="col" class="number">${columns.took}</th></tr></thead><tbody>${rows}</tbody></table>`
}

const historyOf: Section = ({ kept }, words) => {
  if (!kept || kept.history.length === 0) return null
  const { headings, columns } = words
  const rows = kept.history
    .toReversed()
    .slice(0, HISTORY_AT_MOST)
    .map(
      ({ at, outcome, reason, error, until }) =>
        html`<tr><th scope="row">${instant(at)}</th><td>${words.outcome(outcome)}</td><td>${words.why(error ?? reason)}</td><td class="hide-small">${until && instant(until)}</td></tr>`,
    )
  return html`<h4>${headings.history}</h4><div class="scroll"><table><thead><tr><th scope="col">${columns.when}</th><th scope="col">${columns.outcome}</th><th scope="col">${columns.why}</th><th scope="col" class="hide-small">${columns.newUntil}</th></tr></thead><tbody>${rows}</tbody></table></div>`
}

const PARTS: readonly Section[] = [notesOf, onlineOf, devicesOf, slotsOf, stepsOf, historyOf]
