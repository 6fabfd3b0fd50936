import { expect, test } from 'vitest'
import { receiveAlerts } from '../support/alert-receiver.ts'
import { put } from '../support/put.ts'
import { DAY_MS, HOUR_MS, openScenario, type Scenario, warningsOf } from '../support/scenario.ts'

const EXPLANATION = 'https://ca.test/incident-7'

/** What the CA says of a certificate that it has revoked, or is about to (RFC 9773 section 4.2). */
const recall = (s: Scenario): void => {
  const { certId } = s.ca.issued.at(-1) ?? { certId: '' }
  s.ca.setRenewalInfo(certId, {
    start: new Date(s.clock.now() - HOUR_MS),
    end: new Date(s.clock.now() - HOUR_MS / 2),
    explanationURL: EXPLANATION,
  })
}

test.each([
  ['by renewal info alone', null],
  ['although the threshold is far away', '10d'],
])('a revoked certificate is renewed at once, %s; answer, log and alert say why', async (_, renewBefore) => {
  const receiver = await receiveAlerts()
  const s = await openScenario({
    change: put({
      'certificates.iot.renewBefore': renewBefore,
      notifiers: [{ type: 'webhook', url: receiver.url }],
    }),
  })
  await s.bindOne(80)
  expect(await s.run()).toMatchObject({ outcome: 'idle' })
  recall(s)
  // The answer before is kept as long as the CA asked for.
  expect(await s.run()).toMatchObject({ outcome: 'idle' })
  const result = await s.later(7 * HOUR_MS)
  expect(result).toMatchObject({ outcome: 'rotated', decision: { reason: 'renewal-window' } })
  expect(result.decision.detail).toContain(`why: ${EXPLANATION}`)
  expect(s.rig.logged.filter(line => line.includes(EXPLANATION))).toHaveLength(1)
  const [adopted, told, ...more] = receiver.alerts
  expect(adopted).toMatchObject({ event: 'adopted' })
  expect(told).toMatchObject({ event: 'recalled', severity: 'warning', runbook: 'RUNBOOK.md#recalled' })
  expect(JSON.stringify(told)).toContain(EXPLANATION)
  expect(more).toEqual([])
  expect(await s.run()).toMatchObject({ outcome: 'idle' })
  expect(s.obtained()).toBe(1)
})

test('a CA that stops answering does not make the window and its reason forgotten, and is left alone for 6 hours', async () => {
  const s = await openScenario()
  await s.bindOne(80)
  const { certId } = s.ca.issued.at(-1) ?? { certId: '' }
  const start = new Date(s.clock.now() + 8 * HOUR_MS)
  const end = new Date(s.clock.now() + 9 * HOUR_MS)
  s.ca.setRenewalInfo(certId, { start, end, explanationURL: EXPLANATION, retryAfterSeconds: 3600 })
  const asked = () => s.faults.calls.filter(c => c.operation === 'acme.RenewalInfo').length
  expect(await s.run()).toMatchObject({ outcome: 'idle' })
  s.ca.setRenewalInfo(certId, 'error')
  expect(await s.later(HOUR_MS)).toMatchObject({ outcome: 'idle' })
  expect(await s.later(5 * HOUR_MS)).toMatchObject({ outcome: 'idle' })
  expect(asked()).toBe(2)
  const result = await s.later(3 * HOUR_MS)
  expect(result).toMatchObject({ outcome: 'rotated', decision: { reason: 'renewal-window' } })
  expect(result.decision.detail).toContain(EXPLANATION)
})

test('a CA that calls back each certificate it issues gets one more order, not one at every run', async () => {
  const s = await openScenario()
  await s.bindOne(80)
  expect(await s.run()).toMatchObject({ outcome: 'idle' })
  s.clock.advance(7 * HOUR_MS)
  const outcomes: string[] = []
  for (let i = 0; i < 24; i += 1) {
    recall(s)
    const result = await s.run()
    outcomes.push(result.outcome)
    expect(warningsOf(result)).toContain('recalled')
    s.clock.advance(HOUR_MS)
  }
  expect(outcomes).toEqual(['rotated', ...Array(23).fill('idle')])
  const waiting = await s.run()
  const { detail, nextCheckAt } = waiting.decision
  expect(detail).toContain('the CA calls back this certificate as it did the one before')
  expect(waiting.warnings.map(w => w.message).join()).toContain(EXPLANATION)
  const days = (Date.parse(nextCheckAt ?? '') - s.clock.now()) / DAY_MS
  expect(days).toBeGreaterThan(7)
  expect(days).toBeLessThan(9)
  expect(s.obtained()).toBe(1)
  expect(await s.run({ force: true })).toMatchObject({ outcome: 'rotated' })
})
