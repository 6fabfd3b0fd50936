import { describe, expect, test } from 'vitest'
import { receiveAlerts } from '../support/alert-receiver.ts'
import { put } from '../support/put.ts'
import {
  ADD,
  BIND,
  DAY_MS,
  HOUR_MS,
  openVerify,
  type ScenarioOptions,
  warningsOf,
} from '../support/scenario.ts'

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
