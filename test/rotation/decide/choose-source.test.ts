import { describe, expect, test } from 'vitest'
import { DAY_MS, HOUR_MS } from '../../../lib/base/time.ts'
import { chooseSource, hasNext } from '../../../lib/rotation/decide/choose-source.ts'
import type { CertificateDocument } from '../../../lib/state/documents.ts'
import { certificateDocument, NOW, pendingCertificate, spec } from '../facts.ts'

const three = { ...spec, sources: ['a', 'b', 'c'] }
type States = CertificateDocument['sources']

const failed = (failures: number, failedForGood = false): States[string] => ({
  failures,
  failedForGood,
  notBefore: null,
})
const waiting = (ms: number, failures = 1): States[string] => ({
  failures,
  failedForGood: false,
  notBefore: { at: NOW + ms, why: 'too many' },
})
const choose = (sources: States, more: Partial<CertificateDocument> = {}, emergency = false) => {
  const choice = chooseSource(three, certificateDocument({ sources, ...more }), {
    now: NOW,
    emergency,
    longestWaitMs: emergency ? DAY_MS : 7 * DAY_MS,
  })
  return choice.kind === 'use' ? choice.source : choice.until - NOW
}
const order = (source: string, ageMs = 0) => ({
  pending: pendingCertificate({ source, since: NOW - ageMs }),
})

describe('which source is asked', () => {
  const cases: readonly (readonly [string, States, string | number])[] = [
    ['the first', {}, 'a'],
    ['the first, after two failures', { a: failed(2) }, 'a'],
    ['the second, after three', { a: failed(3) }, 'b'],
    ['the second, after one for good', { a: failed(1, true) }, 'b'],
    ['the third, when both before failed', { a: failed(3), b: failed(1, true) }, 'c'],
    ['when all failed, the one that failed least', { a: failed(4), b: failed(3), c: failed(5) }, 'b'],
    ['of equals the first', { a: failed(3), b: failed(3), c: failed(3) }, 'a'],
    ['none while the first is told to wait', { a: waiting(HOUR_MS) }, HOUR_MS],
    ['the first, when its wait is over', { a: waiting(0) }, 'a'],
    ['the second, while the first has failed and waits', { a: waiting(HOUR_MS, 3) }, 'b'],
    ['what does not wait, when all have failed', { a: waiting(HOUR_MS, 3), b: failed(9), c: failed(8) }, 'c'],
    ['none while all wait, until the first may', { a: waiting(3, 3), b: waiting(2, 3), c: waiting(5, 3) }, 2],
    ['one of the settings only', { gone: failed(0) }, 'a'],
  ]
  test.each(cases)('%s', (_, sources, wanted) => {
    expect(choose(sources)).toBe(wanted)
  })

  test('an order that is under way is finished, unless its source is given up', () => {
    expect(choose({}, order('b'))).toBe('b')
    expect(choose({ b: failed(1, true) }, order('b'))).toBe('a')
    expect(choose({}, order('gone'))).toBe('a')
    expect(choose({ b: waiting(HOUR_MS) }, order('b'))).toBe(HOUR_MS)
  })

  test('a wait that was written by a clock that ran ahead is none', () => {
    const written = (aheadMs: number): States => ({
      a: {
        failures: 1,
        failedForGood: false,
        notBefore: { at: NOW + aheadMs + HOUR_MS, why: 'too many', since: NOW + aheadMs },
      },
    })
    expect(choose(written(30 * 24 * HOUR_MS))).toBe('a')
    expect(choose(written(HOUR_MS / 2))).toBe(1.5 * HOUR_MS)
    expect(choose(written(-HOUR_MS / 2))).toBe(HOUR_MS / 2)
  })

  test('documents of earlier versions keep one wait, which is the first source’s', () => {
    const notBefore = { at: NOW + HOUR_MS, why: 'too many' }
    expect(choose({}, { notBefore })).toBe(HOUR_MS)
    expect(choose({ a: failed(3) }, { notBefore })).toBe('b')
  })
})

describe('a wait that somebody wrote into the state', () => {
  const until2099 = (since?: number): States => ({
    a: {
      failures: 1,
      failedForGood: false,
      notBefore: { at: Date.UTC(2099, 0), why: 'no', ...(since === undefined ? {} : { since }) },
    },
  })
  const one = { ...spec, sources: ['a'] }
  const chosen = (sources: States, now: number, emergency = false) =>
    chooseSource(one, certificateDocument({ sources }), {
      now,
      emergency,
      longestWaitMs: emergency ? DAY_MS : 7 * DAY_MS,
    })

  test('ends a week after it was written, and sooner in the emergency', () => {
    expect(chosen(until2099(NOW), NOW)).toMatchObject({ kind: 'wait', until: NOW + 7 * DAY_MS })
    expect(chosen(until2099(NOW), NOW + 7 * DAY_MS)).toMatchObject({ kind: 'use' })
    expect(chosen(until2099(NOW), NOW + 2 * DAY_MS, true)).toMatchObject({ kind: 'use' })
  })

  test('is none when it does not say when it was written', () => {
    expect(chosen(until2099(), NOW)).toMatchObject({ kind: 'use' })
  })
})

describe('in the emergency', () => {
  const cases: readonly (readonly [string, States, string | number])[] = [
    ['the first, if nothing is against it', {}, 'a'],
    ['one failure is enough', { a: failed(1) }, 'b'],
    ['so is its word to wait', { a: waiting(HOUR_MS, 0) }, 'b'],
    ['its word still holds when all others wait too', { a: waiting(3), b: waiting(2), c: waiting(5) }, 2],
  ]
  test.each(cases)('%s', (_, sources, wanted) => {
    expect(choose(sources, {}, true)).toBe(wanted)
  })

  test('an order that does not come to an end is given an hour', () => {
    expect(choose({}, order('a', HOUR_MS), true)).toBe('a')
    expect(choose({}, order('a', HOUR_MS + 1), true)).toBe('b')
    expect(choose({}, order('a', HOUR_MS + 1))).toBe('a')
  })
})

test('whether there is another one to ask', () => {
  const document = certificateDocument({ sources: { b: failed(3) } })
  expect(hasNext(three, document, 'a')).toBe(true)
  expect(hasNext({ ...three, sources: ['a', 'b'] }, document, 'a')).toBe(false)
  expect(hasNext({ ...three, sources: ['a'] }, document, 'a')).toBe(false)
})
