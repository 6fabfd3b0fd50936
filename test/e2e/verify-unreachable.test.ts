import { describe, expect, test } from 'vitest'
import { rotateEverything } from '../../functions/event.ts'
import { run } from '../../lib/app/run.ts'
import { silentLog } from '../../lib/base/log.ts'
import { put } from '../support/put.ts'
import { ADD, BIND, HOUR_MS, openScenario, openVerify, warningsOf } from '../support/scenario.ts'

describe('the port does not answer', () => {
  test('before and after: unverified', async () => {
    const { s } = await openVerify()
    await s.device.setDown('refuse')
    const result = await s.runTo({ outcome: 'rotated' })
    expect(warningsOf(result)).toEqual(['unverified'])
    expect(s.changes()).toEqual([ADD, BIND])
    expect(await s.run()).toMatchObject({ outcome: 'idle' })
  })

  test('after, but before: rolled back', async () => {
    const { s, bound, onSwitch } = await openVerify()
    onSwitch(isOld => void s.device.setDown(isOld ? null : 'refuse'))
    const result = await s.runTo({ outcome: 'rolled-back' })
    expect(warningsOf(result)).toEqual([])
    expect(s.boundId()).toBe(bound)
    expect(s.changes()).toEqual([ADD, BIND, BIND])
  })

  test('at one address, before and after: the others decide, with a warning', async () => {
    const { s } = await openVerify({ addresses: ['127.0.0.1', '127.0.0.2'] })
    await s.device.setDown('refuse', '127.0.0.2')
    const result = await s.runTo({ outcome: 'rotated' })
    expect(warningsOf(result)).toEqual(['unverified'])
    expect(result.warnings.at(-1)?.message).toContain('127.0.0.2')
    expect(s.changes()).toEqual([ADD, BIND])
  })

  test('probe mode require: before and after is a failure, and the new one stays', async () => {
    const { s, bound } = await openVerify({
      change: put({ 'targets.0.probe.mode': 'require' }),
    })
    await s.device.setDown('refuse')
    expect(await s.run()).toMatchObject({ outcome: 'failed', error: { code: 'not-served' } })
    expect(s.boundId()).not.toBe(bound)
    expect(s.changes()).toEqual([ADD, BIND])
    await s.device.setDown(null)
    expect(await s.run()).toMatchObject({ outcome: 'idle', decision: { reason: 'fresh' } })
    expect(s.changes()).toEqual([])
  })

  test('a bind that was judged so does not keep the certificate from being renewed', async () => {
    const { s } = await openVerify({
      change: put({ 'targets.0.probe.mode': 'require' }),
    })
    await s.device.setDown('refuse')
    expect(await s.run()).toMatchObject({ outcome: 'failed', error: { code: 'not-served' } })
    const before = s.boundId()
    s.clock.advance(75 * 86_400_000)
    await s.device.setDown(null)
    expect(await s.run()).toMatchObject({ outcome: 'rotated' })
    expect(s.boundId()).not.toBe(before)
  })

  test('probe mode off: nobody looks', async () => {
    const { s } = await openVerify({
      change: put({ 'targets.0.probe.mode': 'off' }),
    })
    expect(await s.run()).toMatchObject({ outcome: 'rotated' })
    expect(s.device.handshakes).toHaveLength(0)
    expect(await s.run()).toMatchObject({ outcome: 'idle' })
    expect(s.changes()).toEqual([ADD, BIND])
  })
})

test('a bind without a verdict is verified before anything else', async () => {
  const { s, bound } = await openVerify()
  s.faults.onCall(({ operation }) => {
    if (operation === 'iotda.UpdateDomainConfiguration')
      s.faults.add({ operations: ['iotda.*'], status: 500, skip: 1, times: 1_000 })
  })
  expect((await s.run()).outcome).toBe('failed')
  const ours = s.boundId()
  expect(ours).not.toBe(bound)
  s.faults.clear()
  const result = await s.runTo({ outcome: 'rotated', decision: { due: true, reason: 'resume' } })
  expect(
    result.steps
      .filter(step => step.status === 'done')
      .map(step => step.step)
      .slice(-2),
  ).toEqual(['verify', 'record'])
  expect(s.changes()).toEqual([ADD, BIND])
  expect(s.boundId()).toBe(ours)
})

