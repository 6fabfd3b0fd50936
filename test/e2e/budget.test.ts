import { expect, test } from 'vitest'
import { exitCode } from '../../lib/report/health.ts'
import { fillSlots } from '../../sandbox/sandbox.ts'
import { cleanups } from '../support/cleanups.ts'
import { put } from '../support/put.ts'
import { fast, killedRun, rotateOnce } from '../support/renewal.ts'
import { createRig } from '../support/rig.ts'
import { DAY_MS, HOUR_MS, openDue, openScenario, type Scenario } from '../support/scenario.ts'

/** The sandbox lets one play; here the budget is that of a real CA, the default. */
const asWithARealCa = (s: Scenario): Promise<void> =>
  s.configure(put({ 'sources.sandbox.budget': undefined }))

const orders = (s: Scenario): number =>
  s.faults.calls.filter(call => call.operation === 'acme.NewOrder' && call.status === 201).length

test('force in a loop gets three certificates in a week, then is told when the next try is', async () => {
  const s = await openScenario()
  await s.bindOne(80)
  await asWithARealCa(s)
  for (let i = 0; i < 3; i += 1) {
    expect(await s.run({ force: true })).toMatchObject({ outcome: 'rotated' })
    s.clock.advance(2 * HOUR_MS)
  }
  const first = s.clock.now() - 6 * HOUR_MS
  const fourth = await s.runTo({ outcome: 'failed', error: { code: 'rate-limited' } }, { force: true })
  const retryAt = Date.parse(fourth.error?.retryAt ?? '')
  expect(Math.abs(retryAt - first - 7 * DAY_MS)).toBeLessThan(HOUR_MS)
  for (let i = 0; i < 3; i += 1) {
    const again = await s.runTo(
      { outcome: 'suspended', decision: { due: false, reason: 'paused' } },
      { force: true },
    )
    expect(Date.parse(again.decision.nextCheckAt ?? '')).toBe(retryAt)
  }
  expect(s.obtained()).toBe(3)
  expect(orders(s)).toBe(3)
  expect(await s.later(retryAt - s.clock.now(), { force: true })).toMatchObject({ outcome: 'rotated' })
})

test('the exit code says that the run waits until it may order again', async () => {
  const s = await openScenario()
  await s.bindOne(80)
  await s.configure(put({ 'sources.sandbox.budget': { orders: 1 } }))
  expect(await s.run({ force: true })).toMatchObject({ outcome: 'rotated' })
  expect(await s.later(2 * HOUR_MS, { force: true })).toMatchObject({ error: { code: 'rate-limited' } })
  const { ok, results } = await s.rig.run({ force: true }, { clock: s.clock })
  expect(results).toMatchObject([{ outcome: 'suspended', decision: { reason: 'paused' } }])
  expect([ok, exitCode(results, s.clock.now())]).toEqual([false, 1])
})

test('answers to newOrder that never come: no more than three orders, forced or not', async () => {
  const { s, bound } = await openDue()
  await asWithARealCa(s)
  s.faults.add({ operations: ['acme.NewOrder'], drop: 'after', times: 100 })
  for (let i = 0; i < 8; i += 1) {
    const { outcome } = await s.run({ force: true })
    expect(['failed', 'suspended']).toContain(outcome)
    s.clock.advance(2 * HOUR_MS)
  }
  expect(s.faults.calls.filter(c => c.operation === 'acme.NewOrder').length).toBe(3)
  expect(await s.run()).toMatchObject({ decision: { reason: 'paused' } })
  expect(s.boundId()).toBe(bound)
  s.faults.clear()
  expect(await s.later(7 * DAY_MS)).toMatchObject({ outcome: 'rotated' })
})

