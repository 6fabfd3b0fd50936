/** A recall of everything, on paper. */
import { expect, test } from 'vitest'
import { drill } from '../../../lib/app/fleet/drill.ts'
import { type RecallFacts, recallPlan } from '../../../lib/app/fleet/recall-paper.ts'
import { silentLog } from '../../../lib/base/log.ts'
import { HOUR_MS, MINUTE_MS, SECOND_MS } from '../../../lib/base/time.ts'
import { drillText } from '../../../lib/present/drill-text.ts'
import { openFleet } from '../../support/fleet.ts'
import { DAY_MS } from '../../support/scenario.ts'

const LETS_ENCRYPT = { name: 'orders at le', burst: 300, everyMs: 36 * SECOND_MS }

const facts = (changed: Partial<RecallFacts>): RecallFacts => ({
  targets: 1_000,
  concurrency: 16,
  rotationMs: 30 * SECOND_MS,
  measuredOn: 900,
  runMs: 15 * MINUTE_MS,
  intervalMs: 30 * MINUTE_MS,
  noticeMs: 6 * HOUR_MS,
  buckets: [],
  minAgeMs: 0,
  ringsMs: 0,
  ...changed,
})

test.each<[string, Partial<RecallFacts>, string, number]>([
  // 480 in a run: two runs, and 40 in the third.
  ['nothing but the work', {}, 'work', 2 * 30 * MINUTE_MS + 3 * 30 * SECOND_MS],
  ['one run is enough', { targets: 10, concurrency: 10 }, 'work', 30 * SECOND_MS],
  ['orders at Let’s Encrypt', { buckets: [{ ...LETS_ENCRYPT, needed: 1_000 }] }, 'orders at le', 7 * HOUR_MS],
  ['as many as it takes at once', { buckets: [{ ...LETS_ENCRYPT, needed: 300 }] }, 'work', 61.5 * MINUTE_MS],
  [
    'a slow DNS service',
    { buckets: [{ name: 'dns', burst: 0, everyMs: SECOND_MS, needed: 8_000 }] },
    'dns',
    8_000 * SECOND_MS,
  ],
])('%s is the narrowest', (_, changed, narrowest, takesMs) => {
  const given = facts(changed)
  const plan = recallPlan(given)
  expect(plan.narrowest).toBe(narrowest)
  expect(plan.limits.find(it => it.name === narrowest)?.takesMs).toBe(takesMs)
  expect(plan.lastSafeAfterMs).toBe(6 * HOUR_MS + 30 * MINUTE_MS + takesMs)
})

test('a soak and rings come on top', () => {
  const plan = recallPlan(facts({ minAgeMs: HOUR_MS, ringsMs: 48 * HOUR_MS }))
  expect(plan.withRingsMs - plan.lastSafeAfterMs).toBe(48 * HOUR_MS)
  expect(plan.lastSafeAfterMs - recallPlan(facts({})).lastSafeAfterMs).toBe(HOUR_MS)
})

test('goes by settings and what was measured, changes nothing, and says whether it is in time', async () => {
  const names = ['a', 'b', 'c', 'd']
  const { s, run, later } = await openFleet(names)
  const request = {
    ...{ config: s.rig.settingsFile, clock: s.clock, log: silentLog, deadline: s.clock.now() + MINUTE_MS },
    ...{ runMs: 15 * MINUTE_MS, withinMs: 24 * HOUR_MS },
  }
  const before = await drill(request)
  expect(before.limits[0]?.says).toContain('assumed: none was measured yet')
  await run()
  await later(45 * DAY_MS)
  s.faults.clearCalls()
  const answer = await drill({ ...request, deadline: s.clock.now() + MINUTE_MS })
  expect(s.faults.calls).toEqual([])
  expect(answer).toMatchObject({ version: 1, ok: true, targets: 4, certificates: 4, narrowest: 'work' })
  expect(answer.limits[0]?.says).toContain('4 targets, 4 at once')
  expect(answer.limits[0]?.says).toContain('measured on 4')
  expect(answer.notes).toEqual(['4 certificates have "ari": false: a recall is not heard of'])
  const text = drillText(answer)
  expect(text).toMatch(/^narrowest: work$/m)
  expect(text).toMatch(/^in time {2}the last target is safe after \d/m)
  const late = await drill({ ...request, deadline: s.clock.now() + MINUTE_MS, withinMs: SECOND_MS })
  expect(late.ok).toBe(false)
  expect(drillText(late)).toMatch(/^too late/m)
})
