import { inspect } from 'node:util'
import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { RotationError } from '../../lib/base/rotation-error.ts'
import {
  type Called,
  callApi,
  expected,
  quote,
  type Refusal,
  refused,
  sentOrNot,
  serviceErrorOf,
  serviceSays,
  unanswered,
} from '../../lib/http/api-call.ts'
import { CHECK_PROXY, HttpFailure, type HttpResponse } from '../../lib/http/http.ts'
import { passesByItself, repeated, settled } from '../../lib/http/repeat.ts'
import { createTestClock } from '../solvers/rig.ts'

const NOW = Date.UTC(2026, 10, 24)
const plain: Called = { call: 'api: Do', terms: { unansweredHint: () => 'Look.' } }
const answer = (status: number, headers: HttpResponse['headers'] = {}): HttpResponse => ({
  status,
  headers,
  text: '',
})
const UNKNOWN = '; it is unknown whether it took effect'

describe('quote', () => {
  it.each([
    ['a\n\u001b[31mb\tc ', [], 'a [31mb c'],
    ['key abc and abcdef', ['abc', 'abcdef', ''], 'key [secret] and [secret]'],
    ['x'.repeat(301), [], 'x'.repeat(300)],
    ['of abcdefghijklmnopqrstuvwxyz', ['0123abcdefghijklmnop'], 'of [secret]qrstuvwxyz'],
    ['abcdefghijkl, ghijklmnopqr', ['abcdefghijklmnopqrstuvwxyz'], '[secret], [secret]'],
    ['abcdefghijk', ['abcdefghijklmnopqrstuvwxyz'], 'abcdefghijk'],
  ])('%j without %j', (text, secrets, shown) => {
    expect(quote(text, secrets)).toBe(shown)
  })

  it('says that it was cut off', () => {
    expect(quote('abcdef', [], 3, '…')).toBe('abc…')
  })
})

describe('an answer that is no success', () => {
  it.each<[Refusal, Partial<Called>, string, string, number | null]>([
    [
      { code: 'forbidden', serviceCode: 'E1', message: 'no k1' },
      { secrets: ['k1'] },
      ' E1: no [secret]',
      'never',
      5,
    ],
    [{ code: 'throttled', retryAt: null }, {}, '', 'later', null],
    [{ code: 'unavailable', note: ' (r)' }, { changes: true }, ` (r)${UNKNOWN}`, 'later', 5],
    [
      { code: 'service-refused', serviceCode: 'k1', retry: 'later' },
      { secrets: ['k1'] },
      ' [secret]',
      'later',
      5,
    ],
  ])('%o of %o', (refusal, called, said, retry, afterS) => {
    const error = refused(answer(418, { 'retry-after': '5' }), refusal, { ...plain, ...called }, NOW)
    const retryAt = afterS === null ? null : NOW + afterS * 1_000
    const message = `api: Do answered HTTP 418${said}`
    expect(error).toMatchObject({ code: refusal.code, message, retry, retryAt, hint: null })
    expect(serviceErrorOf(error)?.status).toBe(418)
  })

  it('of a call that holds a secret shows status, code and id, and can be told apart all the same', () => {
    const refusal: Refusal = { code: 'service-refused', serviceCode: 'E1', message: 'MIIEv', requestId: 'r1' }
    const confidential = { ...plain, isConfidential: true }
    const error = refused(answer(400), refusal, confidential, NOW)
    expect(error).toMatchObject({ message: 'api: Do answered HTTP 400 E1 (request r1)' })
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('MIIEv')
    expect([serviceSays(error, /^MIIEv$/), serviceSays(error, /other/)]).toEqual([true, false])
    const long = { ...refusal, serviceCode: 'k'.repeat(37), requestId: 'k'.repeat(37) }
    expect(refused(answer(400), long, confidential, NOW).message).toBe('api: Do answered HTTP 400')
  })

  it('is spoken of as the API wants, with the cause it gives', () => {
    const terms = {
      ...plain.terms,
      refused: (status: number) => `: no (${status})`,
      unavailableRetry: 'now',
    } as const
    const cause = new Error('why')
    const error = refused(answer(503), { code: 'unavailable', cause }, { ...plain, terms }, NOW)
    expect(error).toMatchObject({ message: 'api: Do: no (503)', retry: 'now', cause })
    expect(serviceErrorOf(error)).toBeNull()
  })
})

