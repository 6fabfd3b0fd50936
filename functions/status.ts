import { writeFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { RotationError } from '../lib/base/rotation-error.ts'
import type { Language } from '../lib/contracts.ts'
import type { Urgency } from '../lib/present/urgency.ts'
import type { Answer } from '../lib/report/answer.ts'
import type { TargetResult } from '../lib/report/result.ts'
import { forms } from './commands.ts'
import { isColoured } from './output.ts'
import { toFit } from './shell/terminal.ts'

interface Flags {
  readonly watch?: string | true
  readonly json?: boolean
  readonly prometheus?: boolean
  readonly html?: string
  readonly state?: string
  readonly name?: string
  readonly verbose?: boolean
}

/** The forms that a status has besides the common ones. */
export function statusOptions(command: Command): void {
  command
    .option('--state <state>', 'only targets that are bad, watch (look at it) or well')
    .option('--name <text>', 'only targets with this in their names')
    .option('--html <file>', 'also as one page to look at, without any request to elsewhere')
    .option('--prometheus', 'metrics in the text format of Prometheus')
    .option('--watch [every]', 'draw it again and again until Ctrl-C (default: every 30s)')
}

/** @throws RotationError `usage` */
export function refuseForms(flags: Flags): void {
  const forms = (['watch', 'prometheus', 'json', 'html'] as const).filter(it => flags[it] !== undefined)
  if (flags.state !== undefined && !STATES.some(it => it === flags.state))
    throw new RotationError('usage', '--state names no state', {
      retry: 'never',
      hint: `States: ${STATES.join(', ')}.`,
    })
  // A page is written besides.
  const [one, other] = flags.watch === undefined ? forms.filter(it => it !== 'html') : forms
  if (one === undefined || other === undefined) return
  throw new RotationError('usage', `--${one} and --${other} are two forms: give one of them`, {
    retry: 'never',
    hint: 'iotda-cert status --help says more.',
  })
}

const STATES: readonly Urgency[] = ['bad', 'watch', 'well']

/** The targets that are asked for; `ok` and the exit code go by all. @throws RotationError `usage` */
export async function narrowed(answer: Answer, { state, name }: Flags): Promise<Answer> {
  if (state === undefined && name === undefined) return answer
  const { urgencyOf } = await forms.urgency()
  const now = Date.parse(answer.finishedAt)
  const isShown = (result: TargetResult): boolean =>
    (state === undefined || urgencyOf(result, now) === state) &&
    (name === undefined || result.target.toLowerCase().includes(name.toLowerCase()))
  return { ...answer, results: answer.results.filter(isShown) }
}

/** What goes to standard output; null: what every command says. Writes the page, in its language. */
export async function statusOutput(answer: Answer, flags: Flags, language: Language): Promise<string | null> {
  if (flags.html !== undefined) {
    const { pageOf } = await forms.page()
    await writePage(flags.html, pageOf(answer, language))
  }
  if (flags.prometheus) return (await forms.prometheus()).prometheusText(answer)
  if (flags.json) return null
  const { overviewText } = await forms.overview()
  const width = process.stdout.columns ?? Number.POSITIVE_INFINITY
  return toFit(overviewText(answer, { colour: isColoured(), width, isLong: Boolean(flags.verbose) }))
}

async function writePage(file: string, page: string): Promise<void> {
  await writeFile(file, page).catch((error: NodeJS.ErrnoException) => {
    throw new RotationError('usage', `the page cannot be written to ${file} (${error.code})`, {
      retry: 'never',
      hint: 'Give a file in a folder that is there.',
    })
  })
}
