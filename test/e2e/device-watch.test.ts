/** Did devices come back? Counts of devices online after a bind, and what follows from them. */
import { expect, test } from 'vitest'
import type { TargetResult } from '../../lib/report/result.ts'
import { DAY_MS, HOUR_MS, type Scenario, warningsOf } from '../support/scenario.ts'
import { HOURS, MANY, online, openWatched } from '../support/watched.ts'

const devicesAfter = async (s: Scenario, count: number): Promise<TargetResult> => {
  s.iotda.index.devices = online(count)
  return s.later(HOUR_MS)
}

test('they came back: nothing more is done, and the watch ends', async () => {
  const { s, old } = await openWatched()
  await s.runTo({ outcome: 'rotated' })
  for (let hour = 0; hour < 5; hour += 1)
    expect(await devicesAfter(s, 190)).toMatchObject({ outcome: 'idle', online: { count: 190 } })
  expect(s.boundId()).not.toBe(old)
  expect(await s.later(4 * HOUR_MS)).toMatchObject({ online: { verdict: null }, warnings: [] })
  const { kept } = await s.run({ action: 'status' })
  expect(kept?.online?.counts.slice(-2)).toMatchObject([{ count: 190, usual: 200 }, { count: 190 }])
  expect(Date.parse(kept?.online?.boundAt ?? '')).toBeLessThan(s.clock.now())
})

test('too few twice in a row: the old certificate is put back, and that one is never bound again', async () => {
  const { s, old } = await openWatched()
  await s.runTo({ outcome: 'rotated' })
  const bad = s.boundId()
  const once = await devicesAfter(s, 120)
  expect(once).toMatchObject({ outcome: 'idle', online: { count: 120, verdict: 'fewer' } })
  expect(warningsOf(once)).toEqual(['devices-fewer'])
  const twice = await devicesAfter(s, 110)
  expect(twice).toMatchObject({ outcome: 'rolled-back', error: null })
  expect(twice.decision.detail).toContain('110 devices online, 200 are usual at this hour, 2 times in a row')
  expect(s.boundId()).toBe(old)
  s.iotda.index.devices = online(MANY)
  const next = await s.later(2 * DAY_MS)
  expect(next.outcome).toBe('rotated')
  expect([old, bad]).not.toContain(s.boundId())
})

test('two runs within a minute counted the same devices twice, and put the old certificate back', async () => {
  const { s, old } = await openWatched()
  await s.runTo({ outcome: 'rotated' })
  expect(await devicesAfter(s, 100)).toMatchObject({ online: { verdict: 'fewer' } })
  // A person's run, or one that takes a message of the queue, beside that of the schedule.
  for (let i = 0; i < 3; i += 1)
    expect(await s.later(60_000)).toMatchObject({ outcome: 'idle', warnings: [] })
  expect(s.boundId()).not.toBe(old)
  expect(await s.later(HOUR_MS / 2)).toMatchObject({ outcome: 'rolled-back' })
})

test('too few once, then all: nothing is undone', async () => {
  const { s, old } = await openWatched()
  await s.runTo({ outcome: 'rotated' })
  for (const count of [100, 200, 100, 195]) expect((await devicesAfter(s, count)).outcome).toBe('idle')
  expect(s.boundId()).not.toBe(old)
})

test('an hour of which nothing is known between two with too few does not start the count anew', async () => {
  const { s, old } = await openWatched({
    change: settings => {
      settings.targets[0].devices = { watch: '48h' }
    },
  })
  await s.runTo({ outcome: 'rotated' })
  expect(await devicesAfter(s, 100)).toMatchObject({ online: { verdict: 'fewer' } })
  expect(await s.later(7 * HOUR_MS)).toMatchObject({ outcome: 'idle', online: { verdict: 'unknown' } })
  expect(await s.later(17 * HOUR_MS)).toMatchObject({ outcome: 'rolled-back' })
  expect(s.boundId()).toBe(old)
})

test('they stay away with the old certificate, too: said, and nothing is changed any more', async () => {
  const { s, old } = await openWatched()
  await s.runTo({ outcome: 'rotated' })
  for (const count of [10, 10]) await devicesAfter(s, count)
  expect(s.boundId()).toBe(old)
  s.changes()
  const later = [await devicesAfter(s, 10), await devicesAfter(s, 10)]
  expect(later.map(({ decision }) => decision.reason)).toEqual(['backing-off', 'backing-off'])
  expect(
    later
      .flatMap(({ warnings }) => warnings)
      .map(({ message }) => message)
      .join(),
  ).toContain('they stay away with the old certificate, too')
  expect(s.changes()).toEqual([])
})

test('an hour of which nothing is known does not end the wait for devices that stay away', async () => {
  const { s, old } = await openWatched()
  await s.runTo({ outcome: 'rotated' })
  const reasons: string[] = []
  for (let hour = 1; hour < HOURS + 2; hour += 1) reasons.push((await devicesAfter(s, 10)).decision.reason)
  expect(reasons.slice(2)).toEqual(Array(HOURS - 1).fill('backing-off'))
  expect(s.boundId()).toBe(old)
})

const unknown: Readonly<Record<string, (s: Scenario) => void | Promise<void>>> = {
  'no permission': s => void s.faults.add({ operations: ['iotda.SearchDevices'], status: 403, times: 100 }),
  'the call fails': s => void s.faults.add({ operations: ['iotda.SearchDevices'], status: 500, times: 100 }),
  'a basic edition': s => {
    s.iotda.index.edition = 'basic'
  },
  'too few devices to say anything': s =>
    s.configure(settings => {
      settings.targets[0].devices = { watch: '4h', minimum: 500 }
    }),
}
test.each(Object.entries(unknown))('%s: a warning, never a rollback', async (_, mean) => {
  const { s, old } = await openWatched()
  await s.runTo({ outcome: 'rotated' })
  await mean(s)
  for (const count of [0, 0, 0]) {
    const result = await devicesAfter(s, count)
    expect(result.outcome).toBe('idle')
    expect(warningsOf(result)).toContain('devices-unknown')
  }
  expect(s.boundId()).not.toBe(old)
})

test('no way back: the new one stays, and people are told', async () => {
  const { s } = await openWatched()
  await s.runTo({ outcome: 'rotated' })
  const other = s.ids().find(id => id !== s.boundId())
  s.iotda.deleteCertificate(other ?? '')
  const bound = s.boundId()
  await devicesAfter(s, 10)
  expect(warningsOf(await devicesAfter(s, 10))).toContain('devices-missing')
  expect(s.boundId()).toBe(bound)
})

test('only what the settings name is counted', async () => {
  const { s } = await openWatched({
    change: settings => {
      settings.targets[0].devices = { watch: '4h', where: "product_id = 'p1'" }
    },
  })
  const others = Array.from({ length: 50 }, (_, i) => ({
    ...{ deviceId: `other-${i}`, productId: 'p2', status: 'ONLINE' as const },
  }))
  const mine = online(MANY)()
  s.iotda.index.devices = () => [...mine, ...others]
  await s.runTo({ outcome: 'rotated' })
  expect(await s.later(HOUR_MS)).toMatchObject({ online: { count: MANY, verdict: 'back' } })
})

test('idle runs count once an hour', async () => {
  const { s } = await openWatched()
  await s.bindOne(89)
  await s.run()
  s.clock.advance(HOUR_MS)
  const asked = (): number => s.faults.calls.filter(c => c.operation === 'iotda.SearchDevices').length
  const before = asked()
  for (let i = 0; i < 4; i += 1) await s.later(HOUR_MS / 2)
  expect(asked() - before).toBe(2)
})
