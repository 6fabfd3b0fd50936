/** A fleet that is divided: functions with a part of the targets and a state of their own, and all of them on one page. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { run } from '../../lib/app/run.ts'
import { silentLog } from '../../lib/base/log.ts'
import type { RunEvent } from '../../lib/model/outcomes.ts'
import { overviewText } from '../../lib/present/overview.ts'
import { pageOf } from '../../lib/present/page/page.ts'
import type { Answer } from '../../lib/report/answer.ts'
import { failureOf } from '../support/failure.ts'
import { openFleet } from '../support/fleet.ts'
import { runEvent } from '../support/run-event.ts'
import { HOUR_MS } from '../support/scenario.ts'

/** Of three shards two each; of five, two of them stand in the fourth and one in the fifth. */
const NAMES = ['plant-0', 'plant-3', 'plant-9', 'plant-10', 'plant-1', 'plant-8']

async function openShards(shards: number, options: { daysLeft?: number; isShared?: boolean } = {}) {
  let schedule: object = { shards }
  const fleet = await openFleet(NAMES, {
    daysLeft: 20,
    ...options,
    change: settings => {
      settings.schedule = schedule
    },
  })
  const { s } = fleet
  /** A function of one shard; null: the command line. */
  const ask = (shard: string | null, event: Partial<RunEvent> = {}): Promise<Answer> =>
    run({
      config: s.rig.settingsFile,
      event: runEvent(event),
      trigger: 'schedule',
      deadline: s.clock.now() + 900_000,
      log: silentLog,
      clock: s.clock,
      surroundings: { env: shard === null ? {} : { IOTDA_CERT_SHARD: shard }, folder: s.rig.folder },
    })
  const divide = (other: object): Promise<void> => {
    schedule = other
    return fleet.configure()
  }
  return { ...fleet, ask, divide }
}

const outcomesOf = ({ results }: Answer) => Object.fromEntries(results.map(it => [it.target, it.outcome]))
const shardsOf = ({ results }: Answer) => Object.fromEntries(results.map(it => [it.target, it.shard]))
const all = (outcome: string) => Object.fromEntries(NAMES.map(name => [name, outcome]))

test('each function rotates its own, and keeps its own state; the command line tells of all, with the shard of each', async () => {
  const { ask, s } = await openShards(3)
  expect(outcomesOf(await ask('1/3'))).toEqual({ 'plant-0': 'rotated', 'plant-3': 'rotated' })
  expect(outcomesOf(await ask('3/3'))).toEqual({ 'plant-1': 'rotated', 'plant-8': 'rotated' })
  const status = await ask(null, { action: 'status' })
  expect(shardsOf(status)).toEqual({
    ...{ 'plant-0': '1/3', 'plant-3': '1/3', 'plant-9': '2/3' },
    ...{ 'plant-10': '2/3', 'plant-1': '3/3', 'plant-8': '3/3' },
  })
  // One shard has never run.
  expect(status.lastRun).toBeNull()
  expect(outcomesOf(await ask('2/3'))).toEqual({ 'plant-9': 'rotated', 'plant-10': 'rotated' })
  const now = await ask(null, { action: 'status' })
  expect(now.lastRun).toMatchObject({ ok: true })
  expect(now.results.every(it => it.kept?.history.length === 1)).toBe(true)
  expect(pageOf(now)).toContain('plant-8 (shard 3/3)')
  const style = { colour: false, width: 200, isLong: true }
  expect(overviewText(now, style)).toContain('plant-8 (shard 3/3)')
  const plan = await ask(null, { action: 'plan', targets: ['plant-8'] })
  expect(plan.results.map(it => [it.target, it.shard])).toEqual([['plant-8', '3/3']])
  expect(await readdir(join(s.rig.folder, 'state'))).toEqual(
    expect.arrayContaining(['shard-1', 'shard-2', 'shard-3']),
  )
  expect(s.obtained()).toBe(6)
})

test('targets that share a certificate stay together, and are one order', async () => {
  const { ask, s } = await openShards(3, { isShared: true })
  const answers = [await ask('1/3'), await ask('2/3'), await ask('3/3')]
  expect(answers.map(it => it.results.length).toSorted()).toEqual([0, 0, 6])
  expect(s.obtained()).toBe(1)
})

