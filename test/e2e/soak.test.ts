import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { HOUR_MS } from '../../lib/base/time.ts'
import { fillSlots } from '../../sandbox/sandbox.ts'
import { type FakeClock, fakeClock } from '../support/clock.ts'
import { createRig, type Rig } from '../support/rig.ts'

let rig: Rig
let clock: FakeClock
beforeEach(async () => {
  clock = fakeClock()
  rig = await createRig({ now: clock.now })
})
afterEach(() => rig.dispose())

const boundNow = (): string | undefined => rig.sandbox.iotda.configurations()[0]?.server_certificate_id

describe('soak', () => {
  beforeEach(() => rig.configure(s => Object.assign(s.targets[0], { minAge: '6h' })))

  test('a certificate is uploaded at once and bound when it is old enough, without a second order', async () => {
    const { bound } = await fillSlots(rig.sandbox, 10)
    const early = await rig.result({}, { clock })
    expect(early.outcome).toBe('suspended')
    expect(early.steps.at(-1)).toMatchObject({ step: 'bind', status: 'suspended' })
    expect(early.steps.at(-1)?.detail).toContain('6h old')
    expect(boundNow()).toBe(bound)
    expect(rig.sandbox.iotda.certificates()).toHaveLength(2)
    const issued = rig.sandbox.ca.issued.length

    clock.advance(4 * HOUR_MS)
    expect((await rig.result({}, { clock })).outcome).toBe('suspended')
    clock.advance(2 * HOUR_MS)
    expect((await rig.result({}, { clock })).outcome).toBe('rotated')
    expect(boundNow()).not.toBe(bound)
    expect(rig.sandbox.ca.issued).toHaveLength(issued)
  })

  test('force does not wait', async () => {
    await fillSlots(rig.sandbox, 10)
    expect((await rig.result({ force: true })).outcome).toBe('rotated')
  })

  test('nor does the emergency', async () => {
    await fillSlots(rig.sandbox, 2)
    const result = await rig.result()
    expect(result.decision.reason).toBe('emergency')
    expect(result.outcome).toBe('rotated')
  })
})

describe('change windows', () => {
  test('a bind waits for the window and happens in it', async () => {
    const hour = (ahead: number): string =>
      `${String((new Date(clock.now()).getUTCHours() + ahead) % 24).padStart(2, '0')}:00`
    await rig.configure(s => Object.assign(s.targets[0], { bindWindow: [`* ${hour(3)}-${hour(5)} UTC`] }))
    const { bound } = await fillSlots(rig.sandbox, 10)
    const early = await rig.result({}, { clock })
    expect(early).toMatchObject({ outcome: 'suspended' })
    expect(early.steps.at(-1)?.detail).toContain('change window')
    expect(boundNow()).toBe(bound)
    clock.advance(3.5 * HOUR_MS)
    expect((await rig.result({}, { clock })).outcome).toBe('rotated')
  })

  test('an impossible window is a mistake of the settings, with its path', async () => {
    await rig.configure(s => Object.assign(s.targets[0], { bindWindow: ['* 02:00-02:00 UTC'] }))
    await expect(rig.run()).rejects.toThrow(/targets\[0\]\.bindWindow\[0\]: is empty/)
  })
})
