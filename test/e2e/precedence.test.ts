/**
 * What stands in the way of what, each pair of neighbours: identity and delete guards > the CA's Retry-After and the
 * budget > lease > held > preflight > emergency > soak and change window > back-off.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { newWriter } from '../../lib/stores/shared/writer.ts'
import { put } from '../support/put.ts'
import {
  ADD,
  BIND,
  DAY_MS,
  HOUR_MS,
  openDue,
  openScenario,
  type Scenario,
  type ScenarioOptions,
} from '../support/scenario.ts'

/** Days, of 90: the emergency begins at 4.5. */
const IN_EMERGENCY = 16

/** A CA that wants to hear nothing for a day. */
const refuseOrders = async (s: Scenario): Promise<void> => {
  s.faults.add({ operations: ['acme.NewOrder'], status: 429, headers: { 'retry-after': '86400' } })
  expect(await s.run({ force: true })).toMatchObject({ outcome: 'failed', error: { code: 'rate-limited' } })
  expect(await s.run()).toMatchObject({ decision: { reason: 'paused' } })
  s.changes()
}

/** Another rotator is at work on the instance, for five minutes. */
const takeLease = async (s: Scenario): Promise<() => Promise<boolean>> => {
  const folder = join(s.rig.folder, 'state', 'leases')
  const [name = ''] = await readdir(folder)
  const text = `${JSON.stringify({ schema: 1, writer: newWriter(), runId: 'theirs', until: s.clock.now() + 300_000 })}\n`
  await writeFile(join(folder, name), text)
  return async () => (await readFile(join(folder, name), 'utf8')) === text
}

/** Due, and the lease was held once, so that there is one to be taken. */
const openLeased = async (options?: ScenarioOptions): Promise<{ s: Scenario; bound: string }> => {
  const opened = await openDue(options)
  expect(await opened.s.run({ until: 'obtain' })).toMatchObject({ outcome: 'suspended' })
  await opened.s.run({ action: 'resume' })
  return opened
}

const bindWindowIn = (s: Scenario, hours: number): string => {
  const hour = (ahead: number): string =>
    `${String((new Date(s.clock.now()).getUTCHours() + ahead) % 24).padStart(2, '0')}:00`
  return `* ${hour(hours)}-${hour(hours + 2)} UTC`
}

describe("identity and delete guards > the CA's Retry-After and the budget", () => {
  test('a configuration of another domain is told at once, although the CA wants to hear nothing', async () => {
    const { s, bound } = await openDue()
    await refuseOrders(s)
    Object.assign(s.iotda.configurations()[0] ?? {}, { domain_name: 'other.example.com' })
    expect(await s.run()).toMatchObject({ outcome: 'failed', error: { code: 'domain-mismatch' } })
    expect(s.boundId()).toBe(bound)
    expect(s.changes()).toEqual([])
  })

  test('what the guard protects is not deleted to use an order that the budget still allows', async () => {
    const s = await openScenario()
    const bound = await s.bindOne(20)
    const staged = await s.upload(-1, 89)
    expect(await s.run()).toMatchObject({ outcome: 'suspended', deleted: [] })
    expect(s.obtained()).toBe(0)
    expect(s.ids().toSorted()).toEqual([bound, staged].toSorted())
  })
})

describe("the CA's Retry-After and the budget > lease", () => {
  test('a run that may not order does not ask for the lease, and says what it really waits for', async () => {
    const { s } = await openDue()
    await refuseOrders(s)
    const isUntouched = await takeLease(s)
    expect(await s.run({ force: true })).toMatchObject({
      outcome: 'suspended',
      decision: { due: false, reason: 'paused' },
    })
    expect(await isUntouched()).toBe(true)
  })
})