test('a function knows no target of another shard', async () => {
  const { ask } = await openShards(3)
  const error = await failureOf(ask('1/3', { targets: ['plant-8'] }))
  expect(error.message).toBe('there is no target "plant-8"')
})

test('what a person does on the command line is done in the state of that shard', async () => {
  const { ask } = await openShards(3, { daysLeft: 60 })
  await ask(null, { action: 'hold', targets: ['plant-8'] })
  expect(outcomesOf(await ask('3/3'))).toEqual({ 'plant-1': 'idle', 'plant-8': 'held' })
  await ask(null, { action: 'resume', targets: ['plant-8'] })
  expect(outcomesOf(await ask('3/3'))).toEqual({ 'plant-1': 'idle', 'plant-8': 'idle' })
})

test.each([
  ['more', { shards: 3 }, { shards: 5, shardsPrevious: 3 }],
  ['fewer', { shards: 5 }, { shards: 3, shardsPrevious: 5 }],
  ['divided for the first time', { shards: 1 }, { shards: 3, shardsPrevious: 1 }],
  ['one again', { shards: 3 }, { shards: 1, shardsPrevious: 3 }],
])(
  '%s shards: with the number before, holds and histories are taken along; and stay when that is left out',
  async (_, before, after) => {
    const fleet = await openShards(1)
    const { ask, divide, s } = fleet
    const functions = async ({ shards }: { shards: number }) => {
      const answers: Answer[] = []
      for (let i = 1; i <= shards; i += 1) answers.push(await ask(shards === 1 ? null : `${i}/${shards}`))
      return Object.assign({}, ...answers.map(outcomesOf))
    }
    await divide(before)
    expect(await functions(before)).toEqual(all('rotated'))
    for (const name of NAMES) await ask(null, { action: 'hold', targets: [name] })
    const { length } = s.ids()
    await divide(after)
    s.clock.advance(HOUR_MS)
    expect(await functions(after)).toEqual(all('held'))
    await divide({ shards: after.shards })
    const status = await ask(null, { action: 'status' })
    expect(status.results.map(it => it.kept?.held !== null)).toEqual(NAMES.map(() => true))
    expect(status.results.map(it => it.kept?.history.length)).toEqual(NAMES.map(() => 1))
    for (const name of NAMES) await ask(null, { action: 'resume', targets: [name] })
    expect(await functions(after)).toEqual(all('idle'))
    expect(s.obtained()).toBe(6)
    expect(s.ids()).toHaveLength(length)
  },
)

test('another number without the one before: what is bound is adopted, nothing is ordered, and the history is gone', async () => {
  const { ask, divide, s } = await openShards(3)
  for (const shard of ['1/3', '2/3', '3/3']) await ask(shard)
  await divide({ shards: 1 })
  s.clock.advance(HOUR_MS)
  expect(outcomesOf(await ask(null))).toEqual(all('idle'))
  const status = await ask(null, { action: 'status' })
  expect(status.results.map(it => it.kept?.history.length)).toEqual(NAMES.map(() => 0))
  expect(s.obtained()).toBe(6)
})

test('functions of another number than the settings say stop before anything is touched', async () => {
  const { ask, divide, s } = await openShards(3)
  const calls = s.faults.calls.length
  for (const [shard, why] of [
    ['2/4', 'schedule.shards: is 3, and IOTDA_CERT_SHARD says 2/4'],
    ['4/3', 'schedule.shards: IOTDA_CERT_SHARD must be such as 2/3'],
  ] as const)
    expect((await failureOf(ask(shard))).message).toContain(why)
  await divide({ shards: 3, shardsPrevious: 0 })
  expect((await failureOf(ask('1/3'))).message).toContain('schedule.shardsPrevious: must be 1 to 50')
  await s.configure(settings => {
    settings.schedule = { shards: 2 }
    settings.statusPage = { publish: true }
    settings.rollout = { rings: [{ name: 'all', targets: ['*'] }] }
  })
  const { message } = await failureOf(ask('1/2'))
  expect(message).toContain('rollout: each of 2 shards has a state of its own')
  expect(message).toContain('statusPage.publish: each of 2 shards would put its own page there')
  expect(s.faults.calls).toHaveLength(calls)
})
