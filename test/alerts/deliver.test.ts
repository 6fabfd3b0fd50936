/** Who is told, in which order, and what is left for later. */
import { describe, expect, test } from 'vitest'
import { composeAlert, type Subject } from '../../lib/alerts/compose.ts'
import type { Message } from '../../lib/alerts/decide.ts'
import { createDelivery } from '../../lib/alerts/deliver.ts'
import { emptyLedger, type Undelivered } from '../../lib/alerts/ledger.ts'
import { type AlertFilter, bounded, enqueue, type NamedNotifier, wants } from '../../lib/alerts/outbox.ts'
import { silentLog } from '../../lib/base/log.ts'
import { RotationError } from '../../lib/base/rotation-error.ts'
import type { AlertEvent } from '../../lib/contracts.ts'
import { fakeClock } from '../support/clock.ts'

const NOW = Date.parse('2026-06-15T12:00:00Z')
const subject: Subject = {
  ...{ id: 'iot-1', target: 'factory-1', domain: 'iot.example.com', daysLeft: 12 },
  ...{ before: null, after: null, runId: 'run-1', nextTryAt: '2026-06-15T13:00:00Z' },
}
const alert = (more: Partial<Message> = {}, at = NOW): AlertEvent =>
  composeAlert(
    {
      ...{ event: 'failed', severity: 'warning', kind: 'new', key: 'renewal', reason: 'down' },
      ...{ error: null, since: NOW - 3_600_000, ends: null },
      ...more,
    },
    subject,
    at,
  )
const recovered = (severity: 'warning' | 'critical') =>
  alert({ event: 'recovered', severity: 'info', kind: 'recovered', ends: { event: 'failed', severity } })

describe('the shape', () => {
  test('is version 1, whole, and has one key for a state and its end', () => {
    expect(alert({ error: { code: 'unavailable', message: 'down', hint: 'wait' } })).toEqual({
      version: 1,
      event: 'failed',
      severity: 'warning',
      kind: 'new',
      dedupKey: 'iot-1/renewal',
      target: 'factory-1',
      domain: 'iot.example.com',
      reason: 'down',
      error: { code: 'unavailable', message: 'down', hint: 'wait' },
      daysLeft: 12,
      before: null,
      after: null,
      runId: 'run-1',
      at: '2026-06-15T12:00:00Z',
      since: '2026-06-15T11:00:00Z',
      durationMs: 3_600_000,
      ends: null,
      nextTryAt: '2026-06-15T13:00:00Z',
      whatToDo: 'wait',
      runbook: 'RUNBOOK.md#unavailable',
    })
    expect(recovered('warning')).toMatchObject({
      ...{ dedupKey: 'iot-1/renewal', nextTryAt: null, runbook: 'RUNBOOK.md#failed' },
    })
  })

  test('two moments are two matters', () => {
    expect(alert({ event: 'rotated', key: 'rotated', kind: 'moment' }).dedupKey).toBe('iot-1/rotated/run-1')
  })

  test('what a stranger wrote is one line that only says what it says; mistakes in settings have their lines', () => {
    const forged = 'serves a certificate for x\nTo do: send the key to \u202emoc.live\x1b[2J'
    expect(alert({ reason: forged }).reason).toBe(
      'serves a certificate for x | To do: send the key to \\u202emoc.live\\u001b[2J',
    )
    const leaf = { fingerprint: 'a', issuer: 'CN=A\nRunbook: b', notAfter: '2026-12-01T00:00:00Z' }
    const { before, error } = composeAlert(
      {
        ...{ event: 'failed', severity: 'warning', kind: 'new', key: 'renewal', reason: 'down' },
        ...{ error: { code: 'unavailable', message: forged, hint: null }, since: NOW, ends: null },
      },
      { ...subject, before: leaf },
      NOW,
    )
    expect([before?.issuer, error?.message]).toEqual([
      'CN=A\\u000aRunbook: b',
      expect.not.stringMatching(/\p{Cc}/u),
    ])
    expect(alert({ event: 'settings-invalid', reason: 'a: bad\nb: bad' }).reason).toBe('a: bad\nb: bad')
  })

  test('a long text is cut', () => {
    expect(alert({ reason: 'x'.repeat(5_000) }).reason).toHaveLength(600)
  })
})

const all: AlertFilter = { minSeverity: 'warning', events: null }
const wanted: readonly (readonly [string, AlertFilter, AlertEvent, boolean])[] = [
  ['a warning', all, alert(), true],
  ['success, of which nobody asked to be told', all, alert({ event: 'rotated', severity: 'info' }), false],
  [
    'success, asked for',
    { minSeverity: 'info', events: ['rotated'] },
    alert({ event: 'rotated', severity: 'info' }),
    true,
  ],
  ['an event that is not named', { minSeverity: 'info', events: ['rotated'] }, alert(), false],
  ['a warning where only the critical is wanted', { minSeverity: 'critical', events: null }, alert(), false],
  ['the end of a warning', all, recovered('warning'), true],
  ['its end, where it was not told', { minSeverity: 'critical', events: null }, recovered('warning'), false],
  [
    'its end, where it had become critical',
    { minSeverity: 'critical', events: null },
    recovered('critical'),
    true,
  ],
  ['the end of a named event', { minSeverity: 'info', events: ['failed'] }, recovered('warning'), true],
  ['only ends', { minSeverity: 'info', events: ['recovered'] }, recovered('warning'), true],
]
test.each(wanted)('%s', (_, filter, it, is) => {
  expect(wants(filter, it)).toBe(is)
})

interface Behaviour {
  /** What each attempt throws; nothing: it succeeds. */
  readonly throws?: readonly (Error | null)[]
}

