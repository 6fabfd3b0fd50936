import { describe, expect, it } from 'vitest'
import { nextOrder, type Spent, unissuedMs } from '../../lib/acme/order/budget.ts'
import { RotationError } from '../../lib/base/rotation-error.ts'
import { createJournal } from '../support/memory.ts'
import { type Attempt, attempt, type Bench, failureOf, losing, problem, specOf, startBench } from './rig.ts'

const NOW = Date.parse('2026-06-15T12:00:00Z')
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const LIMITS = { orders: 3, perMs: 7 * DAY_MS, failedValidations: 2 }
/** Of a certificate of six days, and of one of ninety. */
const SHORT = { ...LIMITS, unissuedMs: unissuedMs(LIMITS.perMs, 6 * DAY_MS) }
const LONG = { ...LIMITS, unissuedMs: unissuedMs(LIMITS.perMs, 90 * DAY_MS) }

const NOTHING_SPENT: Spent = { orders: [], asked: [], ended: [], failed: [], rehearse: false }
const spent = (
  orders: readonly number[],
  failed: readonly number[] = [],
  asked: readonly number[] = [],
): Spent => ({
  orders: orders.map(ago => NOW - ago),
  asked: asked.map(ago => NOW - ago),
  ended: [],
  failed: failed.map(ago => NOW - ago),
  rehearse: false,
})

describe('the next order', () => {
  const cases: readonly (readonly [string, Spent, number | null])[] = [
    ['nothing spent', spent([]), null],
    ['one below', spent([2 * DAY_MS, DAY_MS]), null],
    ['all spent: when the oldest is a week old', spent([6 * DAY_MS, DAY_MS, HOUR_MS]), NOW + DAY_MS],
    ['exactly a week ago counts no more', spent([7 * DAY_MS, DAY_MS, HOUR_MS]), null],
    [
      'more than the limit: when enough are old',
      spent([6 * DAY_MS, 5 * DAY_MS, 4 * DAY_MS, DAY_MS]),
      NOW + 2 * DAY_MS,
    ],
    ['one failed validation', spent([], [HOUR_MS / 2]), null],
    ['two in an hour', spent([], [HOUR_MS / 2, HOUR_MS / 4]), NOW + HOUR_MS / 2],
    ['both: the later one counts', spent([6 * DAY_MS, 1, 1], [HOUR_MS / 2, 1]), NOW + DAY_MS],
    ['three that nobody answered count for a day', spent([], [], [3 * HOUR_MS, 2, 1]), NOW + 21 * HOUR_MS],
    ['and no longer', spent([], [], [DAY_MS, 2, 1]), null],
    ['nor do they count as orders', spent([DAY_MS, HOUR_MS], [], [2, 1]), null],
    [
      'together with those that ended without a certificate',
      { ...spent([DAY_MS], [], [HOUR_MS, 1]), ended: [NOW - 2 * HOUR_MS] },
      NOW + 22 * HOUR_MS,
    ],
    [
      'orders of the year 2099 were never placed',
      spent([-26_000 * DAY_MS, -26_000 * DAY_MS, -26_000 * DAY_MS]),
      null,
    ],
    ['a clock that was put back', spent([-DAY_MS, -DAY_MS, -DAY_MS]), NOW + 8 * DAY_MS],
  ]
  it.each(cases)('%s', (_, given, at) => {
    expect(nextOrder(given, SHORT, NOW)?.at ?? null).toBe(at)
  })

  it.each([
    ['that nobody answered', { ...NOTHING_SPENT, asked: [NOW - 3 * DAY_MS, NOW - 2, NOW - 1] }],
    ['that ended without a certificate', { ...NOTHING_SPENT, ended: [NOW - 3 * DAY_MS, NOW - 2, NOW - 1] }],
    ['of each kind', { ...spent([3 * DAY_MS], [], [1]), ended: [NOW - 2] }],
  ])('for a certificate that lasts, three orders %s are three in a week', (_, given) => {
    expect(nextOrder(given, LONG, NOW)?.at).toBe(NOW + 4 * DAY_MS)
    expect(nextOrder(given, { ...LIMITS, unissuedMs: unissuedMs(LIMITS.perMs, null) }, NOW)?.at).toBe(
      NOW + 4 * DAY_MS,
    )
  })
})

/** As strict as the settings' default. */
const strict = async (bench: Bench, given: Attempt = {}) =>
  (await attempt(bench, { settings: { budget: LIMITS }, ...given })).result.kind
