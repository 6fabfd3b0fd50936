/** 400 days with certificates of one lifetime, for each schedule; `node bench/days.mjs` writes down what came of it. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type Lived, liveThrough, type Renewal } from '../support/days.ts'
import { DAY_MS, HOUR_MS, isInsidePossible, type Life, MINUTE_MS } from '../support/days-ideal.ts'

const DAYS = 400
const TICKS = [
  ['30 minutes', 30 * MINUTE_MS],
  ['6 hours', 6 * HOUR_MS],
  ['a day', DAY_MS],
] as const

const isInside = ({ orderedAt, window }: Renewal): boolean =>
  orderedAt >= window.start && orderedAt < window.end

/** Where windows are narrower than the schedule: before the end, and not a whole tick before the start. */
const isJustBefore =
  (tickMs: number) =>
  ({ orderedAt, window }: Renewal): boolean =>
    orderedAt >= window.start - tickMs && orderedAt < window.end

/** For bench/days.mjs. */
async function writeDown(what: string, tick: string, lived: Lived, life: Life): Promise<void> {
  const folder = process.env.DAYS_RESULTS
  if (!folder) return
  const calm = lived.renewals.filter(renewal => !renewal.isDisturbed)
  const { ticks, runs, deaths, orders, ideal, pace, expired } = lived
  const result = {
    ...{
      what,
      tick,
      lifetimeMs: life.lifetimeMs,
      tickMs: life.tickMs,
      ticks,
      runs,
      deaths,
      orders,
      ideal,
      pace,
    },
    ...{ calm: calm.length, inside: calm.filter(isInside).length, isInsidePossible: isInsidePossible(life) },
    ...{ outages: lived.outages.length, expired: expired.length },
    outlasted: expired.filter(({ isOutlasted }) => isOutlasted).length,
    longestExpiredMs: Math.max(0, ...expired.map(({ start, end }) => end - start)),
  }
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, `${life.lifetimeMs}-${life.tickMs}.json`), JSON.stringify(result))
}

/** Each life has its own seed, which its name and every objection tell. */
export function liveDays(what: string, lifetimeMs: number, firstSeed: number): void {
  describe(`${DAYS} days with certificates of ${what}`, () => {
    test.concurrent.each(TICKS.map((tick, i) => [...tick, firstSeed + i] as const))(
      'looked at every %s',
      { timeout: 1_200_000 },
      async (tick, tickMs, seed) => {
        const life = { days: DAYS, lifetimeMs, tickMs, seed }
        const lived = await liveThrough(life)
        await writeDown(what, tick, lived, life)
        expect(lived.objections, `seed ${seed}`).toEqual([])
        expect(lived.deaths).toBeGreaterThan(0)
        expect(lived.outages.some(({ start, end }) => end - start === 7 * DAY_MS)).toBe(true)
        expect(lived.expired.filter(it => !it.isExcused || (tickMs < DAY_MS && !it.isOutlasted))).toEqual([])

        const { orders, ideal, pace } = lived
        expect(Math.abs(pace - 1), `${orders} orders, ideal: ${ideal}`).toBeLessThanOrEqual(1 / 20)
        expect(Math.abs(orders - ideal)).toBeLessThanOrEqual(Math.max(1, ideal / 20))
        const calm = lived.renewals.filter(renewal => !renewal.isDisturbed)
        expect(calm.length).toBeGreaterThan(0)
        const isRight = isInsidePossible(life) ? isInside : isJustBefore(tickMs)
        expect(calm.filter(renewal => !isRight(renewal))).toEqual([])
      },
    )
  })
}