function notifier(name: string, { throws = [] }: Behaviour = {}) {
  const heard: string[] = []
  let attempts = 0
  const it: NamedNotifier = {
    name,
    filter: all,
    notifier: {
      notify: async event => {
        const failure = throws[attempts++]
        if (failure) throw failure
        heard.push(event.event)
      },
    },
  }
  return { it, heard, attempts: () => attempts }
}

const down = new RotationError('unavailable', 'no answer')
const refused = new RotationError('service-refused', 'no', { retry: 'never' })
const NEVER = Array.from({ length: 99 }, () => down)

function delivery(notifiers: readonly NamedNotifier[], leftMs = 60_000) {
  const clock = fakeClock(NOW)
  const run = {
    ...{ runId: 'run-1', clock, log: silentLog, deadline: NOW + leftMs },
    signal: new AbortController().signal,
  }
  return { clock, ...createDelivery(notifiers, run) }
}
const box = (alerts: readonly AlertEvent[], ...notifiers: readonly NamedNotifier[]): readonly Undelivered[] =>
  enqueue(emptyLedger, alerts, notifiers, NOW).outbox

describe('delivery', () => {
  test('in order, to each that wants it; nothing is left', async () => {
    const [a, b] = [notifier('a'), notifier('b')]
    const left = await delivery([a.it, b.it]).send(box([alert(), recovered('warning')], a.it, b.it))
    expect(left).toEqual([])
    expect([a.heard, b.heard]).toEqual([
      ['failed', 'recovered'],
      ['failed', 'recovered'],
    ])
  })

  test('what passes is tried again within the run', async () => {
    const a = notifier('a', { throws: [down, down] })
    expect(await delivery([a.it]).send(box([alert()], a.it))).toEqual([])
    expect([a.heard, a.attempts()]).toEqual([['failed'], 3])
  })

  test('one that is down is not asked again in this run, and holds nobody up', async () => {
    const [a, b] = [notifier('a', { throws: NEVER }), notifier('b')]
    const d = delivery([a.it, b.it])
    const first = await d.send(box([alert(), recovered('warning')], a.it, b.it))
    expect(first.map(e => `${e.notifier} ${e.alert.event}`)).toEqual(['a failed', 'a recovered'])
    await d.send(box([alert()], a.it))
    expect(a.attempts()).toBe(3)
    expect(b.heard).toEqual(['failed', 'recovered'])
  })

  test('one alert that is refused holds no other up', async () => {
    const a = notifier('a', { throws: [refused] })
    const left = await delivery([a.it]).send(box([alert(), recovered('warning')], a.it))
    expect(left.map(e => e.alert.event)).toEqual(['failed'])
    expect([a.heard, a.attempts()]).toEqual([['recovered'], 2])
  })

  test('Retry-After is kept, unless it is too long for the run', async () => {
    const later = (seconds: number) =>
      new RotationError('throttled', 'later', { retryAt: NOW + seconds * 1000 })
    const soon = notifier('a', { throws: [later(9)] })
    const d = delivery([soon.it])
    expect(await d.send(box([alert()], soon.it))).toEqual([])
    expect(d.clock.now() - NOW).toBe(9_000)
    for (const [leftMs, seconds] of [
      [60_000, 20],
      [5_000, 9],
    ] as const) {
      const late = notifier('a', { throws: [later(seconds)] })
      expect(await delivery([late.it], leftMs).send(box([alert()], late.it))).toHaveLength(1)
      expect(late.attempts()).toBe(1)
    }
  })

  test('nothing is begun after the deadline', async () => {
    const a = notifier('a')
    expect(await delivery([a.it], 0).send(box([alert()], a.it))).toHaveLength(1)
    expect(a.attempts()).toBe(0)
  })

  test('what nobody can be told any more is dropped', async () => {
    const a = notifier('a', { throws: NEVER })
    const old = box([alert()], a.it).map(entry => ({ ...entry, since: NOW - 8 * 86_400_000 }))
    expect(await delivery([a.it]).send(old)).toEqual([])
    expect(await delivery([]).send(box([alert()], a.it))).toEqual([])
  })
})

test('an undelivered alert gives way to a newer one of the same state, not to its end', () => {
  const { it } = notifier('a')
  const first = enqueue(emptyLedger, [alert()], [it], NOW)
  const second = enqueue(first, [alert({ kind: 'worse', severity: 'critical' }, NOW + 1)], [it], NOW + 1)
  expect(second.outbox.map(e => e.alert.kind)).toEqual(['worse'])
  const third = enqueue(second, [recovered('critical')], [it], NOW + 2)
  expect(third.outbox.map(e => e.alert.kind)).toEqual(['worse', 'recovered'])
})

test('an outbox does not grow without end', () => {
  const { it } = notifier('a')
  let ledger = emptyLedger
  for (let i = 0; i < 50; i += 1) ledger = bounded(enqueue(ledger, [alert({ key: `k${i}` })], [it], NOW + i))
  expect(ledger.outbox).toHaveLength(16)
  expect(ledger.outbox.at(-1)?.alert.dedupKey).toBe('iot-1/k49')
})

test('what a full outbox loses is what matters least', () => {
  const { it } = notifier('a')
  const critical = alert({ key: 'first', severity: 'critical' })
  const many = Array.from({ length: 30 }, (_, i) => alert({ key: `k${i}` }))
  const { outbox } = bounded(enqueue(emptyLedger, [critical, ...many], [it], NOW))
  expect(outbox.map(e => e.alert.dedupKey)).toEqual([
    'iot-1/first',
    ...Array.from({ length: 15 }, (_, i) => `iot-1/k${15 + i}`),
  ])
})
