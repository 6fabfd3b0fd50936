/**
 * Where in an order a problem or a failure of HTTP comes, and what is said of it; the table of them all is that of
 * RUNBOOK.md (runbook-table.test.ts). `next CA` is an error that trying again does not mend; `later` and `until` are
 * tried again by a later run.
 */
import { describe, expect, it } from 'vitest'
import { problemOf } from '../../lib/acme/protocol/problem.ts'
import { RotationError } from '../../lib/base/rotation-error.ts'
import type { Fault } from '../../sandbox/kit/faults.ts'
import { createJournal } from '../support/memory.ts'
import { type Bench, obtained, rejection, requestOf, specOf, startBench } from './rig.ts'

type Answer = Omit<Fault, 'operations'>
type Happens = 'obtained' | 'later' | 'until' | 'next CA'
type Line = readonly [what: string, operation: string, answer: Answer, happens: Happens, more: object]

const problem = (type: string, more: object = {}) =>
  JSON.stringify({ type: `urn:ietf:params:acme:error:${type}`, detail: `it is ${type}`, ...more })
const says = (status: number, type: string, more: Answer = {}): Answer => ({
  status,
  body: problem(type),
  ...more,
})
const HOUR = { 'retry-after': '3600' }

/** Runs once; what became of it, and the calls from `since` on. */
async function run(bench: Bench, spec = specOf(), replaces: string | null = null) {
  bench.operations()
  const journal = createJournal()
  const outcome = await obtained(bench, journal, spec, replaces).then(
    () => null,
    (thrown: unknown) => {
      expect(thrown).toBeInstanceOf(RotationError)
      return thrown as RotationError
    },
  )
  return { error: outcome, calls: bench.operations(), journal }
}

const happened = (error: RotationError | null): Happens => {
  if (error === null) return 'obtained'
  if (error.retry === 'never') return 'next CA'
  return error.retryAt === null ? 'later' : 'until'
}

const ofNewOrder: readonly Line[] = [
  [
    'an answer that is no JSON',
    'NewOrder',
    { status: 200, body: '<html>' },
    'later',
    { code: 'unavailable' },
  ],
  ['a cut answer', 'NewOrder', { cut: 5 }, 'later', { code: 'unavailable' }],
  ['no answer, before the effect', 'NewOrder', { drop: 'before' }, 'later', { code: 'unavailable' }],
  ['405: the directory is fetched again', 'NewOrder', says(405, 'malformed'), 'obtained', {}],
]

const ofTheAccount: readonly Line[] = [
  [
    'rateLimited',
    'NewAccount',
    says(429, 'rateLimited', { headers: HOUR }),
    'until',
    { code: 'rate-limited' },
  ],
  ['no answer', 'NewAccount', { drop: 'after' }, 'later', { code: 'unavailable' }],
  ['directory: 500', 'Directory', { status: 500 }, 'later', { code: 'unavailable' }],
  ['directory: something else', 'Directory', { status: 200, body: '{}' }, 'later', { code: 'unavailable' }],
  ['newNonce: 503', 'NewNonce', { status: 503, headers: HOUR }, 'until', { code: 'unavailable' }],
]

const ofTheRest: readonly Line[] = [
  [
    'authorization: 404, the order is dead',
    'Authorization',
    says(404, 'malformed'),
    'later',
    { code: 'order-failed' },
  ],
  [
    'authorization: unauthorized',
    'Authorization',
    says(403, 'unauthorized'),
    'next CA',
    { code: 'ca-rejected' },
  ],
  ['authorization: 503', 'Authorization', { status: 503, headers: HOUR }, 'until', { code: 'unavailable' }],
  ['challenge: no answer', 'Challenge', { drop: 'after' }, 'later', { code: 'unavailable' }],
  ['challenge: malformed', 'Challenge', says(400, 'malformed'), 'next CA', { code: 'ca-rejected' }],
  ['order: 404, it is dead', 'Order', says(404, 'malformed'), 'later', { code: 'order-failed' }],
  [
    'order: a status that is none',
    'Order',
    { status: 200, body: '{"status":"odd"}' },
    'later',
    { code: 'unavailable' },
  ],
  ['order: 500', 'Order', { status: 500 }, 'later', { code: 'unavailable' }],
  ['finalize: orderNotReady, and the order is ready', 'Finalize', says(403, 'orderNotReady'), 'obtained', {}],
  [
    'finalize: orderNotReady, twice',
    'Finalize',
    says(403, 'orderNotReady', { times: 2 }),
    'later',
    { code: 'order-failed' },
  ],
  ['finalize: no answer, after the effect', 'Finalize', { drop: 'after' }, 'obtained', {}],
  ['finalize: no answer, before the effect', 'Finalize', { drop: 'before' }, 'obtained', {}],
  ['finalize: 500 after the effect', 'Finalize', { status: 500, after: true }, 'obtained', {}],
  ['finalize: 503', 'Finalize', { status: 503, headers: HOUR }, 'until', { code: 'unavailable' }],
  ['finalize: badCSR', 'Finalize', says(400, 'badCSR'), 'next CA', { code: 'ca-rejected' }],
  ['finalize: badPublicKey', 'Finalize', says(400, 'badPublicKey'), 'next CA', { code: 'ca-rejected' }],
  ['finalize: caa', 'Finalize', says(403, 'caa'), 'next CA', { code: 'ca-rejected' }],
  [
    'finalize: rateLimited',
    'Finalize',
    says(429, 'rateLimited', { headers: HOUR }),
    'until',
    { code: 'rate-limited' },
  ],
  [
    'certificate: 404, the order is dead',
    'Certificate',
    says(404, 'malformed'),
    'later',
    { code: 'order-failed' },
  ],
  ['certificate: 503', 'Certificate', { status: 503, headers: HOUR }, 'until', { code: 'unavailable' }],
  ['certificate: no PEM', 'Certificate', { status: 200, body: '{}' }, 'later', { code: 'unavailable' }],
]