test('a CA that is down for a day costs no order: the first run after that renews', async () => {
  const { s } = await openDue()
  await asWithARealCa(s)
  s.faults.add({ operations: ['acme.*'], drop: 'before', times: Number.MAX_SAFE_INTEGER })
  for (let i = 0; i < 12; i += 1) {
    await s.run({ force: true })
    s.clock.advance(2 * HOUR_MS)
  }
  s.faults.clear()
  expect(await s.run({ force: true })).toMatchObject({ outcome: 'rotated' })
})

test('two failed validations in an hour, then a pause until that hour is over', async () => {
  const { s } = await openDue()
  await asWithARealCa(s)
  const { dnsServer, dnsTimeoutMs } = s.ca.options
  // The CA asks a resolver that is not there; our own look finds the record.
  s.ca.options.dnsServer = '127.0.0.1:1'
  s.ca.options.dnsTimeoutMs = 5
  for (let i = 0; i < 2; i += 1)
    expect(await s.run({ force: true })).toMatchObject({ error: { code: 'validation-failed' } })
  await s.runTo({ error: { code: 'rate-limited' } }, { force: true })
  expect(await s.run({ force: true })).toMatchObject({ decision: { reason: 'paused' } })
  expect(orders(s)).toBe(2)
  Object.assign(s.ca.options, { dnsServer, dnsTimeoutMs })
  expect(await s.later(HOUR_MS, { force: true })).toMatchObject({ outcome: 'rotated' })
})

test('a CA that has paused the account: the link is reported, and nothing is asked for an hour', async () => {
  const { s } = await openDue()
  const link = 'https://ca.test/unpause?jwt=x'
  const body = JSON.stringify({
    type: 'urn:ietf:params:acme:error:rateLimited',
    detail: `paused; visit ${link} to go on`,
  })
  s.faults.add({ operations: ['acme.NewOrder'], status: 429, body })
  const told = await s.runTo({ outcome: 'failed', error: { code: 'rate-limited' } })
  expect(told.error?.hint).toContain(link)
  const waiting = await s.runTo({ outcome: 'suspended', decision: { reason: 'paused' } }, { force: true })
  expect(waiting.decision.detail).toContain(link)
  expect(await s.later(HOUR_MS, { force: true })).toMatchObject({ outcome: 'rotated' })
})

test('Retry-After of 34 hours is kept, whatever the code, and outlives the emergency', async () => {
  const { s } = await openDue()
  s.clock.advance(16 * DAY_MS)
  s.faults.add({ operations: ['acme.NewOrder'], status: 503, headers: { 'retry-after': String(34 * 3600) } })
  const failed = await s.run()
  expect(failed).toMatchObject({ outcome: 'failed', decision: { reason: 'emergency' } })
  expect(await s.later(33 * HOUR_MS, { force: true })).toMatchObject({ decision: { reason: 'paused' } })
  expect(await s.later(HOUR_MS)).toMatchObject({ outcome: 'rotated' })
})

test('a crash loop at the order: three, then the run says when the next try is, forced or not', async () => {
  const rig = await createRig()
  cleanups.push(rig.dispose)
  await fillSlots(rig.sandbox)
  await fast(rig, put({ 'sources.sandbox.budget': undefined }))
  const { faults } = rig.sandbox
  const orders = (): number => faults.calls.filter(c => c.operation === 'acme.NewOrder').length
  for (let i = 0; i < 3; i += 1) {
    const { signal } = await killedRun(rig, 'after', { operations: ['acme.NewOrder'] })
    expect(signal).toBe('SIGKILL')
  }
  faults.clear()
  const told = await rotateOnce(rig, '--force')
  expect(told).toMatchObject({ code: 1, outcome: 'failed', error: { code: 'rate-limited' } })
  const waitMs = Date.parse(told.error.retryAt) - Date.now()
  expect(waitMs).toBeGreaterThan(6 * DAY_MS)
  expect(waitMs).toBeLessThan(7 * DAY_MS)
  expect(await rotateOnce(rig, '--force')).toMatchObject({
    outcome: 'suspended',
    decision: { reason: 'paused' },
  })
  expect(orders()).toBe(3)
})
