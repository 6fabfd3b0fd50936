/** A run that leaves a target open, and whoever asks right after it: status, plan and the published page say the same. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { pageOf } from '../../lib/present/page/page.ts'
import { prometheusText } from '../../lib/present/prometheus.ts'
import type { Answer } from '../../lib/report/answer.ts'
import { STATES, type StateName, stateOf } from '../../lib/report/health.ts'
import { DAY_MS, HOUR_MS, openDue, type Scenario } from '../support/scenario.ts'

/** The CA takes its time for the certificate of an order. */
const slowly = (s: Scenario): void => {
  s.ca.options.asyncFinalizeMs = 100 * DAY_MS
}
/** A run that fails, after which the CA takes its time. */
const failOnce = async (s: Scenario): Promise<void> => {
  s.faults.add({ operations: ['httpreq.Present'], status: 500, times: 99 })
  await s.runTo({ outcome: 'failed' })
  s.faults.clear()
  slowly(s)
}

const CASES: readonly (readonly [string, (s: Scenario) => unknown, StateName])[] = [
  ['an order is under way', slowly, 'under-way'],
  [
    'an order was under way before, too',
    async s => {
      slowly(s)
      await s.runTo({ outcome: 'suspended' }, {}, { budgetMs: 200_000 })
      s.clock.advance(HOUR_MS)
    },
    'under-way',
  ],
  [
    'an order is under way after a failure',
    async s => {
      await failOnce(s)
      s.clock.advance(2 * HOUR_MS)
    },
    'under-way',
  ],
  [
    'an order is under way after a failure and a wait',
    async s => {
      await failOnce(s)
      await s.runTo({ outcome: 'suspended', decision: { reason: 'backing-off' } })
      s.clock.advance(2 * HOUR_MS)
    },
    'under-way',
  ],
  ['a failure is waited for', failOnce, 'failing'],
  [
    'an order is under way, near the end',
    async s => {
      slowly(s)
      s.clock.advance(17 * DAY_MS)
    },
    'late',
  ],
  [
    'what is bound is not served yet',
    s => {
      s.device.switches.lagMs = Number.POSITIVE_INFINITY
    },
    'under-way',
  ],
]

const stateIn = ({ results, finishedAt }: Answer): StateName | null =>
  results[0] ? stateOf(results[0], Date.parse(finishedAt)) : null
const saysOf = (page: string): string | undefined => / class="says (\w+)">/.exec(page)?.[1]

test.each(CASES)('%s', async (_, before, wanted) => {
  const { s } = await openDue({
    change: settings => {
      settings.statusPage = { publish: true }
    },
  })
  await before(s)
  const ask = (action: 'rotate' | 'status' | 'plan') =>
    s.rig.run({ action }, { clock: s.clock, budgetMs: 200_000 })
  const rotated = await ask('rotate')
  const published = await readFile(join(s.rig.folder, 'state', 'page', 'status.html'), 'utf8')
  expect(rotated).toMatchObject({ results: [{ outcome: 'suspended' }] })
  const [status, plan] = [await ask('status'), await ask('plan')]
  expect([rotated, status, plan].map(stateIn)).toEqual([wanted, wanted, wanted])
  const ok = STATES[wanted].health === 'unwell' ? 0 : 1
  expect(prometheusText(status)).toContain(`\niotda_cert_ok{target="factory-1"} ${ok}\n`)
  expect(saysOf(pageOf(status))).toBe(saysOf(published))
  expect(saysOf(published)).toBeDefined()
})

test('a failure that was waited for is no order under way when its time has come', async () => {
  const { s } = await openDue()
  await failOnce(s)
  await s.runTo({ outcome: 'suspended', decision: { reason: 'backing-off' } })
  s.clock.advance(2 * HOUR_MS)
  expect(stateIn(await s.rig.run({ action: 'status' }, { clock: s.clock }))).toBe('failing')
})