const other = specOf(['other.example.com'])
/** What was spent on the one set of names. */
const entry = (bench: Bench) => Object.values(bench.memory.notes.budget as object)[0] as Spent
const ordered = (bench: Bench) => bench.operations().filter(call => call === 'NewOrder').length

describe('orders', () => {
  it('are three in a week for one set of names; the fourth waits, and another set does not', async () => {
    const bench = await startBench()
    for (let i = 0; i < 3; i += 1) {
      expect(await strict(bench, { spec: specOf(['b.example.com', 'a.example.com']) })).toBe('obtained')
      bench.clock.now += HOUR_MS
    }
    const first = bench.clock.now - 3 * HOUR_MS
    ordered(bench)
    const spec = specOf(['a.example.com', 'b.example.com'])
    const error = await failureOf(strict(bench, { spec }))
    expect(error).toMatchObject({ code: 'rate-limited', retry: 'later' })
    expect(Math.abs((error.retryAt ?? 0) - first - 7 * DAY_MS)).toBeLessThan(HOUR_MS)
    expect(error.message).toContain('sources.ca.budget')
    expect(ordered(bench)).toBe(0)
    expect(await strict(bench)).toBe('obtained')
    bench.clock.now = error.retryAt ?? 0
    expect(await strict(bench, { spec })).toBe('obtained')
  })

  it('are counted before they are placed: a run that dies each time gets no further than three', async () => {
    const bench = await startBench()
    bench.faults.add({ operations: ['acme.NewOrder'], drop: 'after', times: 10 })
    for (let i = 0; i < 3; i += 1) expect((await failureOf(strict(bench))).code).toBe('unavailable')
    expect((await failureOf(strict(bench))).code).toBe('rate-limited')
    expect(ordered(bench)).toBe(3)
  })

  it('that nobody answered are forgiven by the one that the CA confirms', async () => {
    const bench = await startBench()
    bench.faults.add({ operations: ['acme.NewOrder'], drop: 'after', times: 2 })
    for (let i = 0; i < 2; i += 1) expect((await failureOf(strict(bench))).code).toBe('unavailable')
    expect(await strict(bench)).toBe('obtained')
    expect(bench.ca.orders).toHaveLength(1)
    bench.clock.now += HOUR_MS
    expect(await strict(bench)).toBe('obtained')
    expect(await strict(bench)).toBe('obtained')
    expect((await failureOf(strict(bench))).code).toBe('rate-limited')
  })

  it('that came to nothing count for a day where six are all there are: expired, unknown to the CA, or not issued', async () => {
    const bench = await startBench({ asyncFinalizeMs: 30 * DAY_MS })
    const notBefore = new Date(bench.clock.now)
    const notAfter = new Date(bench.clock.now + 6 * DAY_MS)
    const { certPem } = await bench.ca.issue(['iot.example.com'], { notBefore, notAfter, keyType: 'ec-256' })
    const renewal = (journal = createJournal()) => strict(bench, { journal, replaces: certPem })
    const journal = createJournal()
    expect(await strict(bench, { journal, leftMs: 30_000 })).toBe('suspended')
    bench.ca.options.asyncFinalizeMs = 0
    bench.clock.now += 8 * DAY_MS
    const { order } = journal.notes
    await journal.write({ order: { ...(order as object), url: `${bench.ca.url}/orders/unknown` } })
    expect(await renewal(journal)).toBe('obtained')
    expect(entry(bench)).toMatchObject({ orders: [expect.any(Number)], ended: [] })

    bench.ca.options.issuanceProblem = { type: 'serverInternal', detail: 'no' }
    for (let i = 0; i < 3; i += 1) expect((await failureOf(renewal())).code).toBe('order-failed')
    expect((await failureOf(renewal())).code).toBe('rate-limited')
    expect(entry(bench)).toMatchObject({
      orders: [expect.any(Number)],
      ended: [expect.any(Number), expect.any(Number), expect.any(Number)],
    })
    bench.ca.options.issuanceProblem = null
    bench.clock.now += DAY_MS
    expect(await renewal()).toBe('obtained')
  })

  it('that were confirmed to a dead run only are counted by the next one', async () => {
    const bench = await startBench({ asyncFinalizeMs: 3_600_000 })
    const journal = createJournal()
    expect(await strict(bench, { journal, leftMs: 30_000 })).toBe('suspended')
    // As if it had died between the journal and the budget.
    const at = bench.clock.now
    const unanswered = { ...NOTHING_SPENT, asked: [at] }
    await bench.memory.update(({ budget, ...notes }) => ({
      ...notes,
      budget: Object.fromEntries(Object.keys(budget as object).map(key => [key, unanswered])),
    }))
    expect(await strict(bench, { journal, leftMs: 30_000 })).toBe('suspended')
    expect(entry(bench)).toMatchObject({ orders: [at], asked: [] })
  })

  it.each([
    ['is not there', { operations: ['acme.*'], drop: 'before' as const }],
    ['cannot give a nonce', { operations: ['acme.NewNonce'], status: 500 }],
    ['is out of order', { operations: ['acme.NewOrder'], status: 500 }],
  ])('that a CA which %s never took are none', async (_, fault) => {
    const bench = await startBench()
    await strict(bench, { spec: other })
    bench.faults.add({ ...fault, times: Number.MAX_SAFE_INTEGER })
    for (let i = 0; i < 5; i += 1) expect((await failureOf(strict(bench))).code).toBe('unavailable')
    bench.faults.clear()
    expect(await strict(bench)).toBe('obtained')
  })

  it('that the CA refused are none', async () => {
    const bench = await startBench()
    const body = problem('rejectedIdentifier')
    bench.faults.add({ operations: ['acme.NewOrder'], status: 400, body, times: 5 })
    for (let i = 0; i < 5; i += 1) expect((await failureOf(strict(bench))).code).toBe('ca-rejected')
    expect(await strict(bench)).toBe('obtained')
  })

  it('that are gone on with count once', async () => {
    const bench = await startBench({ asyncFinalizeMs: 3_600_000 })
    const journal = createJournal()
    for (let i = 0; i < 6; i += 1) expect(await strict(bench, { journal, leftMs: 30_000 })).toBe('suspended')
    bench.clock.now += HOUR_MS
    expect(await strict(bench, { journal })).toBe('obtained')
    expect(bench.ca.orders).toHaveLength(1)
  })
})

