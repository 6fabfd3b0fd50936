/** What is told when: every rule by a table of looks, one after the other. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Condition, decideAlerts, type Message, type Observation } from '../../lib/alerts/decide.ts'
import { emptyLedger, type Ledger } from '../../lib/alerts/ledger.ts'
import { levelOf, severityOf } from '../../lib/alerts/levels.ts'
import { EVENT_NAMES, EVENTS, isWorse } from '../../lib/model/events.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
const START = Date.parse('2026-01-01T00:00:00Z')

const failing = (more: Partial<Condition> = {}): Condition => ({
  key: 'renewal',
  event: 'failed',
  reason: 'the DNS API is down',
  error: { code: 'unavailable', message: 'the DNS API is down', hint: null },
  level: null,
  ...more,
})
const cause = (code: string) => failing({ error: { code, message: code, hint: null } })
const goesOn = (level: number | null = null) => failing({ event: null, error: null, level })

/** A look at a time: what is wrong, `well`, or `unknown` (nothing can be said of it). */
type Look = readonly [hours: number, Condition | 'well' | 'unknown']

const lookAt = (hours: number, seen: Look[1]): Observation => ({
  now: START + hours * HOUR,
  conditions: typeof seen === 'string' ? [] : [seen],
  evaluated: seen === 'well' ? ['renewal'] : [],
  moments: [],
})

function play(looks: readonly Look[], ledger: Ledger = emptyLedger): readonly string[] {
  let known = ledger
  return looks.flatMap(([hours, seen]) => {
    const decided = decideAlerts(known, lookAt(hours, seen))
    // As a store would keep it.
    known = JSON.parse(JSON.stringify(decided.ledger))
    return decided.messages.map(m => `${hours}h ${m.kind} ${m.event} ${m.severity}`)
  })
}

const days = (n: number) => n * 24

const stories: readonly (readonly [string, readonly Look[], readonly string[]])[] = [
  [
    'nothing is wrong',
    [
      [0, 'well'],
      [1, 'well'],
    ],
    [],
  ],
  [
    'told once, then it recovers',
    [
      [0, failing()],
      [1, failing()],
      [2, goesOn()],
      [48, failing()],
      [49, 'well'],
      [50, 'well'],
    ],
    ['0h new failed warning', '49h recovered recovered info'],
  ],
  [
    'a clock that was a year ahead: reminders go on',
    [
      [days(365), failing()],
      [0, failing()],
      [days(6), failing()],
      [days(7), failing()],
      [days(8), 'well'],
    ],
    ['8760h new failed warning', '168h reminder failed warning', '192h recovered recovered info'],
  ],
  [
    'a clock that was a year ahead: what was to last before it is told is told',
    [
      [days(365), failing({ graceMs: 24 * HOUR })],
      [0, failing({ graceMs: 24 * HOUR })],
      [23, failing({ graceMs: 24 * HOUR })],
      [24, failing({ graceMs: 24 * HOUR })],
    ],
    ['24h new failed warning'],
  ],
  [
    'what cannot be judged is not over',
    [
      [0, failing()],
      [1, 'unknown'],
      [2, failing()],
    ],
    ['0h new failed warning'],
  ],
  [
    'a warning is repeated weekly',
    Array.from({ length: 16 * 24 }, (_, hour): Look => [hour, failing()]),
    ['0h new failed warning', `${days(7)}h reminder failed warning`, `${days(14)}h reminder failed warning`],
  ],
  [
    'a critical state is repeated daily',
    Array.from({ length: 60 }, (_, hour): Look => [hour, failing({ severity: 'critical' })]),
    ['0h new failed critical', '24h reminder failed critical', '48h reminder failed critical'],
  ],
  [
    'each level of days left is told once, and severity rises with it',
    [
      [0, failing({ level: null })],
      [0.5, failing({ level: 30 })],
      [0.6, failing({ level: 30 })],
      [1, failing({ level: 14 })],
      [2, goesOn(14)],
      [3, goesOn(7)],
      [4, failing({ level: 3 })],
      [5, failing({ level: 1 })],
      [6, failing({ level: 0 })],
      [7, failing({ level: 0 })],
    ],
    [
      '0h new failed warning',
      '0.5h worse expiring warning',
      '1h worse expiring warning',
      '3h worse expiring warning',
      '4h worse expiring critical',
      '5h worse expiring critical',
      '6h worse expiring critical',
    ],
  ],
  [
    'another cause is told; two that take turns are not told each time',
    [
      [0, cause('unavailable')],
      [1, cause('unauthorized')],
      [2, cause('unavailable')],
      [3, cause('unauthorized')],
    ],
    ['0h new failed warning', '1h worse failed warning'],
  ],
  [
    'a severity that falls says nothing',
    [
      [0, failing({ severity: 'critical' })],
      [1, failing()],
    ],
    ['0h new failed critical'],
  ],
  [
    'a state with grace is told when it has lasted',
    [
      [0, failing({ event: 'suspended', error: null, graceMs: DAY })],
      [23, failing({ event: 'suspended', error: null, graceMs: DAY })],
      [25, failing({ event: 'suspended', error: null, graceMs: DAY })],
      [26, failing({ event: 'suspended', error: null, graceMs: DAY })],
    ],
    ['25h new suspended warning'],
  ],
  [
    'one that ends within its grace was never there',
    [
      [0, failing({ event: 'suspended', error: null, graceMs: DAY })],
      [12, 'well'],
      [13, failing({ event: 'suspended', error: null, graceMs: DAY })],
      [36, failing({ event: 'suspended', error: null, graceMs: DAY })],
    ],
    [],
  ],
  [
    'one that comes and goes is told when it stays',
    [
      [0, failing()],
      [1, 'well'],
      [2, failing()],
      [3, 'well'],
      [4, failing()],
      [9, failing()],
      [10, failing()],
    ],
    ['0h new failed warning', '1h recovered recovered info', '10h new failed warning'],
  ],
  [
    'unless it is critical',
    [
      [0, failing()],
      [1, 'well'],
      [2, failing({ level: 1 })],
    ],
    ['0h new failed warning', '1h recovered recovered info', '2h new failed critical'],
  ],
  ['what goes on says nothing where nothing is open', [[0, goesOn()]], []],
]

