import { RotationError } from '../../base/rotation-error.ts'
import { settingsText } from './compose.ts'
import { findDnsService, type Look, lookAtCa, lookAtEndpoint, lookAtInstance } from './look.ts'
import { type Answers, directoryOf, QUESTIONS, type Question, regionOf } from './questions.ts'

/** What the command is told of besides. */
export { nextCommands } from './compose.ts'

/** A person, or the options of a script. */
export interface Asked {
  /** What was given already, by the key of its question. */
  readonly given: Partial<Answers>
  /** One answer of the person; null: nobody is there to be asked. */
  readonly ask: ((text: string) => Promise<string>) | null
  readonly say: (text: string) => void
  /** Given ahead: the terms of the CA are agreed to. */
  readonly isAgreed: boolean
  /** Given ahead: what cannot be reached, or is not as expected, is no reason to stop. */
  readonly isBold: boolean
}

const usage = (message: string, hint: string): RotationError =>
  new RotationError('usage', message, { retry: 'never', hint })

function refuseGaps({ given, ask, isAgreed }: Asked): void {
  for (const { key, option, mistake } of QUESTIONS) {
    const wrong = given[key] === undefined ? null : mistake(given[key])
    if (wrong) throw usage(`--${option} ${wrong}`, 'iotda-cert init --help says more.')
  }
  if (ask) return
  const missing = QUESTIONS.filter(it => it.preset === null && given[it.key] === undefined)
  const options = [...missing.map(it => `--${it.option}`), ...(isAgreed ? [] : ['--agree-terms'])]
  if (options.length > 0)
    throw usage(`there is no terminal to ask at: missing ${options.join(', ')}`, 'Give them as options.')
}

async function answerTo(question: Question, preset: string | null, asked: Asked): Promise<string> {
  const { given, ask, say } = asked
  const ready = given[question.key]
  if (ready !== undefined) return ready
  if (!ask) return preset ?? ''
  for (;;) {
    const said = (await ask(`${question.text}${preset ? ` [${preset}]` : ''}: `)).trim()
    const answer = said === '' && preset !== null ? preset : said
    const wrong = question.mistake(answer)
    if (wrong === null) return answer
    say(`  ${wrong}`)
  }
}

async function agreed(text: string, { ask }: Asked): Promise<boolean> {
  return ask !== null && /^y(es)?$/i.test((await ask(`${text} [y/N]: `)).trim())
}

/** What is not as it should be is said, and the person decides. */
async function decide({ isWell, message }: Look, asked: Asked): Promise<void> {
  asked.say(`  ${message}`)
  if (isWell || asked.isBold || (await agreed('Go on all the same?', asked))) return
  throw usage(`nothing was written: ${message}`, 'Mend it, or go on all the same with --anyway.')
}

async function presetFor({ key, preset }: Question, answers: Partial<Answers>): Promise<string | null> {
  if (key === 'region') return regionOf(answers.endpoint ?? '') ?? preset
  return key === 'dns' ? ((await findDnsService(answers.domain ?? '')) ?? preset) : preset
}

async function agreeToTerms(ca: string, asked: Asked): Promise<void> {
  const look = await lookAtCa(directoryOf(ca))
  await decide(look, asked)
  // Nobody agrees to what could not be shown, but who says so ahead.
  if (!look.isWell && !asked.isAgreed)
    throw usage(
      'nothing was written: the terms of the CA could not be shown',
      'Mend the way to the CA, or read them elsewhere and give --agree-terms.',
    )
  asked.say(`  terms of the CA: ${look.terms ?? (look.isWell ? 'it names none' : 'could not be asked for')}`)
  if (asked.isAgreed || (await agreed('Do you agree to the terms?', asked))) return
  throw usage('nothing was written: the terms of the CA are not agreed to', 'Choose another CA with --ca.')
}

/** Asks, looks at each answer, and returns the settings as a text. @throws RotationError `usage` */
export async function askSettings(asked: Asked): Promise<string> {
  refuseGaps(asked)
  const answers: { -readonly [Key in keyof Answers]?: string } = {}
  let signing: 'standard' | 'derived' | null = null
  for (const question of QUESTIONS) {
    const preset = asked.given[question.key] === undefined ? await presetFor(question, answers) : null
    answers[question.key] = await answerTo(question, preset, asked)
    if (answers.where === 'functiongraph' && !answers.project)
      throw usage(
        'FunctionGraph keeps its state in CSMS, of a project: nothing was written',
        'Begin again with --project-id ID.',
      )
    if (question.key === 'endpoint') await decide(await lookAtEndpoint(answers.endpoint ?? ''), asked)
    if (question.key !== 'instance') continue
    const look = await lookAtInstance(answers as Answers)
    await decide(look, asked)
    signing = look.signing
  }
  await agreeToTerms(answers.ca ?? '', asked)
  return settingsText(answers as Answers, { signing })
}
