/** A run and an HTTP client for readers of answers: nothing leaves this process, and no time passes. */
import { secret } from '../../lib/base/secret.ts'
import type { DriverContext, Run } from '../../lib/contracts.ts'
import type { Http, HttpResponse } from '../../lib/http/http.ts'
import type { Seeded } from '../support/seeded.ts'

const STATUSES = [200, 200, 200, 200, 200, 201, 204, 301, 400, 401, 403, 404, 409, 429, 500, 503] as const
const TYPES = ['application/json', 'application/dns-message', 'text/html', ''] as const

/** An answer with this body, its status and headers of any kind. */
export const answerOf = (input: Buffer, random: Seeded): HttpResponse => {
  const odd = input.subarray(0, 200).toString('latin1')
  return {
    status: random.pick(STATUSES),
    headers: {
      'content-type': random.pick(TYPES),
      etag: '"1"',
      'replay-nonce': 'bm9uY2U',
      ...(random() < 0.3 ? { 'retry-after': odd, link: odd, location: odd, 'x-amzn-errortype': odd } : {}),
    },
    text: input.toString(),
  }
}

/** Gives the body to calls, up to a number that no reader should need; to some of them one of the real `others`. */
export function httpOf(input: Buffer, random: Seeded, others: readonly Buffer[] = []): Http {
  let calls = 0
  return {
    request: async ({ url }) => {
      void new URL(url)
      calls += 1
      if (calls > 2_000) throw new Error('more than 2000 requests for one answer')
      const other = random() < 0.6 ? others[random.whole(0, others.length - 1)] : undefined
      return other ? { ...answerOf(other, random), status: 200 } : answerOf(input, random)
    },
    close: async () => {},
  }
}

const quiet = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

export const runOf = (): Run => {
  let now = Date.UTC(2026, 10, 24)
  return {
    runId: 'fuzz',
    clock: {
      now: () => now,
      sleep: async ms => {
        now += ms
      },
    },
    log: quiet,
    deadline: now + 600_000,
    signal: new AbortController().signal,
  }
}

export const contextOf = (http: Http): DriverContext => ({
  name: 'fuzz',
  http: () => http,
  clock: runOf().clock,
  log: quiet,
  huaweiKeys: async () => ({ accessKey: secret('AK'), secretKey: secret('SK'), securityToken: null }),
})