test.each(stories)('%s', (_, looks, expected) => {
  expect(play(looks)).toEqual(expected)
})

test('a state that ends says since when it lasted, and how bad it had been', () => {
  const first = decideAlerts(emptyLedger, lookAt(0, failing({ level: 3 })))
  const { messages, ledger } = decideAlerts(first.ledger, lookAt(50, 'well'))
  expect(messages).toMatchObject([
    { event: 'recovered', since: START, ends: { event: 'failed', severity: 'critical' } },
  ])
  expect(ledger.open).toEqual({})
})

test('states of different keys do not know each other', () => {
  const both = {
    ...lookAt(0, failing()),
    conditions: [failing(), failing({ key: 'roots', event: 'root-ending' })],
  }
  const first = decideAlerts(emptyLedger, both)
  expect(first.messages.map(m => m.event)).toEqual(['failed', 'root-ending'])
  const second = decideAlerts(first.ledger, lookAt(1, 'well'))
  expect(second.messages.map(m => m.ends?.event)).toEqual(['failed'])
  expect(Object.keys(second.ledger.open)).toEqual(['roots'])
})

test('a moment is told each time it happens, and leaves nothing behind', () => {
  const rotated = { ...lookAt(0, 'well'), moments: [{ event: 'rotated' as const, reason: 'new' }] }
  const decided = decideAlerts(emptyLedger, rotated)
  expect(decided.messages).toMatchObject([{ event: 'rotated', severity: 'info', kind: 'moment' }])
  expect(decided.ledger).toBe(emptyLedger)
})

test('nothing new leaves the ledger as it is, so that nothing is written', () => {
  const { ledger } = decideAlerts(emptyLedger, lookAt(0, failing()))
  expect(decideAlerts(ledger, lookAt(1, failing())).ledger).toBe(ledger)
  expect(decideAlerts(emptyLedger, lookAt(1, 'well')).ledger).toBe(emptyLedger)
})

const look = fc.oneof(
  fc.constantFrom<Look[1]>('well', 'unknown'),
  fc
    .record({
      event: fc.constantFrom(...EVENT_NAMES.filter(name => EVENTS[name].state), null),
      level: fc.constantFrom(null, 30, 14, 7, 3, 1, 0),
      code: fc.constantFrom('unavailable', 'rate-limited', 'unauthorized'),
    })
    .map(({ event, level, code }) => failing({ event, level, error: { code, message: '', hint: null } })),
)

test('whatever happens: few messages, an end for what began and nothing else', () => {
  fc.assert(
    fc.property(fc.array(look, { maxLength: 200 }), looks => {
      let ledger = emptyLedger
      const told: Message[] = []
      looks.forEach((seen, hour) => {
        const decided = decideAlerts(ledger, lookAt(hour, seen))
        ledger = decided.ledger
        told.push(...decided.messages)
        expect(decided.messages.length).toBeLessThanOrEqual(1)
      })
      let open = false
      for (const { kind } of told) {
        expect(kind === 'new').toBe(!open)
        open = kind !== 'recovered'
      }
      // Outside of what is critical, a state that comes back within a day stays untold for six hours.
      const begun = told.filter(m => m.kind === 'new' && !isWorse(m.severity, 'warning'))
      expect(begun.length).toBeLessThanOrEqual(1 + looks.length / 6)
    }),
    { numRuns: 300 },
  )
})

describe('levels of days left', () => {
  test.each([
    [90, 31, null],
    [90, 30, 30],
    [90, 14.1, 30],
    [90, 14, 14],
    [90, 3, 3],
    [90, 0.5, 1],
    [90, 0, 0],
    [90, -5, 0],
    [398, 31, null],
    [398, 30, 30],
    [45, 16, null],
    [45, 15, 30],
    [45, 7, 14],
    [6, 2.1, null],
    [6, 2, 30],
    [6, 0.9, 14],
  ])('a certificate of %d days with %d left: %s', (lifetime, left, level) => {
    const notAfter = START + left * DAY
    expect(levelOf({ notBefore: notAfter - lifetime * DAY, notAfter }, START)).toBe(level)
  })

  test('severity rises as days fall', () => {
    expect([null, 30, 14, 7, 3, 1, 0].map(severityOf)).toEqual([
      ...['info', 'info', 'warning', 'warning', 'critical', 'critical', 'critical'],
    ])
  })
})
