/** What devices of one target could not use is frozen: another chain of the CA, of a kind that they know, does as well. */
import { expect, test } from 'vitest'
import type { TargetResult } from '../../lib/report/result.ts'
import { type Fleet, openFleet } from '../support/fleet.ts'
import { DAY_MS, HOUR_MS, warningsOf } from '../support/scenario.ts'

const NAMES = ['canary', 'rest']
const outcomes = (results: Readonly<Record<string, TargetResult>>): readonly string[] =>
  NAMES.map(name => results[name]?.outcome ?? 'missing')
/** Of the chains that are bound: 3 certificates lead to the old root, 2 to the new one alone. */
const lengths = ({ members }: Fleet): readonly number[] =>
  members.map(({ iotda }) => iotda.bound()?.certificatePem.match(/BEGIN/g)?.length ?? 0)
const ordered = ({ s }: Fleet): number => s.ca.orders.length

/**
 * All serve the chain to the old root, and are due. The CA's default leads to the new one by now, which the devices
 * of the first ring turn out to refuse; the other target has one of that kind in hand, too.
 */
async function openRefused(chains: Fleet['s']['ca']['options']['chains']): Promise<Fleet> {
  let roots = ''
  const fleet = await openFleet(NAMES, {
    daysLeft: 30,
    ca: { generations: 2 },
    prepare: async ({ ca }) => {
      roots = `${ca.rootPem}${ca.newRootPem}`
    },
    change: settings => {
      const first = { name: 'first', targets: ['canary'], soak: '24h' }
      settings.rollout = { rings: [first, { name: 'rest', targets: ['*'] }] }
      for (const target of settings.targets) target.trustedRoots = roots
    },
  })
  const [canary] = fleet.members
  if (!canary) throw new Error('no canary')
  expect(lengths(fleet)).toEqual([3, 3])
  fleet.s.ca.options.chains = chains
  const before = canary.boundId()
  const stranger = await fleet.s.issue(-1, 60)
  canary.iotda.onBind(() => {
    const isRefused = lengths(fleet)[0] === 2 && canary.boundId() !== before
    canary.device.switches.serve = isRefused ? stranger : null
  })
  expect(outcomes(await fleet.run())).toEqual(['rolled-back', 'suspended'])
  return fleet
}

test('the CA offers a chain of a kind that devices know: all get that one, each by one order more', async () => {
  const fleet = await openRefused(['short', 'cross-signed'])
  const before = ordered(fleet)
  expect(outcomes(await fleet.later(2 * HOUR_MS))).toEqual(['rotated', 'rotated'])
  expect(lengths(fleet)).toEqual([3, 3])
  expect(ordered(fleet) - before).toBe(2)
})

test('it offers none: one order more, and what there is waits for a person', async () => {
  const fleet = await openRefused(['short'])
  const before = ordered(fleet)
  for (let hour = 0; hour < 6; hour += 1)
    expect(outcomes(await fleet.later(2 * HOUR_MS))).toEqual(['suspended', 'suspended'])
  expect(ordered(fleet) - before).toBe(2)
  expect(lengths(fleet)).toEqual([3, 3])
})

test('it offers one again by the time that the emergency comes near: that one is bound', async () => {
  const fleet = await openRefused(['short'])
  await fleet.later(2 * HOUR_MS)
  fleet.s.ca.options.chains = ['short', 'cross-signed']
  expect(outcomes(await fleet.later(10 * DAY_MS))).toEqual(['suspended', 'suspended'])
  expect(outcomes(await fleet.later(7 * DAY_MS))).toEqual(['rotated', 'rotated'])
  expect(lengths(fleet)).toEqual([3, 3])
})

test('it still offers none: it is asked once more, and the emergency binds what there is', async () => {
  const fleet = await openRefused(['short'])
  await fleet.later(2 * HOUR_MS)
  const before = ordered(fleet)
  for (let day = 0; day < 20; day += 1)
    expect(outcomes(await fleet.later(DAY_MS)), `${day}`).toEqual(['suspended', 'suspended'])
  expect(ordered(fleet) - before).toBe(2)
  const last = await fleet.later(6 * DAY_MS)
  expect(last.rest && warningsOf(last.rest)).toContain('rollout-overridden')
  expect(lengths(fleet)[1]).toBe(2)
  expect(ordered(fleet) - before).toBe(2)
})

test('a CA that is down when the emergency begins does not keep what is only frozen from being bound', async () => {
  const fleet = await openRefused(['short'])
  await fleet.later(2 * HOUR_MS)
  fleet.s.faults.add({ operations: ['acme.*'], status: 500, times: Number.MAX_SAFE_INTEGER })
  const last = await fleet.later(25.5 * DAY_MS)
  expect(last.rest).toMatchObject({ outcome: 'rotated', decision: { reason: 'emergency' } })
})
