/** Many targets, one reason: one message when it begins, one when it is over; and no target is forgotten. */
import { describe, expect, test } from 'vitest'
import { groupKeyOf } from '../../lib/alerts/cause.ts'
import { RotationError } from '../../lib/base/rotation-error.ts'
import type { AlertEvent } from '../../lib/contracts.ts'
import { wordingOf } from '../../lib/notifiers/shared/wording.ts'
import { targetKey } from '../../lib/state/state.ts'
import { untilInTurn } from '../support/clock.ts'
import { dnsDown, everybody, keysRefused, openFleet, type State, targetOf } from './fleet.ts'

const DAY = 24 * 3_600_000

test.each([4, 60, 500])(
  '%d targets fail for one reason: one message, and one when it is over',
  async size => {
    const f = openFleet(size)
    const first = await f.run(everybody(dnsDown))
    expect(first.said).toEqual([`new failed warning many:${size}`])
    expect(first.answer).toMatchObject({ sent: 1, undelivered: 0 })
    for (let i = 0; i < 5; i += 1) expect((await f.run(everybody(dnsDown))).said).toEqual([])
    expect((await f.run(i => (i === 0 ? dnsDown : 'well'))).said).toEqual([])
    expect((await f.run(everybody('well'))).said).toEqual([`recovered recovered info many:${size}`])
    expect((await f.run(everybody('well'))).said).toEqual([])
  },
)

test('1,000 targets and one broken DNS account: three messages from the first to the last', async () => {
  const f = openFleet(1_000)
  const said: string[] = []
  // Ten days: the first of them comes near its end.
  for (let day = 0; day < 10; day += 1) said.push(...(await f.run(everybody(dnsDown), { pauseMs: DAY })).said)
  said.push(...(await f.run(everybody('well'))).said, ...(await f.run(everybody('well'))).said)
  expect(said).toEqual([
    'new failed warning many:1000',
    'worse expiring warning many:1000',
    'recovered recovered info many:1000',
  ])
})

test('three are told one by one', async () => {
  const f = openFleet(3)
  expect((await f.run(everybody(dnsDown))).said).toEqual(
    [0, 1, 2].map(i => `new failed warning plant-00${i}`),
  )
  expect((await f.run(everybody('well'))).said).toEqual(
    [0, 1, 2].map(i => `recovered recovered info plant-00${i}`),
  )
})

test('what it says: how many, which, the worst of them, the reason, and one key from the first to the last', async () => {
  const f = openFleet(60)
  await f.run(everybody(dnsDown))
  f.failing(new RotationError('unavailable', 'down'))
  await f.run(everybody(dnsDown), { pauseMs: 8 * DAY })
  f.failing(null)
  const [again] = (await f.run(everybody(dnsDown))).alerts as [AlertEvent]
  const [over] = (await f.run(everybody('well'))).alerts as [AlertEvent]
  expect(again).toMatchObject({
    version: 1,
    kind: 'worse',
    event: 'expiring',
    severity: 'warning',
    target: null,
    domain: null,
    daysLeft: 11,
    dedupKey: 'iotda-cert/*/failed/unavailable/solvers.dns',
    targets: { count: 60, names: f.targets.slice(0, 50).map(t => t.name) },
    error: { code: 'unavailable', message: 'solvers.dns: present: answered 500' },
    runbook: 'RUNBOOK.md#unavailable',
  })
  expect(over).toMatchObject({
    kind: 'recovered',
    dedupKey: again.dedupKey,
    ends: { event: 'failed', severity: 'warning' },
    targets: { count: 60 },
  })
  const { title, facts } = wordingOf(again, 'en')
  expect(title).toBe('WARNING: each of 60 targets is running out of time, 11 days left at worst')
  expect(Object.fromEntries(facts).Targets).toMatch(/^plant-000, plant-001, .*plant-019, and 40 more$/)
  expect(wordingOf(again, 'zh').title).toContain('60 个目标')
  expect(wordingOf(over, 'en').title).toMatch(/^OK: each of 60 targets is well again, after 8d/)
})

