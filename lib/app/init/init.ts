import { settingsText } from './compose.ts'
import { channels } from './driver-questions.ts'
import {
  type Asked,
  agreeToTerms,
  answerTo,
  askDns,
  askInstance,
  askRoots,
  driverGaps,
  notifierEntry,
  refused,
  refuseGaps,
  refuseStray,
  solverEntry,
} from './interview.ts'
import { type Answers, dnsQuestion, FIXED, type Place, tellQuestion } from './questions.ts'

/** What the command is told of besides. */
export { askTarget, settingsIn } from './add-target.ts'
export { nextSteps } from './next-steps.ts'

/** Asks, looks at each answer, and returns the settings as a text. @throws RotationError `usage` */
export async function askSettings(asked: Asked): Promise<string> {
  const { given, isAgreed } = asked
  const tellOf = tellQuestion(await channels())
  const there = (given.where ?? FIXED.where.preset) as Place
  const questions = [...Object.values(FIXED), dnsQuestion(there), tellOf]
  const more = await driverGaps(given, there, [tellOf])
  refuseGaps([...questions, ...more], asked, isAgreed ? [] : ['--agree-terms'])
  const { answers: place, found } = await askInstance(asked)
  const where = (await answerTo(FIXED.where, asked)) as Place
  if (where === 'functiongraph' && !place.project)
    throw refused(
      'FunctionGraph keeps its state in CSMS, of a project: nothing was written',
      'Begin again with --project-id ID.',
    )
  const dns = await askDns(place.domain, where, asked)
  const solver = await solverEntry(dns, where, 'cn', asked)
  const devices = await answerTo(FIXED.devices, asked)
  const roots = await askRoots(asked, null)
  const tell = await answerTo(tellOf, asked)
  const notifier = await notifierEntry(tell, where, 'cn', asked)
  await refuseStray({ dns, tell }, where, asked)
  const email = await answerTo(FIXED.email, asked)
  const ca = await answerTo(FIXED.ca, asked)
  await agreeToTerms(ca, asked)
  const answers: Answers = { ...place, where, dns, devices, tell, email, ca }
  return settingsText(answers, found, { solver, notifier, roots })
}
