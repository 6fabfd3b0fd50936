import { inParallel } from '../../base/parallel.ts'
import { createQueue, MESSAGES_AT_MOST, type Queue } from '../../clouds/aws/sqs.ts'
import type { Settings } from '../../config/load.ts'
import type { Target } from '../../model/target.ts'
import type { TargetResult } from '../../report/result.ts'
import type { Session } from '../session.ts'

/** A target that is due, and that this run has not begun to rotate. */
export interface Postponed {
  readonly target: Target
  readonly emergency: boolean
}

export interface HandingOn {
  readonly fanOut: NonNullable<Settings['fanOut']>
  readonly session: Pick<Session, 'run' | 'http'>
  readonly concurrency: number
  /** Of every target, in the order of the answer. */
  readonly results: readonly TargetResult[]
  readonly postponed: readonly Postponed[]
  /** Rotates a target in this run. */
  readonly attend: (target: Target) => Promise<TargetResult>
}

/** A message has 256 KB at most, with all others of its call. */
const TARGETS_AT_MOST = 250
const CALLS_AT_ONCE = 4
const NO_QUEUE = 'no queue is named: set schedule.fanOut.queueUrl, or IOTDA_CERT_QUEUE_URL'

/**
 * Sends what is due to the queue, where runs of their own take it. An emergency is not sent, and what could not be
 * sent is rotated in this run, the most urgent first: a queue that cannot be reached, or that nobody empties, cuts no
 * device off. Returns the results, changed where that says more. Never throws.
 */
export async function handOn(given: HandingOn): Promise<readonly TargetResult[]> {
  const { results, concurrency, attend } = given
  const due = new Map(given.postponed.map(it => [it.target.name, it]))
  // Targets end in any order; messages name them in that of the settings.
  const postponed = results.flatMap(result => due.get(result.target) ?? [])
  const attendAll = (targets: readonly Target[]) => inParallel(byEnd(targets, results), concurrency, attend)
  const [urgent, unsent] = await Promise.all([
    attendAll(postponed.filter(it => it.emergency).map(it => it.target)),
    sendAll(given, messagesFor(postponed.filter(it => !it.emergency).map(it => it.target))),
  ])
  const own = await attendAll([...unsent.keys()])
  const attended = new Map([...urgent, ...own].map(result => [result.target, result]))
  const why = new Map([...unsent].map(([{ name }, reason]) => [name, reason]))
  return results.map(result => {
    const { target } = result
    const now = attended.get(target)
    if (now) return withReason(now, why.get(target))
    return due.has(target) ? asSent(result) : result
  })
}

const asSent = (result: TargetResult): TargetResult => ({
  ...result,
  decision: { ...result.decision, detail: `${result.decision.detail}; sent to the queue of schedule.fanOut` },
})

const withReason = (result: TargetResult, why: string | undefined): TargetResult => {
  if (why === undefined) return result
  const message = `${why}; this run looked after ${result.target} itself`
  return { ...result, warnings: [...result.warnings, { code: 'not-handed-on', message }] }
}

/** Those first whose certificate ends first; before all, those of which nothing is known. */
function byEnd(targets: readonly Target[], results: readonly TargetResult[]): readonly Target[] {
  const ends = new Map(results.map(({ target, outlook: { bound } }) => [target, bound?.notAfter ?? '']))
  const endOf = ({ name }: Target): string => ends.get(name) ?? ''
  return targets.toSorted((a, b) => endOf(a).localeCompare(endOf(b)))
}

interface Message {
  readonly targets: readonly Target[]
  readonly body: string
}

/** One for each certificate: targets that share it would only wait for each other. Pure. */
export function messagesFor(targets: readonly Target[]): readonly Message[] {
  const shared = new Map<string, Target[]>()
  for (const target of targets)
    shared.set(target.certificate, [...(shared.get(target.certificate) ?? []), target])
  return [...shared.values()]
    .flatMap(all => chunks(all, TARGETS_AT_MOST))
    .map(some => ({
      targets: some,
      body: JSON.stringify({ action: 'rotate', targets: some.map(it => it.name) }),
    }))
}

const chunks = <T>(all: readonly T[], size: number): readonly (readonly T[])[] =>
  Array.from({ length: Math.ceil(all.length / size) }, (_, i) => all.slice(i * size, (i + 1) * size))

/** The targets that were not sent, and why not. */
async function sendAll(given: HandingOn, messages: readonly Message[]): Promise<ReadonlyMap<Target, string>> {
  const send = queueOf(given)
  const unsent = new Map<Target, string>()
  let isBroken = false
  await inParallel(chunks(messages, MESSAGES_AT_MOST), CALLS_AT_ONCE, async some => {
    // A service that takes nothing is not waited for again and again.
    const why = isBroken ? some.map(() => 'the queue takes nothing') : await send(some.map(it => it.body))
    isBroken ||= why.every(it => it !== null)
    some.forEach(({ targets }, i) => {
      const reason = why[i] ?? null
      if (reason !== null) for (const target of targets) unsent.set(target, reason)
    })
  })
  const [reason] = unsent.values()
  const { log } = given.session.run
  if (reason !== undefined)
    log.warn({ targets: unsent.size, error: reason }, 'not all targets were handed on')
  return unsent
}

function queueOf({ fanOut, session: { run, http } }: HandingOn): Queue {
  const { queueUrl, endpoint, region, caCertificates, ...keys } = fanOut
  if (queueUrl === null) return async messages => messages.map(() => NO_QUEUE)
  const { clock, signal } = run
  return createQueue({ http: http(caCertificates), clock, signal, keys, region, endpoint, queueUrl })
}