test('as days run out it rises once for all, not once for each', async () => {
  const f = openFleet(20)
  const told: string[] = []
  for (let day = 0; day < 24; day += 1) {
    const { said } = await f.run(everybody(dnsDown), { pauseMs: DAY })
    told.push(...said.map(text => `day ${day} ${text}`))
  }
  expect(told).toEqual([
    'day 0 new failed warning many:20',
    'day 6 worse expiring warning many:20',
    'day 13 worse expiring warning many:20',
    'day 17 worse expiring critical many:20',
    'day 18 reminder failed critical many:20',
    'day 19 worse expiring critical many:20',
    'day 20 worse expiring critical many:20',
    'day 21 reminder failed critical many:20',
    'day 22 reminder failed critical many:20',
    'day 23 reminder failed critical many:20',
  ])
})

test('one after another: three by themselves, then all as one; whoever was told by itself ends by itself', async () => {
  const f = openFleet(8)
  const upTo = (n: number) => (i: number) => (i < n ? dnsDown : 'well')
  for (const n of [1, 2, 3])
    expect((await f.run(upTo(n))).said).toEqual([`new failed warning plant-00${n - 1}`])
  expect((await f.run(upTo(4))).said).toEqual(['new failed warning many:4'])
  for (const n of [5, 6, 7, 8]) expect((await f.run(upTo(n))).said).toEqual([])
  // A week later, all of them are reminded of as one.
  expect((await f.run(upTo(8), { pauseMs: 7 * DAY })).said).toEqual([])
  expect((await f.run(upTo(8))).said).toEqual(['worse expiring warning many:8'])
  expect((await f.run(upTo(0))).said.toSorted()).toEqual([
    'recovered recovered info many:8',
    ...[0, 1, 2].map(i => `recovered recovered info plant-00${i}`),
  ])
})

test('two reasons are two matters, and one target that fails for another is told by itself', async () => {
  const f = openFleet(12)
  const mixed = (i: number): State =>
    i < 6 ? dnsDown : i < 11 ? keysRefused : { ...dnsDown, code: 'unauthorized' }
  expect((await f.run(mixed)).said.toSorted()).toEqual([
    'new failed warning many:5',
    'new failed warning many:6',
    'new failed warning plant-011',
  ])
  // One of them changes its reason: it is no longer one of those six.
  const moved = (i: number): State => (i === 0 ? { code: 'unavailable', says: 'iotda: no answer' } : mixed(i))
  expect((await f.run(moved)).said).toEqual(['worse failed warning plant-000'])
  expect((await f.run(i => (i === 0 ? moved(i) : 'well'))).said.toSorted()).toEqual([
    'recovered recovered info many:5',
    'recovered recovered info many:6',
    'recovered recovered info plant-011',
  ])
  expect((await f.run(everybody('well'))).said).toEqual(['recovered recovered info plant-000'])
})

test('things that happened to many are one message, and to three three', async () => {
  const many = openFleet(30)
  expect((await many.run(everybody('adopted'))).said).toEqual(['moment adopted warning many:30'])
  const few = openFleet(3)
  expect((await few.run(everybody('adopted'))).said).toHaveLength(3)
})

