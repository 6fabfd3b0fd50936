/** Rings in the settings: one clear message for each mistake, before anything runs. */
import { describe, expect, test } from 'vitest'
import { DAY_MS } from '../../lib/base/time.ts'
import { changed, load, mistakesOf, type Raw } from './sample.ts'

const names = ['eu-1', 'eu-2', 'us-1', 'cn-1']
const fleet =
  (rings: readonly object[], more: (raw: Raw) => void = () => {}) =>
  (raw: Raw): void => {
    const [target] = raw.targets
    raw.targets = names.map((name, i) => ({
      ...target,
      name,
      instance: { ...target.instance, instanceId: `instance-${i}`, endpoint: `https://${name}.example.com` },
    }))
    raw.rollout = { rings }
    more(raw)
  }

test('names, patterns, and all the rest', async () => {
  const { rings } = await load(
    changed(
      fleet([
        { name: 'canary', targets: ['eu-1'], soak: '2d' },
        { name: 'far', targets: ['us-*', 'c*-1'] },
        { name: 'rest', targets: ['*'] },
      ]),
    ),
  )
  expect(rings?.map(({ name, soakMs, targets }) => [name, soakMs, targets.map(t => t.name)])).toEqual([
    ['canary', 2 * DAY_MS, ['eu-1']],
    ['far', DAY_MS, ['us-1', 'cn-1']],
    ['rest', DAY_MS, ['eu-2']],
  ])
})

test('without rings every target has its own time', async () => {
  expect((await load(changed(() => {}))).rings).toBeNull()
})

describe('mistakes', () => {
  const rest = { name: 'rest', targets: ['*'] }
  const cases: readonly (readonly [mistake: string, rings: readonly object[], more?: (raw: Raw) => void])[] =
    [
      [
        'rollout.rings: target "eu-1" is in the rings a and b: each is in one',
        [{ name: 'a', targets: ['eu-1'] }, { name: 'b', targets: ['eu-*'] }, rest],
      ],
      [
        'rollout.rings: target "cn-1" is in no ring: name it, or end with a ring of "*"',
        [{ name: 'a', targets: ['eu-*', 'us-*'] }],
      ],
      ['rollout.rings[0].targets[0]: there is no target "eu-9"', [{ name: 'a', targets: ['eu-9'] }, rest]],
      ['rollout.rings[0].targets[0]: fits no target', [{ name: 'a', targets: ['x*'] }, rest]],
      ['rollout.rings[1].name: "rest" is taken by another ring', [{ name: 'rest', targets: ['eu-1'] }, rest]],
      [
        'rollout.rings: the soaks (a 10d + b 10d = 20d) are more than a third of the 45d that a certificate may last: the last ring would be late',
        [{ name: 'a', targets: ['eu-1'], soak: '10d' }, { name: 'b', targets: ['eu-2'], soak: '10d' }, rest],
      ],
      [
        'rollout.rings: the soaks (a 3d = 3d) are more than a third of the 6d that a certificate may last: the last ring would be late',
        [{ name: 'a', targets: ['eu-1'], soak: '3d' }, rest],
        raw => Object.assign(raw.certificates.iot, { profile: 'shortlived' }),
      ],
      ['rollout.rings: must have at least one ring', []],
      ['rollout.rings[0].targets: must name at least one target', [{ name: 'a', targets: [] }, rest]],
      ['rollout.rings[0].soak: is too long', [{ name: 'a', targets: ['eu-1'], soak: '90d' }, rest]],
    ]
  test.each(cases.map(([mistake, rings, more]) => ({ mistake, rings, more })))(
    '$mistake',
    async ({ mistake, rings, more }) => {
      expect(await mistakesOf(load(changed(fleet(rings, more))))).toEqual([mistake])
    },
  )
})
