import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { SECOND_MS } from '../../lib/base/time.ts'
import { emfLines } from '../../lib/present/emf.ts'
import type { Answer } from '../../lib/report/answer.ts'
import { stateOf } from '../../lib/report/health.ts'
import { receiveAlerts } from '../support/alert-receiver.ts'
import { put } from '../support/put.ts'
import {
  ADD,
  BIND,
  DAY_MS,
  HOUR_MS,
  openScenario,
  openVerify,
  type ScenarioOptions,
  warningsOf,
} from '../support/scenario.ts'

/** What is bound is served, for all that the run tells. */
function expectWell(answer: Answer): void {
  const [result] = answer.results
  expect(result?.outlook.served).toEqual(result?.outlook.bound)
  expect(result && stateOf(result, Date.parse(answer.finishedAt))).toBe('fine')
  const [, target] = emfLines(answer, 'rotate').map(line => JSON.parse(line))
  expect(target.Ok).toBe(1)
}

test('a port that switches at once is proven in three tenths of a second', async () => {
  const { s } = await openVerify()
  const { steps } = await s.runTo({ outcome: 'rotated' })
  const verify = steps.find(({ step }) => step === 'verify')
  // By the clock of the run, which moves by its waits alone.
  expect(verify?.durationMs).toBe(300)
})

describe('the old certificate is still served', () => {
  test('it stays bound, and is done when a later run finds the new one', async () => {
    const { s, bound } = await openVerify()
    s.device.switches.lagMs = Number.POSITIVE_INFINITY
    const first = await s.runTo({ outcome: 'suspended', error: null })
    expect(warningsOf(first)).toEqual([])
    expect(first.decision.nextCheckAt).not.toBeNull()
    const ours = s.boundId()
    expect(ours).not.toBe(bound)
    expect(s.changes()).toEqual([ADD, BIND])

    expect(await s.later(HOUR_MS / 2)).toMatchObject({
      outcome: 'suspended',
      decision: { due: true, reason: 'resume' },
    })
    s.device.settle()
    const last = await s.later(HOUR_MS / 2)
    expect(last).toMatchObject({ outcome: 'rotated', decision: { reason: 'resume' } })
    expect(s.changes()).toEqual([])
    expect(s.boundId()).toBe(ours)
    expect(s.obtained()).toBe(1)
    expect(await s.run()).toMatchObject({ outcome: 'idle', decision: { reason: 'fresh' } })

    const status = await s.run({ action: 'status' })
    const of = (id: string | null) => status.seen?.slots.find(it => it.serverCertificateId === id)?.leaf
    expect(status.kept?.history.at(-1)).toMatchObject({
      outcome: 'rotated',
      before: of(bound)?.fingerprint,
      after: of(ours)?.fingerprint,
      until: of(ours)?.notAfter,
    })
  })

  test('near its end, until this very run proves the new one: well, with what is served now', async () => {
    const { s, onSwitch } = await openVerify({ change: put({ statusPage: { publish: true } }) })
    s.device.switches.lagMs = 17 * DAY_MS
    let boundAt = 0
    onSwitch(() => {
      boundAt = s.clock.now()
    })
    await s.runTo({ outcome: 'suspended' })
    // The old one has three days left. The nodes have the new one a few seconds after the first look.
    s.clock.advance(boundAt + 17 * DAY_MS - 5 * SECOND_MS - s.clock.now())
    const answer = await s.rig.run({}, { clock: s.clock })
    const [result] = answer.results
    expect(result).toMatchObject({ outcome: 'rotated', decision: { reason: 'resume' } })
    expectWell(answer)
    const page = await readFile(join(s.rig.folder, 'state', 'page', 'status.html'), 'utf8')
    expect(page).toContain('class="says well">well:')
    expect(page).toContain(`Served until <time datetime="${result?.after?.notAfter}"`)
  })

  test('a person is warned after 24 hours', async () => {
    const told = await receiveAlerts()
    const { s } = await openVerify({
      change: put({ notifiers: [{ type: 'webhook', url: told.url }] }),
    })
    s.device.switches.lagMs = Number.POSITIVE_INFINITY
    await s.run()
    expect(await s.later(23 * HOUR_MS)).toMatchObject({ outcome: 'suspended', warnings: [] })
    expect(await s.later(2 * HOUR_MS)).toMatchObject({
      outcome: 'suspended',
      warnings: [{ code: 'not-propagated' }],
    })
    await s.later(HOUR_MS)
    expect(told.alerts.map(e => e.event)).toEqual(['adopted', 'suspended'])
    expect(told.alerts[1]).toMatchObject({ severity: 'warning', reason: expect.stringContaining('1d') })
    expect(s.changes()).toEqual([ADD, BIND])
  })

  test('one address after the other', async () => {
    const { s } = await openVerify({ addresses: ['127.0.0.1', '127.0.0.2'] })
    s.device.switches.lagMs = { '127.0.0.1': 0, '127.0.0.2': Number.POSITIVE_INFINITY }
    expect(await s.run()).toMatchObject({ outcome: 'suspended' })
    s.device.settle()
    expect(await s.run()).toMatchObject({ outcome: 'rotated' })
    expect(s.changes()).toEqual([ADD, BIND])
  })

  test('alternating: done when it calms down in time', async () => {
    const { s, onSwitch } = await openVerify()
    onSwitch(() => {
      s.device.switches.flap = 5
    })
    expect(await s.run()).toMatchObject({ outcome: 'rotated' })
    expect(s.device.switches.flap).toBe(0)
    expect(s.changes()).toEqual([ADD, BIND])
  })

  test('alternating all the time is propagation, not a reason to roll back', async () => {
    const { s, bound, onSwitch } = await openVerify()
    onSwitch(() => {
      s.device.switches.flap = 1_000_000
    })
    expect(await s.run()).toMatchObject({ outcome: 'suspended' })
    expect(s.boundId()).not.toBe(bound)
    s.device.switches.flap = 0
    expect(await s.run()).toMatchObject({ outcome: 'rotated' })
    expect(s.changes()).toEqual([ADD, BIND])
  })

  test('many looks that are asked for may take longer than the time for the new one to appear', async () => {
    const { s } = await openVerify({
      change: settings => Object.assign(settings.targets[0].probe, { within: '2s', steady: 20 }),
    })
    expect(await s.run()).toMatchObject({ outcome: 'rotated' })
    expect(s.changes()).toEqual([ADD, BIND])
  })
})

