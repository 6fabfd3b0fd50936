/** Who is told, in which order, and what is left for later. */
import { describe, expect, test } from 'vitest'
import { createDelivery } from '../../lib/alerts/deliver.ts'
import { type AlertFilter, bounded, enqueue, type NamedNotifier, wants } from '../../lib/alerts/outbox.ts'
import { silentLog } from '../../lib/base/log.ts'
import { RotationError } from '../../lib/base/rotation-error.ts'
import type { AlertEvent } from '../../lib/contracts.ts'
import { type AlertRecord, emptyAlertRecord, type OutboxEntry } from '../../lib/state/alert-record.ts'
import { fakeClock } from '../support/clock.ts'
import { alertOf, NOW, recovered } from './alert-of.ts'

describe('the shape', () => {
  test('is version 1, whole, and has one key for a state and its end', () => {
    expect(alertOf({ error: { code: 'unavailable', message: 'down', hint: 'wait' } })).toEqual({
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
    const over = { dedupKey: 'iot-1/renewal', nextTryAt: null, runbook: 'RUNBOOK.md#failed' }
    expect(alertOf(recovered('warning'))).toMatchObject(over)
  })

  test('two moments are two matters', () => {
    expect(alertOf({ event: 'rotated', key: 'rotated', kind: 'moment' }).dedupKey).toBe('iot-1/rotated/run-1')
  })

  test('what a stranger wrote is one line that only says what it says; mistakes in settings have their lines', () => {
    const forged = 'serves a certificate for x\nTo do: send the key to \u202emoc.live\x1b[2J'
    expect(alertOf({ reason: forged }).reason).toBe(
      'serves a certificate for x | To do: send the key to \\u202emoc.live\\u001b[2J',
    )
    const leaf = { fingerprint: 'a', issuer: 'CN=A\nRunbook: b', notAfter: '2026-12-01T00:00:00Z' }
    const told = { error: { code: 'unavailable', message: forged, hint: null } }
    const { before, error } = alertOf(told, { before: leaf })
    expect([before?.issuer, error?.message]).toEqual([
      'CN=A\\u000aRunbook: b',
      expect.not.stringMatching(/\p{Cc}/u),
    ])
    expect(alertOf({ event: 'settings-invalid', reason: 'a: bad\nb: bad' }).reason).toBe('a: bad\nb: bad')
  })

  test('a long text is cut', () => {
    expect(alertOf({ reason: 'x'.repeat(5_000) }).reason).toHaveLength(600)
  })
})

const all: AlertFilter = { minSeverity: 'warning', events: null }
const critical: AlertFilter = { minSeverity: 'critical', events: null }
const only = (...events: NonNullable<AlertFilter['events']>): AlertFilter => ({ minSeverity: 'info', events })
const [failed, end, worstEnd] = [alertOf(), alertOf(recovered('warning')), alertOf(recovered('critical'))]
const success = alertOf({ event: 'rotated', severity: 'info' })
const wanted: readonly (readonly [string, AlertFilter, AlertEvent, boolean])[] = [
  ['a warning', all, failed, true],
  ['success, of which nobody asked to be told', all, success, false],
  ['success, asked for', only('rotated'), success, true],
  ['an event that is not named', only('rotated'), failed, false],
  ['a warning where only the critical is wanted', critical, failed, false],
  ['the end of a warning', all, end, true],
  ['its end, where it was not told', critical, end, false],
  ['its end, where it had become critical', critical, worstEnd, true],
  ['the end of a named event', only('failed'), end, true],
  ['only ends', only('recovered'), end, true],
]
test.each(wanted)('%s', (_, filter, it, is) => {
  expect(wants(filter, it)).toBe(is)
})

/** `throws`: what each attempt throws; nothing: it succeeds. */
function notifier(name: string, throws: readonly Error[] = []) {
  const heard: string[] = []
  let attempts = 0
  const notify = async ({ event }: AlertEvent): Promise<void> => {
    const failure = throws[attempts++]
    if (failure) throw failure
    heard.push(event)
  }
  const it: NamedNotifier = { name, filter: all, notifier: { notify } }
  return { it, heard, attempts: () => attempts }
}

const down = new RotationError('unavailable', 'no answer')
const refused = new RotationError('service-refused', 'no', { retry: 'never' })
const NEVER = Array.from({ length: 99 }, () => down)

function delivery(notifiers: readonly NamedNotifier[], leftMs = 60_000) {
  const clock = fakeClock(NOW)
  const { signal } = new AbortController()
  const run = { runId: 'run-1', clock, log: silentLog, deadline: NOW + leftMs, signal }
  return { clock, ...createDelivery(notifiers, run) }
}
const box = (alerts: readonly AlertEvent[], ...notifiers: readonly NamedNotifier[]): readonly OutboxEntry[] =>
  enqueue(emptyAlertRecord, alerts, notifiers, NOW).outbox

describe('delivery', () => {
  test('in order, to each that wants it; nothing is left', async () => {
    const [a, b] = [notifier('a'), notifier('b')]
    const left = await delivery([a.it, b.it]).send(box([failed, end], a.it, b.it))
    expect(left).toEqual([])
    expect([a.heard, b.heard]).toEqual([
      ['failed', 'recovered'],
      ['failed', 'recovered'],
    ])
  })

  test('what passes is tried again within the run', async () => {
    const a = notifier('a', [down, down])
    expect(await delivery([a.it]).send(box([failed], a.it))).toEqual([])
    expect([a.heard, a.attempts()]).toEqual([['failed'], 3])
  })

  test('one that is down is not asked again in this run, and holds nobody up', async () => {
    const [a, b] = [notifier('a', NEVER), notifier('b')]
    const d = delivery([a.it, b.it])
    const first = await d.send(box([failed, end], a.it, b.it))
    expect(first.map(e => `${e.notifier} ${e.alert.event}`)).toEqual(['a failed', 'a recovered'])
    await d.send(box([failed], a.it))
    expect(a.attempts()).toBe(3)
    expect(b.heard).toEqual(['failed', 'recovered'])
  })

  test('one alert that is refused holds no other up', async () => {
    const a = notifier('a', [refused])
    const left = await delivery([a.it]).send(box([failed, end], a.it))
    expect(left.map(e => e.alert.event)).toEqual(['failed'])
    expect([a.heard, a.attempts()]).toEqual([['recovered'], 2])
  })

  test('an event of a newer version waits for that, and holds no other up', async () => {
    const a = notifier('a')
    const unknown = { ...alertOf({ key: 'other' }), event: 'from-the-future' as 'failed' }
    const left = await delivery([a.it]).send(box([unknown, failed], a.it))
    expect(left.map(e => e.alert.event)).toEqual(['from-the-future'])
    expect(a.heard).toEqual(['failed'])
  })

  test('a notifier that breaks at once is one that fails', async () => {
    const notify = (): never => {
      throw new TypeError('broken')
    }
    const a: NamedNotifier = { name: 'a', filter: all, notifier: { notify } }
    const b = notifier('b')
    expect(await delivery([a, b.it]).send(box([failed], a, b.it))).toHaveLength(1)
    expect(b.heard).toEqual(['failed'])
  })

  test('Retry-After is kept, unless it is too long for the run', async () => {
    const later = (seconds: number) =>
      new RotationError('throttled', 'later', { retryAt: NOW + seconds * 1000 })
    const soon = notifier('a', [later(9)])
    const d = delivery([soon.it])
    expect(await d.send(box([failed], soon.it))).toEqual([])
    expect(d.clock.now() - NOW).toBe(9_000)
    for (const [leftMs, seconds] of [
      [60_000, 20],
      [5_000, 9],
    ] as const) {
      const late = notifier('a', [later(seconds)])
      expect(await delivery([late.it], leftMs).send(box([failed], late.it))).toHaveLength(1)
      expect(late.attempts()).toBe(1)
    }
  })

  test('nothing is begun after the deadline', async () => {
    const a = notifier('a')
    expect(await delivery([a.it], 0).send(box([failed], a.it))).toHaveLength(1)
    expect(a.attempts()).toBe(0)
  })

  test('what nobody can be told any more is dropped', async () => {
    const a = notifier('a', NEVER)
    const old = box([failed], a.it).map(entry => ({ ...entry, since: NOW - 8 * 86_400_000 }))
    expect(await delivery([a.it]).send(old)).toEqual([])
    expect(await delivery([]).send(box([failed], a.it))).toEqual([])
  })
})

test('an outbox that was sent keeps what is left and what others put there meanwhile; not writable, it is sent all the same', async () => {
  const [a, b] = [notifier('a', NEVER), notifier('b')]
  const outbox = box([failed], a.it, b.it)
  const [other] = box([alertOf({ key: 'other' })], a.it)
  let kept = { alerts: { ...emptyAlertRecord, outbox: [...outbox, ...(other ? [other] : [])] } }
  const update = async (change: (before: typeof kept) => typeof kept) => {
    kept = change(kept)
    return kept
  }
  const get = async () => kept
  expect(await delivery([a.it, b.it]).empty({ get, refresh: get, update }, outbox)).toBe(1)
  expect(kept.alerts.outbox).toEqual([outbox[0], other])
  const broken = { get, refresh: get, update: () => Promise.reject(down) }
  expect(await delivery([b.it]).empty(broken, box([end], b.it))).toBe(0)
  expect(b.heard).toEqual(['failed', 'recovered'])
})

/** A document whose next change comes after another run changed it. */
function contested(alerts: AlertRecord, byAnother: (before: AlertRecord) => AlertRecord) {
  let kept = { alerts }
  const get = async () => kept
  const update = async (change: (before: typeof kept) => typeof kept) => {
    kept = change({ alerts: byAnother(kept.alerts) })
    return kept
  }
  return { document: { get, refresh: get, update }, outbox: () => kept.alerts.outbox }
}

test('what another run sent or replaced meanwhile is not put back', async () => {
  const [a, b] = [notifier('a', NEVER), notifier('b')]
  const [first, second] = [alertOf({ key: 'one' }), alertOf({ key: 'two' })]
  const before = enqueue(emptyAlertRecord, [first, second], [a.it, b.it], NOW)
  const newer = box([alertOf({ key: 'two', kind: 'worse' }, {}, NOW + 1)], a.it)
  const { document, outbox } = contested(before, record => ({ ...record, outbox: [...newer] }))
  expect(await delivery([a.it, b.it]).empty(document, before.outbox)).toBe(2)
  expect(outbox()).toEqual(newer)
})

test('what a document had no room for is put back when it has some', async () => {
  const [a, b] = [notifier('a', NEVER), notifier('b')]
  const many = Array.from({ length: 10 }, (_, i) => alertOf({ key: `k${i}` }))
  const whole = enqueue(emptyAlertRecord, many, [a.it, b.it], NOW)
  const { document, outbox } = contested(bounded(whole), record => record)
  expect(await delivery([a.it, b.it]).empty(document, whole.outbox)).toBe(10)
  expect(outbox().map(({ notifier, alert }) => `${notifier} ${alert.dedupKey}`)).toEqual(
    many.map(({ dedupKey }) => `a ${dedupKey}`),
  )
})

test('an undelivered alert gives way to a newer one of the same state, not to its end', () => {
  const { it } = notifier('a')
  const first = enqueue(emptyAlertRecord, [alertOf()], [it], NOW)
  const second = enqueue(
    first,
    [alertOf({ kind: 'worse', severity: 'critical' }, {}, NOW + 1)],
    [it],
    NOW + 1,
  )
  expect(second.outbox.map(e => e.alert.kind)).toEqual(['worse'])
  const third = enqueue(second, [worstEnd], [it], NOW + 2)
  expect(third.outbox.map(e => e.alert.kind)).toEqual(['worse', 'recovered'])
})

test('an outbox does not grow without end', () => {
  const { it } = notifier('a')
  let record = emptyAlertRecord
  for (let i = 0; i < 50; i += 1)
    record = bounded(enqueue(record, [alertOf({ key: `k${i}` })], [it], NOW + i))
  expect(record.outbox).toHaveLength(16)
  expect(record.outbox.at(-1)?.alert.dedupKey).toBe('iot-1/k49')
})

test('what a full outbox loses is what matters least', () => {
  const { it } = notifier('a')
  const first = alertOf({ key: 'first', severity: 'critical' })
  const many = Array.from({ length: 30 }, (_, i) => alertOf({ key: `k${i}` }))
  const { outbox } = bounded(enqueue(emptyAlertRecord, [first, ...many], [it], NOW))
  expect(outbox.map(e => e.alert.dedupKey)).toEqual([
    'iot-1/first',
    ...Array.from({ length: 15 }, (_, i) => `iot-1/k${15 + i}`),
  ])
})
