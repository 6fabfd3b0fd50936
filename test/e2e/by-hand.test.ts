import { describe, expect, test } from 'vitest'
import { put } from '../support/put.ts'
import {
  ADD,
  BIND,
  DAY_MS,
  HOUR_MS,
  openScenario,
  type Scenario,
  type ScenarioOptions,
  warningsOf,
} from '../support/scenario.ts'

async function due(options: ScenarioOptions = {}): Promise<{ s: Scenario; bound: string }> {
  const s = await openScenario(options)
  return { s, bound: await s.bindOne(20) }
}

async function rotated(): Promise<{ s: Scenario; bound: string; ours: string | null }> {
  const { s, bound } = await due()
  expect(await s.run()).toMatchObject({ outcome: 'rotated' })
  s.changes()
  s.clock.advance(HOUR_MS)
  return { s, bound, ours: s.boundId() }
}

describe('settings', () => {
  test('another name: a new order, once', async () => {
    const { s } = await rotated()
    await s.configure(settings => {
      settings.certificates.iot.names.push('mqtt.example.com')
    })
    expect(await s.run()).toMatchObject({
      outcome: 'rotated',
      decision: { reason: 'settings-changed' },
      after: { names: [s.domain, 'mqtt.example.com'] },
    })
    expect(await s.later(2 * HOUR_MS)).toMatchObject({ outcome: 'idle' })
    expect(s.obtained()).toBe(2)
  })

  test('another key type is not held against the new certificate', async () => {
    const { s } = await rotated()
    await s.configure(put({ 'certificates.iot.keyType': 'rsa-2048' }))
    expect(await s.run()).toMatchObject({ outcome: 'rotated', after: { keyType: 'rsa-2048' } })
    expect(await s.run()).toMatchObject({ outcome: 'idle' })
  })

  test('another threshold is no other certificate', async () => {
    const { s } = await rotated()
    await s.configure(put({ 'certificates.iot.renewBefore': '20d' }))
    expect(await s.run()).toMatchObject({ outcome: 'idle' })
    expect(s.obtained()).toBe(1)
  })
})

describe('until', () => {
  test('add: held, then resumed without another order', async () => {
    const { s, bound } = await due()
    const first = await s.runTo({ outcome: 'suspended' }, { until: 'add' })
    expect(first.warnings.map(w => w.code)).toContain('held')
    expect(s.changes()).toEqual([ADD])
    expect(await s.later(HOUR_MS)).toMatchObject({ outcome: 'held', decision: { due: false } })
    expect(s.boundId()).toBe(bound)

    const resumed = await s.runTo({ outcome: 'idle' }, { action: 'resume' })
    expect(resumed.decision.detail).toContain('no longer held')
    expect(await s.run()).toMatchObject({ outcome: 'rotated' })
    expect(s.changes()).toEqual([BIND])
    expect(s.obtained()).toBe(1)
    expect(await s.run()).toMatchObject({ outcome: 'idle' })
  })

  test('bind: the next run verifies all the same, and the hold stays', async () => {
    const { s } = await due()
    expect(await s.run({ until: 'bind' })).toMatchObject({ outcome: 'suspended' })
    expect(await s.run()).toMatchObject({ outcome: 'rotated', decision: { reason: 'resume' } })
    expect(await s.run()).toMatchObject({ outcome: 'held' })
    expect(s.changes()).toEqual([ADD, BIND])
    await s.run({ action: 'resume' })
    expect(await s.run()).toMatchObject({ outcome: 'idle' })
  })
})

describe('hold', () => {
  test('nothing is changed until resume', async () => {
    const { s } = await due()
    expect(await s.run({ action: 'hold' })).toMatchObject({ outcome: 'idle' })
    expect(await s.run()).toMatchObject({ outcome: 'held' })
    expect(await s.later(DAY_MS)).toMatchObject({ outcome: 'held' })
    expect(s.changes()).toEqual([])
    expect(s.ca.orders).toHaveLength(0)
    await s.run({ action: 'resume' })
    expect(await s.run()).toMatchObject({ outcome: 'rotated' })
  })

  test('is written down although IoTDA does not answer, and holds when it does again', async () => {
    const { s } = await due()
    s.faults.add({ operations: ['iotda.*'], status: 503, times: 99 })
    const held = await s.run({ action: 'hold' })
    expect(held).toMatchObject({ outcome: 'idle', decision: { reason: 'held' }, error: null })
    expect(warningsOf(held)).toContain('not-looked-at')
    s.faults.clear()
    expect(await s.run()).toMatchObject({ outcome: 'held' })
    expect(s.changes()).toEqual([])
  })

  test.each([
    ['force', async (s: Scenario) => s.run({ force: true })],
    [
      'changed settings',
      async (s: Scenario) => {
        await s.configure(settings => {
          settings.certificates.iot.names.push('mqtt.example.com')
        })
        return s.run()
      },
    ],
    [
      'the emergency',
      async (s: Scenario) => {
        s.clock.advance(17 * DAY_MS)
        return s.run()
      },
    ],
  ])('%s leaves it', async (_, act) => {
    const { s } = await due()
    await s.run({ action: 'hold' })
    expect(await act(s)).toMatchObject({ outcome: 'rotated' })
    expect(await s.run()).toMatchObject({ outcome: 'idle' })
  })

  test('the emergency tries once a day', async () => {
    const { s } = await due()
    await s.run({ action: 'hold' })
    s.ca.options.issuanceProblem = { type: 'serverInternal', detail: 'out of ink' }
    expect(await s.later(17 * DAY_MS)).toMatchObject({ outcome: 'failed', decision: { reason: 'emergency' } })
    expect(await s.later(20 * HOUR_MS)).toMatchObject({ outcome: 'held' })
    expect(await s.later(4 * HOUR_MS)).toMatchObject({ outcome: 'failed' })
    expect(s.changes()).toEqual([])
  })
})

