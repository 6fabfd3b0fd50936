import { conditionText, counted, type Left, leftText, type Urgency } from '../urgency.ts'
import { html, type Markup } from './html.ts'

/** All words of the page; `Words` is what another language has to say. */
export const ENGLISH = {
  /** BCP 47. */
  lang: 'en',
  size: (count: number) => counted(count, 'target'),
  heading: (size: string, at: Markup) => html`${size}, as of ${at}; most urgent first`,
  summary: 'Summary',
  show: 'Show',
  all: 'all',
  more: (command: string) => html`More: <span class="mono">${command}</span>`,
  fleet: 'Fleet',
  footer: (runId: string) =>
    html`Run ${runId}. What each state means and what to do about it stands in RUNBOOK.md.`,
  urgency: { bad: 'act now', watch: 'look at it', well: 'well' } satisfies Record<Urgency, string>,
  says: (urgency: string, condition: string) => `${urgency}: ${condition}`,
  condition: conditionText,
  shareLeft: (percent: number) => `${percent} percent of its lifetime left`,
  left: (left: Left | null) => html`<b>${leftText(left)}</b>${left && left.amount >= 0 && ' left'}`,
  lasts: (isServed: boolean, until: Markup, next: Markup | null) =>
    html`${isServed ? 'Served' : 'Bound'} until ${until}${next && html`; next check ${next}`}.`,
  headings: {
    state: 'State',
    slots: 'Slots and what is served',
    devices: 'What devices make of it',
    online: 'Devices online',
    ends: 'Trust that ends',
    steps: 'Steps of the last run that did something',
    history: 'History',
  },
  columns: {
    where: 'where',
    certificate: 'certificate',
    until: 'until',
    step: 'step',
    status: 'status',
    took: 'took',
    when: 'when',
    outcome: 'outcome',
    why: 'why',
    newUntil: 'new until',
  },
  /** What others say: a CA, a service, an error. It is English, whatever the page is. */
  foreign: (text: string) => html`${text}`,
  error: ({ code, message, hint }: Said) => html`${code}: ${message}${hint && ` ${hint}`}`,
  warning: (code: string, message: string) => html`${code}: ${message}`,
  held: (since: Markup, why: string) => html`Held since ${since}: ${why}`,
  trouble: (since: Markup, event: string, severity: string) =>
    html`Told since ${since}: ${event}, ${severity}`,
  failures: (count: number) => html`${counted(count, 'failure')} in a row`,
  nextKey: (since: Markup, pin: Markup) => html`Next key, announced since ${since}: ${pin}`,
  decision: ({ due, detail }: Decided) => html`${due ? 'Due' : 'Idle'}: ${detail}`,
  bound: 'bound',
  spare: 'spare',
  unread: 'cannot be read',
  nothing: 'nothing',
  leaf: (name: string, keyType: string, issuer: string) => `${name}, ${keyType}, by ${issuer}`,
  verdict: ({ profile, ok, address }: Verdict, mark: string) =>
    html`<b>${profile ?? 'any device'}</b> <span class="${mark}">${ok ? 'accepts' : 'refuses'}</span> what is ${address === null ? 'bound' : `served at ${address}`}`,
  check: (check: string, reason: string | null, remedy: string | null) =>
    html`${check}: ${reason}${remedy && `. To do: ${remedy}`}`,
  step: (step: string) => step,
  status: (status: string) => status,
  outcome: (outcome: string) => outcome,
  /** An error code, or why a run did something. */
  why: (code: string) => code,
  online: {
    label: ({ at, count, usual }: Count, bind: Bind | null) =>
      [
        `Devices online: ${count} at ${at}`,
        usual === null ? 'how many are usual is not known' : `${usual} are usual`,
        ...(bind ? [`a certificate was bound at ${bind.boundAt}`] : []),
        ...(bind && bind.fewest !== null ? [`${bind.fewest} at least since then`] : []),
      ].join(', '),
    count: 'devices online',
    usual: 'usual at that hour',
    bound: (at: string) => `a certificate was bound at ${at}`,
    legend: 'the dashed line is usual; the upright one is the change of the certificate',
  },
  timeline: {
    label: (said: readonly string[]) => `Time line: ${said.join(', ')}`,
    served: (until: string) => `served until ${until}`,
    unseen: 'nothing was seen',
    rotations: (count: number) => counted(count, 'rotation'),
    failures: (count: number) => counted(count, 'failure'),
    suggested: (start: string, end: string) => `the CA suggests ${start} to ${end}`,
    window: 'renewal window of the CA',
    life: (from: string, until: string) => `${from} to ${until}`,
    event: (outcome: string, at: string, error: string | null) =>
      `${outcome} at ${at}${error === null ? '' : `: ${error}`}`,
    ends: ({ what }: { readonly at: string; readonly what: string }) => what,
    legend: 'failures above, rotations below; the long line is now',
  },
}

export type Words = typeof ENGLISH

interface Count {
  readonly at: string
  readonly count: number
  readonly usual: number | null
}
interface Bind {
  readonly boundAt: string
  /** Null: nothing was counted since. */
  readonly fewest: number | null
}
interface Said {
  readonly code: string
  readonly message: string
  readonly hint: string | null
}
interface Decided {
  readonly due: boolean
  readonly reason: string
  readonly detail: string
}
interface Verdict {
  readonly profile: string | null
  readonly ok: boolean
  readonly address: string | null
}
