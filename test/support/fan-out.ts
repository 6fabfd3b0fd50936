/** A fleet whose scheduled run hands on by a queue, and what takes the messages of it. */
import { queuedEvent } from '../../functions/queue/messages.ts'
import type { RunEvent } from '../../lib/model/outcomes.ts'
import type { Answer } from '../../lib/report/answer.ts'
import type { TargetResult } from '../../lib/report/result.ts'
import { createSqs, type Sqs } from '../../sandbox/sqs.ts'
import { AWS_KEY, AWS_SECRET, AWS_TOKEN, awsKeys, REGION } from '../stores/cloud.ts'
import { cleanups } from './cleanups.ts'
import { type Fleet, type FleetOptions, openFleet } from './fleet.ts'
import { createMortal, type Death } from './mortal.ts'
import { runEvent } from './run-event.ts'

export type Results = Readonly<Record<string, TargetResult>>

export interface FanOut extends Fleet {
  readonly queue: Sqs
  /** A scheduled run over everything; null: it died. */
  sweep(death?: Death): Promise<Results | null>
  /** The function takes one message, as the event source mapping gives it; null: there is none, or it died. */
  take(death?: Death): Promise<Results | null>
  /** Until nothing is to be received. */
  takeAll(): Promise<readonly Results[]>
  bodies(): readonly unknown[]
}

export async function openFanOut(names: readonly string[], options: FleetOptions = {}): Promise<FanOut> {
  const keys = { accessKeyId: AWS_KEY, secretAccessKey: AWS_SECRET, sessionToken: AWS_TOKEN }
  let queue: Sqs | null = null
  const fleet = await openFleet(names, {
    daysLeft: 20,
    ...options,
    prepare: async s => {
      queue = await createSqs({ faults: s.faults, keys: awsKeys, now: s.clock.now })
      cleanups.push(queue.dispose)
    },
    change: settings => {
      settings.schedule = {
        fanOut: { type: 'sqs', queueUrl: queue?.queueUrl, region: REGION, endpoint: queue?.url, ...keys },
      }
      options.change?.(settings)
    },
  })
  if (queue === null) throw new Error('there is no queue')
  const made: Sqs = queue
  const { rig, clock } = fleet.s
  const mortal = createMortal()
  cleanups.push(mortal.close)
  const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }
  const ask = async (event: RunEvent, trigger: 'schedule' | 'queue', death: Death | null) => {
    const deadline = clock.now() + 900_000
    const request = { config: rig.settingsFile, event, trigger, deadline, log, clock, takesMessages: true }
    const answer: Answer | null = await mortal.run(request, death)
    return answer && Object.fromEntries(answer.results.map(result => [result.target, result]))
  }
  const take: FanOut['take'] = async (death = undefined) => {
    const message = made.receive()
    if (!message) return null
    const ended = await ask(queuedEvent(message.body), 'queue', death ?? null)
    if (ended && !Object.values(ended).some(it => it.outcome === 'failed')) made.remove(message.messageId)
    return ended
  }
  return {
    ...fleet,
    queue: made,
    sweep: death => ask(runEvent({}), 'schedule', death ?? null),
    take,
    takeAll: async () => {
      const all: Results[] = []
      for (let ended = await take(); ended; ended = await take()) all.push(ended)
      return all
    },
    bodies: () => made.waiting().map(it => JSON.parse(it.body)),
  }
}
