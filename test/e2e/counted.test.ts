/** The answer of a run over many targets names what there is something to say of, and counts the rest. */
import { expect, test } from 'vitest'
import { resultText } from '../../lib/present/text.ts'
import { receiveAlerts } from '../support/alert-receiver.ts'
import { openFleet } from '../support/fleet.ts'
import { DAY_MS } from '../support/scenario.ts'

const names = (count: number): readonly string[] => Array.from({ length: count }, (_, i) => `t${i}`)

test('of 55 targets the answer names the three that are not idle, and counts the others; people hear of what failed', async () => {
  const receiver = await receiveAlerts()
  const { s } = await openFleet(names(55), {
    change: settings => {
      settings.notifiers = [{ type: 'webhook', url: receiver.url }]
      settings.certificates.t54 = { ...settings.certificates.t54, renewBefore: '59d' }
    },
  })
  // Each is adopted, which is said.
  const first = await s.rig.run({}, { clock: s.clock })
  expect([first.results.length, first.counted]).toMatchObject([55, { idle: 0, firstToEnd: null }])
  await s.rig.run({}, { clock: s.clock })
  const heard = receiver.alerts.length
  s.faults.add({ operations: ['iotda.ListServerCertificates'], status: 401, times: 2 })
  s.clock.advance(2 * DAY_MS)
  const answer = await s.rig.run({}, { clock: s.clock })
  const outcomes = answer.results.map(r => r.outcome).toSorted()
  expect(outcomes).toEqual(['failed', 'failed', 'rotated'])
  expect(answer.counted?.idle).toBe(52)
  expect(Date.parse(answer.counted?.firstToEnd?.notAfter ?? '')).toBeGreaterThan(s.clock.now())
  expect(answer.ok).toBe(false)
  expect(JSON.stringify(answer).length).toBeLessThan(12_000)
  expect(resultText(answer, 'rotate')).toMatch(/^idle {2}52 targets: nothing to do; t\d+ ends first, at 20/m)
  expect(receiver.alerts.slice(heard).map(a => a.event)).toEqual(['failed', 'failed'])
  // What was told goes on until it is over, although the target is idle then.
  await s.rig.run({}, { clock: s.clock })
  expect(receiver.alerts.slice(heard + 2).map(a => a.event)).toEqual(['recovered', 'recovered'])
  expect((await s.rig.run({}, { clock: s.clock })).counted?.idle).toBe(55)
})

test('status and plan name every target, and so does a run over fifty', async () => {
  const { s } = await openFleet(names(51))
  await s.rig.run({}, { clock: s.clock })
  for (const action of ['status', 'plan'] as const) {
    const answer = await s.rig.run({ action }, { clock: s.clock })
    expect([answer.results.length, answer.counted]).toEqual([51, undefined])
  }
  const fifty = await s.rig.run({ targets: names(50) }, { clock: s.clock })
  expect([fifty.results.length, fifty.counted]).toEqual([50, undefined])
  const all = await s.rig.run({}, { clock: s.clock })
  expect([all.results, all.counted?.idle]).toEqual([[], 51])
})
