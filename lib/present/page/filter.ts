import type { Urgency } from '../urgency.ts'
import type { Words } from './english.ts'
import { html, type Markup } from './html.ts'

/** So many targets are found by eye; of more, one state can be looked at alone. */
export const MANY = 30

/** Chooses whose targets are shown, by the style sheet alone. Names are found by the search of the browser. */
export const filterOf = (counts: readonly (readonly [Urgency, number])[], words: Words): Markup =>
  html`<fieldset class="filter"><legend>${words.show}</legend><label><input type="radio" name="show" checked> ${words.all}</label>${counts
    .filter(([, count]) => count > 0)
    .map(
      ([urgency]) =>
        html` <label><input type="radio" name="show" id="show-${urgency}"> ${words.urgency[urgency]}</label>`,
    )}</fieldset>`