test('another one was served, near its end, until the bound one was bound again: well', async () => {
  const s = await openScenario()
  await s.bindOne(60)
  await s.run()
  s.device.switches.serve = await s.issue(-87, 3)
  s.iotda.onBind(() => {
    s.device.switches.serve = null
  })
  const answer = await s.rig.run({}, { clock: s.clock })
  expect(answer).toMatchObject({ results: [{ outcome: 'repaired' }] })
  expectWell(answer)
})

describe('a wrong certificate is served', () => {
  async function wrong(options: ScenarioOptions = {}) {
    const opened = await openVerify(options)
    const { s, onSwitch } = opened
    const identity = await s.issue(-1, 80, ['wrong.example.com'])
    onSwitch(isOld => {
      s.device.switches.serve = isOld ? null : identity
    })
    return { ...opened, mend: () => onSwitch(() => Object.assign(s.device.switches, { serve: null })) }
  }

  test('rolled back, with a reason; one more after the back-off; then held, until forced', async () => {
    const { s, bound, mend } = await wrong()
    const first = await s.runTo({ outcome: 'rolled-back' })
    expect(warningsOf(first)).toEqual([])
    const detail = first.steps.find(step => step.step === 'roll-back')?.detail ?? ''
    expect(detail).toContain(bound)
    expect(detail).toContain('wrong.example.com')
    expect(s.boundId()).toBe(bound)
    expect(s.changes()).toEqual([ADD, BIND, BIND])

    const waits = await s.later(HOUR_MS / 2)
    expect(waits).toMatchObject({ outcome: 'suspended', decision: { due: false, reason: 'backing-off' } })
    expect(s.changes()).toEqual([])

    expect(await s.later(2 * HOUR_MS)).toMatchObject({ outcome: 'rolled-back', deleted: [{}] })
    expect(s.obtained()).toBe(2)
    expect(s.boundId()).toBe(bound)
    s.changes()
    expect(await s.later(DAY_MS)).toMatchObject({ outcome: 'held', decision: { due: false, reason: 'held' } })
    expect(await s.later(2 * DAY_MS)).toMatchObject({ outcome: 'held' })
    expect(s.changes()).toEqual([])
    expect(s.obtained()).toBe(2)

    mend()
    expect(await s.run({ force: true })).toMatchObject({ outcome: 'rotated', decision: { reason: 'forced' } })
    expect(s.boundId()).not.toBe(bound)
    expect(await s.run()).toMatchObject({ outcome: 'idle', decision: { reason: 'fresh' } })
  })

  test('the answer of a run that only backs off is not ok', async () => {
    const { s } = await wrong()
    await s.run()
    const answer = await s.rig.run({}, { clock: s.clock })
    expect(answer).toMatchObject({ ok: false, results: [{ decision: { reason: 'backing-off' } }] })
  })

  test('at one of two addresses', async () => {
    const { s, bound, onSwitch } = await openVerify({ addresses: ['127.0.0.1', '127.0.0.2'] })
    const identity = await s.issue(-1, 80)
    onSwitch(isOld => {
      s.device.switches.serveAt = isOld ? {} : { '127.0.0.2': identity }
    })
    const result = await s.runTo({ outcome: 'rolled-back' })
    expect(result.steps.find(step => step.step === 'verify')?.detail).toContain('127.0.0.2')
    expect(s.boundId()).toBe(bound)
  })

  test('a single look that shows it is no verdict', async () => {
    const { s, bound } = await openVerify()
    const identity = await s.issue(-1, 80)
    s.device.switches.lagMs = 13_000
    let looks = 0
    Object.defineProperty(s.device.switches, 'serve', {
      get: () => {
        if (s.boundId() === bound) return null
        looks += 1
        return looks === 6 ? identity : null
      },
    })
    expect(await s.run()).toMatchObject({ outcome: 'rotated' })
    expect(looks).toBeGreaterThan(8)
    expect(s.changes()).toEqual([ADD, BIND])
  })

  test('the predecessor has expired: the new one stays', async () => {
    const { s, bound, mend } = await wrong({})
    const result = await s.later(21 * DAY_MS)
    expect(result).toMatchObject({
      outcome: 'failed',
      decision: { reason: 'expired' },
      error: { code: 'not-served' },
    })
    expect(result.error?.hint).toContain('expired')
    expect(s.boundId()).not.toBe(bound)
    expect(s.changes()).toEqual([ADD, BIND])
    mend()
    s.device.switches.serve = null
    expect(await s.run()).toMatchObject({ outcome: 'idle', decision: { reason: 'fresh' } })
    expect(s.changes()).toEqual([])
  })
})