describe('no answer', () => {
  const failure = (reason: HttpFailure['reason'], sent: boolean) => new HttpFailure(reason, 'why', sent)
  const now = {
    ...plain.terms,
    unavailableRetry: 'now',
    unanswered: sentOrNot,
    stopped: ' was given up',
  } as const
  it.each<[HttpFailure['reason'], boolean, string, string, string | null]>([
    ['connect', false, 'unreachable', ' could not be sent: why', 'Look.'],
    ['proxy', false, 'unreachable', ' could not be sent: why', CHECK_PROXY],
    ['dropped', true, 'unavailable', ` got no answer: why${UNKNOWN}`, 'Look.'],
    ['too-large', true, 'unavailable', ` got no answer: why${UNKNOWN}`, 'Look.'],
    ['aborted', true, 'out-of-time', ` was given up${UNKNOWN}`, null],
  ])('%s, sent: %s', (reason, sent, code, said, hint) => {
    const error = unanswered(failure(reason, sent), { ...plain, terms: now, changes: true })
    const retry = reason === 'dropped' ? 'now' : 'later'
    expect(error).toMatchObject({ code, message: `api: Do${said}`, hint, retry })
  })

  it('a stranger is no answer of the API, and a signal says why by itself', () => {
    expect(unanswered(new TypeError('x'), plain)).toMatchObject({ code: 'internal', message: 'x' })
    const reason = new RotationError('lease-lost', 'another run')
    const packet = Object.assign(new Error('parse'), { rawPacket: Buffer.from('MIIEv') })
    const torn = new HttpFailure('dropped', 'why', true, packet)
    const error = unanswered(torn, { ...plain, isConfidential: true })
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('rawPacket')
    expect(unanswered(failure('dropped', true), { ...plain, signal: AbortSignal.abort(reason) })).toBe(reason)
  })
})

describe('a call', () => {
  const call = (response: HttpResponse, refusal: Refusal | null = null) =>
    callApi({
      ...plain,
      http: { request: async () => response, close: async () => {} },
      clock: { now: () => NOW },
      request: { method: 'GET', url: 'https://api.example.com' },
      refusalOf: () => refusal,
    })

  it.each([
    ['{"a":1}', { a: 1 }],
    [' \n', null],
    ['<html>', undefined],
  ])('gives %j with its JSON', async (text, json) => {
    expect((await call({ ...answer(200), text })).json).toEqual(json)
  })

  it('throws what the API says of its answer, and what fits no schema', async () => {
    await expect(call(answer(200), { code: 'changed' })).rejects.toMatchObject({ code: 'changed' })
    const wanted = v.object({ list: v.array(v.string()) })
    const message = 'api: Do gave an answer that cannot be used: list is not as documented'
    expect(() => expected({ list: 1 }, wanted, 'api: Do')).toThrow(message)
  })
})

describe('trying again', () => {
  const failing = (times: number, error: RotationError) => {
    const clock = createTestClock(NOW)
    let calls = 0
    const attempt = async (): Promise<string> => {
      calls += 1
      if (calls <= times) throw error
      return 'done'
    }
    return { clock, attempt, calls: () => calls }
  }
  const error = (retry: 'now' | 'later', retryAt?: number) =>
    new RotationError('unavailable', 'no', { retry, ...(retryAt === undefined ? {} : { retryAt }) })

  it.each([
    ['two failures', 2, error('now'), {}, 'done', [1_000, 2_000]],
    ['three failures', 3, error('now'), {}, 'fails', [1_000, 2_000]],
    ['what is for later', 1, error('later'), {}, 'fails', []],
    ['Retry-After of ten seconds', 1, error('now', NOW + 10_000), {}, 'done', [10_000]],
    ['a longer one', 1, error('now', NOW + 11_000), {}, 'fails', []],
    ['a deadline', 1, error('now'), { deadline: NOW + 1_000 }, 'fails', []],
  ] as const)('%s', async (_, times, thrown, run, outcome, waits) => {
    const { clock, attempt } = failing(times, thrown)
    const result = await repeated({ clock, ...run }, 'Do', attempt).catch(() => 'fails')
    expect([result, clock.waits]).toEqual([outcome, waits])
  })

  it('by the API’s own pauses and errors', async () => {
    const { clock, attempt } = failing(1, error('later'))
    await expect(repeated({ clock }, 'Do', attempt, { pausesMs: [7], passes: passesByItself })).resolves.toBe(
      'done',
    )
    expect(clock.waits).toEqual([7])
  })

  it('a change is looked at again before it is repeated', async () => {
    const { clock, attempt, calls } = failing(1, error('now'))
    let looks = 0
    const look = async () => {
      looks += 1
      return looks === 3 ? null : attempt
    }
    await settled({ clock }, 'Do', look)
    expect([looks, calls()]).toEqual([2, 2])
    await settled({ clock }, 'Do', look)
    expect([looks, calls()]).toEqual([3, 2])
  })
})