test('a run that is stopped while it verifies has no verdict', async () => {
  const { s, bound, onSwitch } = await openVerify()
  const stop = new AbortController()
  onSwitch(() => {
    void s.device.setDown('silent')
    setTimeout(() => {
      s.clock.advance(HOUR_MS / 60)
      stop.abort()
    }, 300)
  })
  const answer = await run({
    config: s.rig.settingsFile,
    event: rotateEverything,
    trigger: 'schedule',
    deadline: s.clock.now() + HOUR_MS,
    log: silentLog,
    clock: s.clock,
    signal: stop.signal,
  })
  expect(answer.results).toMatchObject([{ outcome: 'suspended', error: { code: 'out-of-time' } }])
  await s.device.setDown(null)
  expect(await s.run()).toMatchObject({ outcome: 'rotated', decision: { reason: 'resume' } })
  expect(s.boundId()).not.toBe(bound)
  expect(s.changes()).toEqual([ADD, BIND])
})

test('a bind does not start when the time left does not suffice for verify and rollback', async () => {
  const { s, bound } = await openVerify()
  const stop = s.faults.onCall(({ operation }) => {
    if (operation === 'acme.Certificate') s.clock.advance(100_000)
  })
  expect(await s.run({}, { budgetMs: 150_000 })).toMatchObject({ outcome: 'suspended' })
  stop()
  expect(s.changes()).toEqual([ADD])
  expect(s.boundId()).toBe(bound)
  expect(await s.run()).toMatchObject({ outcome: 'rotated' })
  expect(s.changes()).toEqual([BIND])
  expect(s.obtained()).toBe(1)
})

test('a run that is too short for any cut-over says so', async () => {
  const { s, bound } = await openVerify()
  const result = await s.runTo(
    { outcome: 'suspended', warnings: [{ code: 'too-little-time' }] },
    {},
    { budgetMs: 30_000 },
  )
  expect(result.warnings[0]?.message).toContain('timeout')
  expect(s.changes()).toEqual([ADD])
  expect(s.boundId()).toBe(bound)
})

describe('drift: the port serves something else than what is bound', () => {
  async function drifted() {
    const s = await openScenario()
    const bound = await s.bindOne(80)
    await s.run()
    const onSwitch = (call: () => void) => void s.iotda.onBind(call)
    const opened = { s, bound, onSwitch }
    opened.s.device.switches.serve = await opened.s.issue(-1, 80, ['wrong.example.com'])
    return opened
  }

  test('the same binding is sent again, once', async () => {
    const { s, bound, onSwitch } = await drifted()
    onSwitch(() => {
      s.device.switches.serve = null
    })
    expect(await s.run()).toMatchObject({ outcome: 'repaired', decision: { due: true } })
    expect(s.changes()).toEqual([BIND])
    expect(s.boundId()).toBe(bound)
    expect(await s.run()).toMatchObject({ outcome: 'idle' })
  })

  test('when that does not help, it is a failure that backs off and is not called fresh', async () => {
    const { s, bound } = await drifted()
    expect(await s.run()).toMatchObject({ outcome: 'failed', error: { code: 'not-served' } })
    expect(s.changes()).toEqual([BIND])
    expect(await s.run()).toMatchObject({ outcome: 'suspended', decision: { reason: 'backing-off' } })
    expect(s.changes()).toEqual([])
    expect((await s.later(2 * HOUR_MS)).outcome).toBe('failed')
    expect(s.changes()).toEqual([BIND])
    expect(s.boundId()).toBe(bound)
  })
})
