/** The run that puts the old certificate back because devices stay away dies around each of its calls. */
import { expect, test } from 'vitest'
import { silentLog } from '../../lib/base/log.ts'
import { createMortal, type Death } from '../support/mortal.ts'
import { runEvent } from '../support/run-event.ts'
import { BIND, HOUR_MS, type Scenario } from '../support/scenario.ts'
import { online, openWatched } from '../support/watched.ts'

/** Too few came back at the run before: the next one undoes the bind. */
async function openDoomed(): Promise<{ s: Scenario; old: string | null; bad: string | null }> {
  const { s, old } = await openWatched({
    change: settings => {
      settings.targets[0].devices = { watch: '24h' }
    },
  })
  await s.runTo({ outcome: 'rotated' })
  s.iotda.index.devices = online(50)
  await s.later(HOUR_MS)
  s.clock.advance(HOUR_MS)
  s.changes()
  return { s, old, bad: s.boundId() }
}

async function dies(s: Scenario, death: Death | null) {
  const mortal = createMortal()
  const request = {
    ...{ config: s.rig.settingsFile, event: runEvent(), trigger: 'schedule' as const },
    ...{ deadline: s.clock.now() + 10 * 60_000, log: silentLog, clock: s.clock },
  }
  try {
    return await mortal.run(request, death)
  } finally {
    await mortal.close()
  }
}

test('before and after every call: the old one is bound in the end, by one change, and none is deleted', async () => {
  const whole = await openDoomed()
  const from = whole.s.faults.calls.length
  const ended = await dies(whole.s, null)
  expect(ended?.results[0]?.outcome).toBe('rolled-back')
  const calls = whole.s.faults.calls.slice(from).filter(({ operation }) => operation.startsWith('iotda.'))
  expect(calls.map(({ operation }) => operation)).toContain(`iotda.${BIND}`)

  for (let call = 1; call <= calls.length; call += 1)
    for (const when of ['before', 'after'] as const) {
      const { s, old, bad } = await openDoomed()
      const where = `call ${call} (${calls[call - 1]?.operation}), ${when}`
      expect(await dies(s, { call, when }), where).toBeNull()
      expect([old, bad], where).toContain(s.boundId())
      // Whoever died held the lease: the runs after it go on where it ended.
      for (let i = 0; i < 3; i += 1) await s.later(HOUR_MS / 2)
      expect(s.boundId(), where).toBe(old)
      expect(s.ids(), where).toEqual(expect.arrayContaining([old, bad]))
      expect(s.changes().filter(change => change === BIND).length, where).toBe(1)
    }
}, 60_000)