describe('lease > held', () => {
  test.each([
    ['a person', { force: true }, 0],
    ['the emergency', {}, IN_EMERGENCY],
  ])('%s may leave the hold, but not while another run is at work', async (_, event, days) => {
    const { s, bound } = await openLeased()
    await s.run({ action: 'hold' })
    s.clock.advance(days * DAY_MS)
    const isUntouched = await takeLease(s)
    expect(await s.run(event)).toMatchObject({ outcome: 'busy', error: { code: 'busy' } })
    expect(await isUntouched()).toBe(true)
    expect(s.changes()).toEqual([])
    expect(s.boundId()).toBe(bound)
    expect(await s.later(HOUR_MS, event)).toMatchObject({ outcome: 'rotated' })
  })
})

describe('held > preflight', () => {
  test('nothing is obtained, nothing is judged', async () => {
    const { s } = await openLeased()
    await s.run({ action: 'hold' })
    const result = await s.runTo({ outcome: 'held', decision: { reason: 'held' } })
    expect(result.steps.map(step => step.step)).not.toContain('preflight')
  })
})

describe('preflight > emergency', () => {
  test('what a device would refuse is not bound, however late it is', async () => {
    const { s, bound } = await openDue({
      change: put({ 'targets.0.profiles': [{ name: 'meter-v1', keyTypes: ['rsa-2048'] }] }),
    })
    const result = await s.later(IN_EMERGENCY * DAY_MS)
    expect(result).toMatchObject({ outcome: 'refused', decision: { reason: 'emergency' } })
    expect(result.error).toMatchObject({ code: 'preflight-refused' })
    expect(s.boundId()).toBe(bound)
    expect(s.changes()).toEqual([])
  })
})

describe('emergency > soak and change window', () => {
  test('neither is waited for', async () => {
    const { s, bound } = await openDue()
    s.clock.advance(14 * DAY_MS)
    await s.configure(settings => {
      Object.assign(settings.targets[0], { minAge: '3d', bindWindow: [bindWindowIn(s, 3)] })
    })
    const soaking = await s.runTo({ outcome: 'suspended', decision: { reason: 'renewal-window' } })
    expect(soaking.steps.at(-1)).toMatchObject({ step: 'bind', status: 'suspended' })
    expect(s.changes()).toEqual([ADD])
    expect(s.boundId()).toBe(bound)
    expect(await s.later(2 * DAY_MS)).toMatchObject({ outcome: 'rotated', decision: { reason: 'emergency' } })
    expect(s.changes()).toEqual([BIND])
    expect(s.obtained()).toBe(1)
  })
})

describe('soak and change window > back-off', () => {
  test('a back-off that is over binds nothing before its time', async () => {
    const { s, bound } = await openDue()
    await s.configure(settings => {
      Object.assign(settings.targets[0], { minAge: '6h', bindWindow: [bindWindowIn(s, 8)] })
    })
    s.ca.options.issuanceProblem = { type: 'serverInternal', detail: 'out of ink' }
    expect(await s.run()).toMatchObject({ outcome: 'failed' })
    s.ca.options.issuanceProblem = null
    const backingOff = await s.runTo({ outcome: 'suspended', decision: { reason: 'backing-off' } })
    const soaking = await s.later(Date.parse(backingOff.decision.nextCheckAt ?? '') - s.clock.now())
    expect(soaking).toMatchObject({ outcome: 'suspended', decision: { due: true } })
    expect(soaking.steps.at(-1)).toMatchObject({ step: 'bind', status: 'suspended' })
    s.changes()
    const closed = await s.later(6 * HOUR_MS)
    expect(closed.steps.at(-1)?.detail).toContain('change window')
    expect(s.boundId()).toBe(bound)
    expect(await s.later(HOUR_MS + HOUR_MS / 2)).toMatchObject({ outcome: 'rotated' })
    expect(s.changes()).toEqual([BIND])
  })

  test('waiting for them is no failure: nothing is backed off from', async () => {
    const { s } = await openDue({
      change: put({ 'targets.0.minAge': '6h' }),
    })
    for (let i = 0; i < 8; i += 1) {
      expect(await s.run()).toMatchObject({ outcome: 'suspended', decision: { due: true }, error: null })
      s.clock.advance(HOUR_MS / 2)
    }
    expect(await s.later(2 * HOUR_MS)).toMatchObject({ outcome: 'rotated' })
    expect(s.obtained()).toBe(1)
  })
})