describe('at least once', () => {
  test('a notifier that is down hears of it when it is back, once', async () => {
    const f = openFleet(10)
    f.failing(new RotationError('unavailable', 'down'))
    expect((await f.run(everybody(dnsDown))).answer).toMatchObject({ sent: 0, undelivered: 1 })
    f.failing(null)
    expect((await f.run(everybody(dnsDown))).said).toEqual(['new failed warning many:10'])
    expect((await f.run(everybody(dnsDown))).said).toEqual([])
  })

  test.each([
    ['and tells nobody', new RotationError('unavailable', 'down', { retry: 'never' })],
    ['after it has told', null],
  ])('a run that dies before the targets’ documents are written, %s: told once, as one', async (_, fails) => {
    const f = openFleet(10)
    f.failing(fails)
    f.behaviour.refuses = key => key.startsWith('targets/')
    const { said } = await f.run(everybody(dnsDown))
    f.failing(null)
    f.behaviour.refuses = () => false
    const told = [...said]
    for (let i = 0; i < 3; i += 1) told.push(...(await f.run(everybody(dnsDown))).said)
    expect(told).toEqual(['new failed warning many:10'])
    expect((await f.run(everybody('well'))).said).toEqual(['recovered recovered info many:10'])
  })

  test('a run of an earlier version died with all of it in the targets’ outboxes: told as one', async () => {
    const f = openFleet(10)
    f.failing(new RotationError('unavailable', 'down'))
    for (let i = 0; i < 10; i += 1) await f.run(everybody(dnsDown), { only: [i], pauseMs: 0 })
    // As that version left them: each has tried to tell it for itself, in vain.
    expect(f.documents.get(f.keyOf(9))?.body).toContain('"kind": "new"')
    f.failing(null)
    expect((await f.run(everybody(dnsDown))).said).toEqual(['new failed warning many:10'])
    expect(f.documents.get(f.keyOf(9))?.body).toContain('"outbox": []')
  })

  test('the document of runs is lost: it is told again, not forgotten', async () => {
    const f = openFleet(10)
    await f.run(everybody(dnsDown))
    for (const key of [...f.documents.keys()]) if (!key.startsWith('targets/')) f.documents.delete(key)
    expect((await f.run(everybody(dnsDown))).said).toEqual(['new failed warning many:10'])
  })
})

describe('a run that does not see all', () => {
  test('of some targets neither ends nor repeats what many share', async () => {
    const f = openFleet(10)
    await f.run(everybody(dnsDown))
    expect((await f.run(everybody('well'), { only: [0, 1] })).said).toEqual([])
    expect((await f.run(everybody(dnsDown), { only: [0, 1] })).said).toEqual([])
    expect((await f.run(everybody('well'))).said).toEqual(['recovered recovered info many:10'])
  })

  test('beside another run that is at work on one of them', async () => {
    const f = openFleet(10)
    await f.run(everybody(dnsDown))
    expect((await f.run(i => (i === 9 ? 'busy' : 'well'))).said).toEqual([])
    expect((await f.run(everybody('well'))).said).toEqual(['recovered recovered info many:10'])
  })
})

describe('a store that takes nothing', () => {
  test('is one message for all its targets, four times a day', async () => {
    const f = openFleet(500)
    f.behaviour.refuses = () => true
    const said: string[] = []
    const storeDown: State = { code: 'unavailable', says: 'test store: read: no answer' }
    f.clock.advance(untilInTurn(f.clock.now()))
    for (let i = 0; i < 24; i += 1) said.push(...(await f.run(everybody(storeDown))).said)
    expect(said).toEqual(Array.from({ length: 4 }, () => 'new failed warning many:500'))
  }, 60_000)

  test('only for targets: they are told by the run, as one, and so is the end', async () => {
    const f = openFleet(9)
    f.behaviour.refuses = key => key.startsWith('targets/')
    expect((await f.run(everybody(keysRefused))).said).toEqual(['new failed warning many:9'])
    expect((await f.run(everybody(keysRefused))).said).toEqual([])
    f.behaviour.refuses = () => false
    expect((await f.run(everybody('well'))).said).toEqual(['recovered recovered info many:9'])
  })
})

test('the reason: event, code, and what the message begins with; never what differs from target to target', () => {
  const error = (message: string) => ({ code: 'unavailable', message, hint: null })
  expect(groupKeyOf('failed', error('s3 store: GetObject of a: no answer'))).toBe(
    '*/failed/unavailable/s3-store',
  )
  expect(groupKeyOf('failed', error('solvers.dns: a: b'))).toBe('*/failed/unavailable/solvers.dns')
  expect(groupKeyOf('failed', error('https://a.example.com answered 500'))).toBe('*/failed/unavailable')
  expect(groupKeyOf('failed', error('target "x": no'))).toBe('*/failed/unavailable')
  expect(groupKeyOf('root-ending', null)).toBe('*/root-ending')
  expect(targetKey(targetOf(1))).not.toMatch(/^\*/)
})
