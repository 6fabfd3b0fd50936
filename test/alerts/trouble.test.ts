/** One target's trouble stops no other; and what happened is told though the process dies before it tells. */
import { describe, expect, test } from 'vitest'
import { alertRun } from '../../lib/alerts/alert-run.ts'
import { silentLog } from '../../lib/base/log.ts'
import type { TargetDocument } from '../../lib/state/documents.ts'
import { openRecords } from '../../lib/state/state.ts'
import { result } from '../present/answers.ts'
import { fakeClock, untilInTurn } from '../support/clock.ts'
import { dnsDown, everybody, keysRefused, openFleet, SEAL_KEY, type State, targetOf } from './fleet.ts'

const HOUR = 3_600_000

/** Changes what is written down of one target of a fleet. */
function rewrite(
  f: ReturnType<typeof openFleet>,
  i: number,
  change: (document: TargetDocument) => object,
): void {
  const key = f.keyOf(i)
  const { body = '{}', revision = '' } = f.documents.get(key) ?? {}
  f.documents.set(key, {
    body: JSON.stringify({ ...JSON.parse(body), ...change(JSON.parse(body)) }),
    revision,
  })
}

describe('a document that says what this program does not understand', () => {
  test('an open event of a newer version: the others are told', async () => {
    const f = openFleet(3)
    await f.run(everybody(keysRefused))
    rewrite(f, 0, ({ alerts }) => {
      const open = Object.entries(alerts.open).map(([key, it]) => [key, { ...it, event: 'from-the-future' }])
      return { alerts: { ...alerts, open: Object.fromEntries(open) } }
    })
    const { said } = await f.run(everybody('well'))
    expect(said.toSorted()).toEqual([
      'recovered recovered info plant-001',
      'recovered recovered info plant-002',
    ])
  })

  test('an instant that is none: it is told by the run, the others by themselves', async () => {
    const f = openFleet(3)
    await f.run(everybody('well'))
    rewrite(f, 0, () => ({ retryAfter: 9e18 }))
    const { said } = await f.run(everybody(dnsDown))
    expect(said.toSorted()).toEqual([0, 1, 2].map(i => `new failed warning plant-00${i}`))
    expect((await f.run(everybody(dnsDown))).said).toEqual([])
  })
})

test('whatever breaks, the run has its answer', async () => {
  const { store } = openFleet(1)
  const broken = (): never => {
    throw new TypeError('broken')
  }
  const { signal } = new AbortController()
  const run = { runId: 'run-1', clock: fakeClock(), log: silentLog, deadline: Infinity, signal }
  const records = { ...openRecords(store, async () => SEAL_KEY), run: broken }
  const ends = [{ target: targetOf(0), result: result({ target: 'plant-000' }) }]
  const end = { targets: [targetOf(0)], ends, ok: true, isWhole: true }
  const told = await alertRun({ run, records, notifiers: [], intervalMs: HOUR }, end)
  expect(told).toEqual({ okAt: null, sent: 0, undelivered: 0 })
})

describe('a process that dies when its targets have ended, before it tells', () => {
  test('what happened is told by the next run, once', async () => {
    const f = openFleet(1)
    expect((await f.run(everybody('adopted'), { dies: true })).said).toEqual([])
    const { alerts } = await f.run(everybody('well'))
    expect(alerts).toMatchObject([{ kind: 'moment', event: 'adopted', target: 'plant-000', runId: 'run-1' }])
    expect((await f.run(everybody('well'))).said).toEqual([])
  })

  test('what happened to many is told as one', async () => {
    const f = openFleet(10)
    await f.run(everybody('adopted'), { dies: true })
    expect((await f.run(everybody('well'))).said).toEqual(['moment adopted warning many:10'])
    expect((await f.run(everybody('well'))).said).toEqual([])
  })

  test('a state has lasted since then', async () => {
    const f = openFleet(1)
    await f.run(everybody(keysRefused), { dies: true })
    const { alerts } = await f.run(everybody(keysRefused))
    expect(alerts).toMatchObject([{ kind: 'new', event: 'failed', durationMs: HOUR }])
    expect((await f.run(everybody('well'))).said).toEqual(['recovered recovered info plant-000'])
  })

  test.each([1, 10])('where it does not die, it is told once: %d', async size => {
    const f = openFleet(size)
    expect((await f.run(everybody('adopted'))).said).toHaveLength(1)
    expect((await f.run(everybody('well'))).said).toEqual([])
  })

  test('where nothing happened, nothing is written', async () => {
    const f = openFleet(1)
    await f.run(everybody('well'))
    const before = f.documents.get(f.keyOf(0))?.revision
    await f.run(everybody('well'), { dies: true })
    expect(f.documents.get(f.keyOf(0))?.revision).toBe(before)
  })
})

test('what many share is written down, what one tells besides is not: both are told, once', async () => {
  const f = openFleet(11)
  f.clock.advance(untilInTurn(f.clock.now()))
  let writes = 0
  const isSecondOfRun = (key: string): boolean => key === 'runs/last' && ++writes === 2
  f.behaviour.refuses = key => key === f.keyOf(10) || isSecondOfRun(key)
  const mixed = (i: number): State => (i < 10 ? dnsDown : keysRefused)
  const { said } = await f.run(mixed)
  expect(said.toSorted()).toEqual(['new failed warning many:10', 'new failed warning plant-010'])
})