describe('failed validations', () => {
  const failing = (bench: Bench, journal = createJournal()) =>
    failureOf(strict(bench, { journal, http: losing(bench) }))

  it('are two in an hour, and do not count as orders', async () => {
    const bench = await startBench()
    for (let hour = 0; hour < 3; hour += 1) {
      expect((await failing(bench)).code).toBe('validation-failed')
      expect((await failing(bench)).code).toBe('validation-failed')
      ordered(bench)
      const error = await failing(bench)
      expect(error).toMatchObject({ code: 'rate-limited' })
      expect(error.message).toContain('2 failed validations in an hour')
      expect(ordered(bench)).toBe(0)
      bench.clock.now += HOUR_MS
    }
    expect(await strict(bench)).toBe('obtained')
  })

  it('that a dead run did not see are counted by the next one', async () => {
    const bench = await startBench()
    const journal = createJournal()
    await failing(bench, journal)
    // As if it had died before it wrote that down.
    const { order } = journal.history.find(notes => notes.order !== undefined) ?? {}
    await bench.memory.update(({ budget: _, ...notes }) => notes)
    await journal.write({ order })
    expect(await strict(bench, { journal })).toBe('obtained')
    expect(entry(bench)).toMatchObject({ failed: [expect.any(Number)] })
  })

  it('are told apart by set of names, and old entries go', async () => {
    const bench = await startBench()
    await failing(bench)
    await strict(bench, { spec: other })
    expect(Object.keys(bench.memory.notes.budget as object)).toHaveLength(2)
    bench.clock.now += 8 * DAY_MS
    await strict(bench)
    expect(Object.values(bench.memory.notes.budget as object)).toHaveLength(1)
    expect(entry(bench)).toMatchObject({ orders: [expect.any(Number)], failed: [] })
  })

  it('what cannot be read counts as nothing spent', async () => {
    const bench = await startBench()
    await bench.memory.update(notes => ({ ...notes, budget: 'none' }))
    expect(await strict(bench)).toBe('obtained')
  })
})

it('a memory that cannot be written stops the order', async () => {
  const bench = await startBench()
  const update = () => Promise.reject(new RotationError('store-conflict', 'no'))
  const error = await failureOf(strict(bench, { memory: { ...bench.memory, update } }))
  expect(error.code).toBe('store-conflict')
  expect(ordered(bench)).toBe(0)
})
