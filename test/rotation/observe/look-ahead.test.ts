/** What a source says of the weeks to come: `plan` asks it, and runs once a day in the weeks before a renewal. */
import { expect, test } from 'vitest'
import type { CertificateSource } from '../../../lib/contracts.ts'
import { lookAhead, lookAheadDaily } from '../../../lib/rotation/observe/look-ahead.ts'
import { fakeClock } from '../../support/clock.ts'
import { context, inspection, NOW, newRun, slot } from '../facts.ts'
import { newState } from '../state.ts'

const DAY_MS = 86_400_000
const SAID = 'DNSSEC signatures of example.com end'

const open = async (said: string[]) => {
  const { store, records } = (await newState()).open()
  const clock = fakeClock(NOW)
  const asked: number[] = []
  const source = {
    outlook: async (_: readonly string[], until: number) => {
      asked.push(until)
      return [...said]
    },
  } as unknown as CertificateSource
  const run = () => context({ store, records, run: newRun(clock), sources: { letsencrypt: source } })
  const scene = inspection({ slots: [slot('a')], bound: 'a' })
  return { run, scene, asked, clock }
}

test('plan asks with the instant of the next renewal, and warns', async () => {
  const { run, scene, asked } = await open([SAID])
  const plan = run()
  await lookAhead(plan, scene)
  expect(plan.trace.warnings).toEqual([{ code: 'dnssec', message: SAID }])
  const ends = scene.bound?.slot?.leaf?.notAfter ?? 0
  expect(asked).toEqual([expect.any(Number)])
  expect(asked[0]).toBeGreaterThan(NOW)
  expect(asked[0]).toBeLessThan(ends)
})

test('a run asks once a day, only in the weeks before a renewal, and warns at each run while it is so', async () => {
  const said = [SAID]
  const { run, scene, asked, clock } = await open(said)
  const daily = async () => {
    const here = run()
    await lookAheadDaily(here, scene)
    return here.trace.warnings.map(({ message }) => message)
  }
  const ends = scene.bound?.slot?.leaf?.notAfter ?? 0
  const starts = scene.bound?.slot?.leaf?.notBefore ?? 0
  const renewal = ends - (ends - starts) / 3
  clock.advance(renewal - 40 * DAY_MS - NOW)
  expect([await daily(), asked]).toEqual([[], []])
  clock.advance(20 * DAY_MS)
  expect([await daily(), await daily(), asked.length]).toEqual([[SAID], [SAID], 1])
  clock.advance(DAY_MS)
  said.length = 0
  expect([await daily(), await daily(), asked.length]).toEqual([[], [], 2])
})
