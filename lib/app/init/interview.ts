import { RotationError } from '../../base/rotation-error.ts'
import { readText } from '../../config/load.ts'
import { unreadable } from '../../config/profiles.ts'
import {
  type DriverSettings,
  driverQuestions,
  linkOf,
  notifierOf,
  takesCredentials,
} from './driver-questions.ts'
import { findDnsService, type Look, lookAtCa, lookAtEndpoint, lookAtInstance, lookAtPort } from './look.ts'
import { directoryOf, dnsQuestion, FIXED, type Place, type Question, regionOf } from './questions.ts'

/** A person, or the options of a script. */
export interface Asked {
  /** What was given already, by the key of its question; settings of drivers as `dns.apiToken`. */
  readonly given: Readonly<Record<string, string>>
  /** One answer of the person; null: nobody is there to be asked. */
  readonly ask: ((text: string) => Promise<string>) | null
  readonly say: (text: string) => void
  /** Given ahead: the terms of the CA are agreed to. */
  readonly isAgreed: boolean
  /** Given ahead: what cannot be reached, or is not as expected, is no reason to stop. */
  readonly isBold: boolean
}

export const refused = (message: string, hint: string): RotationError =>
  new RotationError('usage', message, { retry: 'never', hint })

/** What was given must be right, and nobody may be needed who is not there. @throws RotationError `usage` */
export function refuseGaps(
  questions: readonly Question[],
  { given, ask }: Asked,
  more: readonly string[] = [],
): void {
  for (const { key, option, mistake } of questions) {
    const wrong = given[key] === undefined ? null : mistake(given[key])
    if (wrong) throw refused(`--${option} ${wrong}`, 'iotda-cert init --help says more.')
  }
  if (ask) return
  const missing = questions.filter(it => it.preset === null && given[it.key] === undefined)
  const options = [...missing.map(it => `--${it.option}`), ...more]
  if (options.length > 0)
    throw refused(`there is no terminal to ask at: missing ${options.join(', ')}`, 'Give them as options.')
}

