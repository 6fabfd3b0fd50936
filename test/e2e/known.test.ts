/** An idle run that knows what is bound leaves the look at each certificate out; whatever is in doubt does not. */
import { expect, test } from 'vitest'
import { put } from '../support/put.ts'
import { DAY_MS, openScenario, type Scenario } from '../support/scenario.ts'

const SHOW = 'iotda.ShowServerCertificate'

/** How often each run looked at a certificate. */
async function openKnown() {
  const s = await openScenario()
  await s.bindOne(80)
  let shows = 0
  s.faults.onCall(({ operation }) => {
    if (operation === SHOW) shows += 1
  })
  const showsIn = async (work: () => Promise<unknown>): Promise<number> => {
    shows = 0
    await work()
    return shows
  }
  const idle = (scenario: Scenario = s) => showsIn(() => scenario.runTo({ outcome: 'idle', error: null }))
  // What is bound is adopted.
  expect(await idle()).toBeGreaterThan(0)
  expect(await idle()).toBe(0)
  return { s, idle, showsIn }
}

test('a certificate that somebody stages is seen, and looked at only when it is bound', async () => {
  const { s, idle } = await openKnown()
  const staged = await s.upload(0, 85)
  expect(await idle()).toBe(0)
  s.iotda.bind(staged)
  s.device.settle()
  expect(await idle()).toBeGreaterThan(0)
  expect(await idle()).toBe(0)
})

test('a port that is silent, or has no probe, leaves nothing out', async () => {
  const { s, idle } = await openKnown()
  await s.device.setDown('refuse')
  expect(await idle()).toBeGreaterThan(0)
  await s.device.setDown(null)
  await s.configure(put({ 'targets.0.probe.mode': 'off' }))
  expect(await idle()).toBeGreaterThan(0)
})

test('a port that serves another certificate is looked into and repaired', async () => {
  const { s, idle, showsIn } = await openKnown()
  const { certPem, keyPem } = await s.issue(-1, 60)
  s.device.switches.serve = { certPem, keyPem }
  s.faults.onCall(({ operation }) => {
    if (operation === 'iotda.UpdateDomainConfiguration') s.device.switches.serve = null
  })
  expect(await showsIn(() => s.runTo({ outcome: 'repaired' }))).toBeGreaterThan(0)
  expect(await idle()).toBe(0)
})

test('what people look at shows both certificates', async () => {
  const { s, showsIn } = await openKnown()
  await s.upload(0, 85)
  expect(await showsIn(() => s.run({ action: 'status' }))).toBe(2)
  expect(await showsIn(() => s.run({ action: 'plan' }))).toBe(2)
})

test('what falls due is looked at whole under the lease, and rotated as before', async () => {
  const { s, idle, showsIn } = await openKnown()
  s.clock.advance(60 * DAY_MS)
  expect(await showsIn(() => s.runTo({ outcome: 'rotated' }))).toBeGreaterThan(1)
  expect(await idle()).toBe(0)
})
