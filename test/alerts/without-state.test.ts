/** Nothing can be written down, and runs do not come by the clock: people are told all the same, and not by each run. */
import { expect, test } from 'vitest'
import { alertFailure } from '../../lib/alerts/alert-run.ts'
import { silentLog } from '../../lib/base/log.ts'
import { RotationError } from '../../lib/base/rotation-error.ts'
import { HOUR_MS, MINUTE_MS } from '../../lib/base/time.ts'
import { fakeClock } from '../support/clock.ts'

const SLOT_MS = 6 * HOUR_MS

/** When people are told over a day of runs, by the minutes that each is late of its half hour. */
async function told(lateMinutes: (run: number) => number, offsetMinutes: number): Promise<readonly number[]> {
  const startedAt = Date.parse('2026-06-15T00:00:00Z')
  const heard: number[] = []
  for (let i = 0; i < 48; i += 1) {
    const clock = fakeClock(startedAt + (30 * i + offsetMinutes + lateMinutes(i)) * MINUTE_MS)
    const { signal } = new AbortController()
    const notify = async (): Promise<void> => void heard.push(clock.now() - startedAt)
    await alertFailure(
      {
        run: { runId: `run-${i}`, clock, log: silentLog, deadline: clock.now() + MINUTE_MS, signal },
        records: null,
        notifiers: [{ name: 'a', filter: { minSeverity: 'warning', events: null }, notifier: { notify } }],
        intervalMs: 30 * MINUTE_MS,
      },
      new RotationError('store-unreadable', 'store (s3): GetObject was refused'),
    )
  }
  return heard
}

test.each([
  ['by the clock', () => 0, 10],
  ['anywhere within ten minutes', (run: number) => (run * 7) % 11, 25],
  ['early before each slot, late after it', (run: number) => (run % 2 === 0 ? 10 : 0), 22],
  ['late before each slot, early after it', (run: number) => (run % 2 === 0 ? 0 : 10), 22],
])('%s', async (_, late, offset) => {
  const heard = await told(late, offset)
  const slots = new Set(heard.map(at => Math.floor(at / SLOT_MS)))
  expect([1, 2, 3].filter(slot => !slots.has(slot))).toEqual([])
  expect(heard.length).toBeLessThanOrEqual(8)
})