/** What was given, or else what the person answers. */
export async function answerTo(
  question: Question,
  asked: Asked,
  preset: string | null = question.preset,
): Promise<string> {
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

export async function agreed(text: string, { ask }: Asked): Promise<boolean> {
  return ask !== null && /^y(es)?$/i.test((await ask(`${text} [y/N]: `)).trim())
}

/** What is not as it should be is said, and the person decides. @throws RotationError `usage` */
export async function decide({ isWell, message }: Look, asked: Asked): Promise<void> {
  asked.say(`  ${message}`)
  if (isWell || asked.isBold || (await agreed('Go on all the same?', asked))) return
  throw refused(`nothing was written: ${message}`, 'Mend it, or go on all the same with --anyway.')
}

/** @throws RotationError `usage` when nobody agrees */
export async function agreeToTerms(ca: string, asked: Asked): Promise<void> {
  const look = await lookAtCa(directoryOf(ca))
  // Nobody agrees to what could not be shown, but who says so ahead.
  if (look.isWell || asked.isAgreed) await decide(look, asked)
  else {
    asked.say(`  ${look.message}`)
    throw refused(
      'nothing was written: the terms of the CA could not be shown',
      'Mend the way to the CA, or read them elsewhere and give --agree-terms.',
    )
  }
  asked.say(`  terms of the CA: ${look.terms ?? (look.isWell ? 'it names none' : 'could not be asked for')}`)
  if (asked.isAgreed || (await agreed('Do you agree to the terms?', asked))) return
  throw refused('nothing was written: the terms of the CA are not agreed to', 'Choose another CA with --ca.')
}

/** Where the domain and its instance are, each looked at as it is answered. */
export async function askInstance(asked: Asked, domainQuestion: Question = FIXED.domain) {
  const domain = await answerTo(domainQuestion, asked)
  const endpoint = await answerTo(FIXED.endpoint, asked)
  const reached = await lookAtEndpoint(endpoint)
  await decide(reached, asked)
  const region = await answerTo(FIXED.region, asked, regionOf(endpoint))
  const project = await answerTo(FIXED.project, asked)
  const instance = await answerTo(FIXED.instance, asked)
  const answers = { domain, endpoint, region, project, instance }
  const look = await lookAtInstance(answers)
  await decide(look, asked)
  // Who cannot reach the one from here is not made to wait for the other.
  const port = reached.isWell ? await lookAtPort(domain) : null
  if (port) asked.say(`  ${port.message}`)
  return { answers, found: { signing: look.signing, keyType: port?.keyType ?? null } }
}

const BLOCK = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g

/** The certificates of a PEM file, or what is wrong with it. */
async function rootsIn(file: string): Promise<{ readonly pem: string } | { readonly mistake: string }> {
  const read = await readText(file).then(
    text => ({ text }),
    ({ code }: NodeJS.ErrnoException) => ({ code }),
  )
  if ('code' in read) return { mistake: `must be a PEM file that can be read (${read.code})` }
  const pem = (read.text.match(BLOCK) ?? []).map(it => `${it}\n`).join('')
  if (pem === '') return { mistake: 'must be a PEM file: there is no certificate in it' }
  const unread = unreadable(pem)
  return unread === null ? { pem } : { mistake: unread }
}

/** PEM of the roots of the devices, as it stands in the settings; null: nothing is said. `usual`: of an empty answer. */
export async function askRoots(asked: Asked, usual: string | null): Promise<string | null> {
  const text =
    usual === null
      ? FIXED.roots.text
      : 'Roots burnt into the devices, a PEM file (empty: those of the first target)'
  for (;;) {
    const answer = await answerTo({ ...FIXED.roots, text }, asked)
    if (answer === '') return usual
    const found = await rootsIn(answer)
    if ('pem' in found) return found.pem
    if (asked.given.roots !== undefined)
      throw refused(`--roots ${found.mistake}`, 'Nothing was written. Give the file that the firmware has.')
    asked.say(`  ${found.mistake}`)
  }
}

const NO_SERVICE = ' (no service that is known here: acmedns, rfc2136, webhook and exec work with any)'

/** Which solver writes the challenges of the domain; its name servers tell the usual ones. */
export async function askDns(domain: string, where: Place, asked: Asked): Promise<string> {
  const question = dnsQuestion(where)
  if (asked.given.dns !== undefined) return asked.given.dns
  const { service, nameServers } = await findDnsService(domain)
  if (nameServers.length > 0)
    asked.say(`  name servers of ${domain}: ${nameServers.join(', ')}${service ? '' : NO_SERVICE}`)
  return answerTo(question, asked, service)
}

/** What a driver that was given as an option has to be told besides, so that all that is missing is said at once. */
export async function driverGaps(
  given: Asked['given'],
  where: Place,
  telling: readonly Question[],
): Promise<readonly Question[]> {
  const fits = (question: Question): boolean => {
    const answer = given[question.key]
    return answer !== undefined && question.mistake(answer) === null
  }
  const isTold = telling.some(fits) && given.tell !== 'none'
  const notifier = isTold ? await notifierOf(given.tell ?? '') : null
  return [
    ...(fits(dnsQuestion(where)) ? await driverQuestions('dns', given.dns ?? '', where) : []),
    ...(notifier ? await driverQuestions('tell', notifier.type, where, notifier.own) : []),
  ]
}

/** Every setting that a driver has to be told, in its own section's form. */
async function settingsOf(
  kind: 'dns' | 'tell',
  { type, own }: { readonly type: string; readonly own: DriverSettings },
  where: Place,
  asked: Asked,
): Promise<DriverSettings> {
  const questions = await driverQuestions(kind, type, where, own)
  refuseGaps(questions, asked)
  // What a channel of the notifier webhook is, people know by its name.
  const isChannel = Object.hasOwn(own, 'format')
  if (questions.length > 0 && asked.ask && !isChannel) asked.say(`  ${type}: ${await linkOf(kind, type)}`)
  const answers: Record<string, string | readonly string[]> = {}
  for (const question of questions) {
    // A password without a user is nobody's.
    if (question.setting === 'password' && answers.username === undefined) continue
    const answer = await answerTo(question, asked)
    if (answer !== '') answers[question.setting] = question.settingOf(answer)
  }
  return answers
}

export type DriverEntry = Readonly<Record<string, string | readonly string[]>>

/** An entry of `solvers`. `credentials`: the name of the keys of Huawei Cloud. */
export async function solverEntry(
  dns: string,
  where: Place,
  credentials: string,
  asked: Asked,
): Promise<DriverEntry> {
  const keys: DriverSettings = (await takesCredentials('dns', dns)) ? { credentials } : {}
  return { type: dns, ...keys, ...(await settingsOf('dns', { type: dns, own: {} }, where, asked)) }
}

/** An entry of `notifiers`; null: nobody is told. */
export async function notifierEntry(
  tell: string,
  where: Place,
  credentials: string,
  asked: Asked,
): Promise<DriverEntry | null> {
  if (tell === 'none') return null
  const { type, own } = await notifierOf(tell)
  const keys: DriverSettings = (await takesCredentials('tell', type)) ? { credentials } : {}
  return { type, ...own, ...keys, ...(await settingsOf('tell', { type, own }, where, asked)) }
}

/** A setting that was given and that nobody asked for would be lost. @throws RotationError `usage` */
export async function refuseStray(
  chosen: Readonly<Record<string, string>>,
  where: Place,
  { given }: Asked,
  more: readonly Question[] = [],
): Promise<void> {
  const told = chosen.tell === undefined || chosen.tell === 'none' ? null : await notifierOf(chosen.tell)
  const known = [
    ...more,
    ...(chosen.dns === undefined ? [] : await driverQuestions('dns', chosen.dns, where)),
    ...(told === null ? [] : await driverQuestions('tell', told.type, where, told.own)),
  ].map(it => it.key)
  const stray = Object.keys(given).find(it => it.includes('.') && !known.includes(it))
  if (stray === undefined) return
  throw refused(
    `--set ${stray}: nobody asks for it`,
    `Asked for: ${known.join(', ') || 'nothing'}. Anything else is added to the file by hand.`,
  )
}