/** After each, whatever it was, the next run obtains the certificate: nothing is left that stops it. */
async function check([, operation, answer, happens, more]: Line, isNew: boolean): Promise<void> {
  const bench = await startBench({ authorizationReuse: false })
  if (!isNew) await run(bench)
  bench.faults.add({ operations: [`acme.${operation}`], ...answer })
  const { error, journal } = await run(bench)
  expect(happened(error), error?.message).toBe(happens)
  if (error) expect(error).toMatchObject(more)
  if (happens === 'until') expect(error?.retryAt).toBe(bench.clock.now + 3_600_000)
  expect(bench.sleeps.every(ms => ms <= 30_000)).toBe(true)
  bench.faults.clear()
  await obtained(bench, journal)
  expect(bench.ca.accounts).toHaveLength(1)
  expect(bench.dns.txt.size).toBe(0)
}

describe('newOrder answers', () => {
  it.each(ofNewOrder)('%s', (...line) => check(line, false))
})

describe('an account is to be made, and the CA answers', () => {
  it.each(ofTheAccount)('%s', (...line) => check(line, true))
})

describe('an order is under way, and the CA answers', () => {
  it.each(ofTheRest)('%s', (...line) => check(line, false))
})

/** The error of a challenge (RFC 8555 section 8): one of five an hour is spent, and the next run makes a new order. */
describe('a validation fails with', () => {
  it.each(['dns', 'connection', 'tls', 'unauthorized', 'incorrectResponse', 'caa', 'serverInternal'])(
    '%s: later, in a new order',
    async type => {
      const bench = await startBench()
      const { request } = bench.outside.http
      const http = {
        ...bench.outside.http,
        request: async (given: Parameters<typeof request>[0]) => {
          if (given.url.includes('/challenges/')) bench.dns.txt.clear()
          const answer = await request(given)
          const text = answer.text.replace(/error:(dns|unauthorized)"/g, `error:${type}"`)
          return { ...answer, text }
        },
      }
      const journal = createJournal()
      const own = bench.newRun()
      const source = bench.source(own, {}, { http })
      const wanted = requestOf()
      const error = await rejection(source.obtain(wanted, journal, own))
      expect(error).toMatchObject({ code: 'validation-failed', retry: 'later' })
      expect(problemOf(error)).toMatchObject({ type })
      expect((error as RotationError).hint).not.toBeNull()
      expect(journal.notes).toEqual({})
      await obtained(bench, journal)
      expect(bench.ca.orders).toHaveLength(2)
    },
  )
})

/** The error of an order that the CA gave up while issuing. */
describe('an order ends with', () => {
  it.each(['serverInternal', 'caa', 'rejectedIdentifier', 'badCSR'])(
    '%s: later, in a new order',
    async type => {
      const bench = await startBench({ issuanceProblem: { type, detail: 'no' } })
      const { error, journal } = await run(bench)
      expect(error).toMatchObject({ code: 'order-failed', retry: 'later' })
      bench.ca.options.issuanceProblem = null
      await obtained(bench, journal)
      expect(bench.ca.orders).toHaveLength(2)
    },
  )
})

describe('the CA', () => {
  it('is not there: later, and the settings are named', async () => {
    const bench = await startBench()
    await bench.ca.dispose()
    const { error } = await run(bench)
    expect(happened(error)).toBe('later')
    expect(error).toMatchObject({
      code: 'unreachable',
      hint: expect.stringContaining('sources.ca.directory'),
    })
  })

  it('has a certificate that is not trusted: later, and the settings are named', async () => {
    const { error } = await run(await startBench({ tls: true }))
    expect(happened(error)).toBe('later')
    expect(error).toMatchObject({ code: 'unreachable', hint: expect.stringContaining('caCertificates') })
  })
})