describe('rollback', () => {
  test('binds the previous one, proves it, and holds; the one put away is not bound again', async () => {
    const { s, bound, ours } = await rotated()
    await s.runTo(
      { outcome: 'rotated', error: null, after: { serverCertificateId: bound } },
      { action: 'rollback' },
    )
    expect(s.boundId()).toBe(bound)
    expect(s.changes()).toEqual([BIND])
    for (const _ of [1, 2, 3]) {
      expect(await s.later(HOUR_MS)).toMatchObject({ outcome: 'held' })
    }
    expect(s.changes()).toEqual([])

    await s.run({ action: 'resume' })
    expect(await s.run()).toMatchObject({ outcome: 'rotated', deleted: [{ serverCertificateId: ours }] })
    expect(s.obtained()).toBe(2)
  })

  test('one that a scheduled run finishes holds as well', async () => {
    const { s, bound } = await rotated()
    s.device.switches.lagMs = Number.POSITIVE_INFINITY
    expect(await s.run({ action: 'rollback' })).toMatchObject({ outcome: 'suspended' })
    expect(s.boundId()).toBe(bound)
    s.device.settle()
    expect(await s.later(HOUR_MS)).toMatchObject({ outcome: 'rotated', decision: { reason: 'resume' } })
    expect(await s.later(HOUR_MS)).toMatchObject({ outcome: 'held' })
    expect(s.changes()).toEqual([BIND])
  })

  test('the previous one is not served: the new one is bound again', async () => {
    const { s, ours } = await rotated()
    const wrong = await s.issue(-1, 80, ['wrong.example.com'])
    s.iotda.onBind(() => {
      s.device.switches.serve = s.boundId() === ours ? null : wrong
    })
    expect(await s.run({ action: 'rollback' })).toMatchObject({ outcome: 'rolled-back' })
    expect(s.boundId()).toBe(ours)
    expect(s.changes()).toEqual([BIND, BIND])
    expect(await s.run()).toMatchObject({ outcome: 'held' })
  })

  test('what was rolled back is no way back: not by a second rollback, nor after one that verify made', async () => {
    const { s, bound, ours } = await rotated()
    await s.run({ action: 'rollback' })
    const again = await s.runTo(
      { outcome: 'failed', error: { code: 'nothing-to-roll-back' } },
      { action: 'rollback' },
    )
    expect(again.error?.message).toContain(`${ours} in the other slot was itself rolled back`)
    expect(s.boundId()).toBe(bound)
    expect(s.changes()).toEqual([BIND])
    const accept = /--accept ([0-9a-f]{64})/.exec(again.error?.hint ?? '')?.[1] ?? ''
    expect(await s.run({ action: 'rollback', accept })).toMatchObject({ outcome: 'rotated' })
    expect(s.boundId()).toBe(ours)

    const other = await due()
    const wrong = await other.s.issue(-1, 80, ['wrong.example.com'])
    other.s.iotda.onBind(() => {
      other.s.device.switches.serve = other.s.boundId() === other.bound ? null : wrong
    })
    expect(await other.s.run()).toMatchObject({ outcome: 'rolled-back' })
    other.s.changes()
    expect(await other.s.run({ action: 'rollback' })).toMatchObject({
      error: { code: 'nothing-to-roll-back' },
    })
    expect(other.s.changes()).toEqual([])
  })

  test('nothing to go back to: nothing is changed', async () => {
    const { s, bound } = await due()
    expect(await s.run({ action: 'rollback' })).toMatchObject({
      outcome: 'failed',
      error: { code: 'nothing-to-roll-back' },
    })
    await s.upload(-100, -1)
    const result = await s.runTo(
      { outcome: 'failed', error: { code: 'nothing-to-roll-back' } },
      { action: 'rollback' },
    )
    expect(result.error?.message).toContain('expired')
    expect(s.boundId()).toBe(bound)
    expect(s.changes()).toEqual([])
    // A rollback that could not be made is no hold.
    expect(await s.run()).toMatchObject({ outcome: 'rotated' })
  })
})

describe('accept', () => {
  async function refused() {
    const { s } = await due({
      change: put({ 'certificates.iot.keyType': 'rsa-2048' }),
    })
    const result = await s.runTo({ outcome: 'refused', error: { code: 'preflight-refused' } })
    const [, fingerprint] = /--accept ([0-9a-f]{64})/.exec(result.error?.hint ?? '') ?? []
    if (!fingerprint) throw new Error('the hint names no fingerprint')
    expect(s.changes()).toEqual([])
    return { s, fingerprint }
  }

  test('exactly the one that was refused is deployed, without another order', async () => {
    const { s, fingerprint } = await refused()
    const result = await s.runTo({ outcome: 'rotated', after: { fingerprint } }, { accept: fingerprint })
    expect(result.warnings.map(w => w.code)).toContain('accepted')
    expect(s.obtained()).toBe(1)
    expect(await s.run()).toMatchObject({ outcome: 'idle' })
  })

  test('another fingerprint accepts nothing', async () => {
    const { s } = await refused()
    const accept = 'ab'.repeat(32)
    expect(await s.run({ accept })).toMatchObject({ decision: { reason: 'backing-off' } })
    expect(await s.run({ accept, force: true })).toMatchObject({ outcome: 'refused' })
    expect(s.changes()).toEqual([])
    expect(s.obtained()).toBe(1)
  })
})
