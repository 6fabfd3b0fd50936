/**
 * Where in an order a problem or a failure of HTTP comes, and what is said of it; the table of them all is that of
 * RUNBOOK.md (runbook-table.test.ts). `next CA` is an error that trying again does not mend; `later` and `until` are
 * tried again by a later run.
 */
import { describe, expect, it } from 'vitest'
import { problemOf } from '../../lib/acme/protocol/problem.ts'
import type { RotationError } from '../../lib/base/rotation-error.ts'
import type { Fault } from '../../sandbox/kit/faults.ts'
import { createJournal } from '../support/memory.ts'
import { attempt, type Bench, failureOf, losing, obtained, problem, startBench } from './rig.ts'

type Answer = Omit<Fault, 'operations'>
/** The call and what is wrong with its answer, the answer, and `obtained` or when to try again and the error's code. */
type Line = readonly [what: string, answer: Answer, comesTo: string]

const says = (status: number, type: string, more: Answer = {}): Answer => ({
  status,
  body: problem(type),
  ...more,
})
const HOUR = { 'retry-after': '3600' }

/** Runs once; what became of it. */
async function run(bench: Bench) {
  const journal = createJournal()
  const error = await obtained(bench, journal).then(
    () => null,
    (thrown: RotationError) => failureOf(Promise.reject(thrown)),
  )
  return { error, journal }
}

const comesTo = (error: RotationError | null): string => {
  if (error === null) return 'obtained'
  if (error.retry === 'never') return `next CA: ${error.code}`
  return `${error.retryAt === null ? 'later' : 'until'}: ${error.code}`
}

const ofNewOrder: readonly Line[] = [
  ['NewOrder: an answer that is no JSON', { status: 200, body: '<html>' }, 'later: unavailable'],
  ['NewOrder: a cut answer', { cut: 5 }, 'later: unavailable'],
  ['NewOrder: no answer, before the effect', { drop: 'before' }, 'later: unavailable'],
  ['NewOrder: 405: the directory is fetched again', says(405, 'malformed'), 'obtained'],
]

const ofTheAccount: readonly Line[] = [
  ['NewAccount: rateLimited', says(429, 'rateLimited', { headers: HOUR }), 'until: rate-limited'],
  ['NewAccount: no answer', { drop: 'after' }, 'later: unavailable'],
  ['Directory: 500', { status: 500 }, 'later: unavailable'],
  ['Directory: something else', { status: 200, body: '{}' }, 'later: unavailable'],
  ['NewNonce: 503', { status: 503, headers: HOUR }, 'until: unavailable'],
]

const ofTheRest: readonly Line[] = [
  ['Authorization: 404, the order is dead', says(404, 'malformed'), 'later: order-failed'],
  ['Authorization: unauthorized', says(403, 'unauthorized'), 'next CA: ca-rejected'],
  ['Authorization: 503', { status: 503, headers: HOUR }, 'until: unavailable'],
  ['Challenge: no answer', { drop: 'after' }, 'later: unavailable'],
  ['Challenge: malformed', says(400, 'malformed'), 'next CA: ca-rejected'],
  ['Order: 404, it is dead', says(404, 'malformed'), 'later: order-failed'],
  ['Order: a status that is none', { status: 200, body: '{"status":"odd"}' }, 'later: unavailable'],
  ['Order: 500', { status: 500 }, 'later: unavailable'],
  ['Finalize: orderNotReady, and the order is ready', says(403, 'orderNotReady'), 'obtained'],
  ['Finalize: orderNotReady, twice', says(403, 'orderNotReady', { times: 2 }), 'later: order-failed'],
  ['Finalize: no answer, after the effect', { drop: 'after' }, 'obtained'],
  ['Finalize: no answer, before the effect', { drop: 'before' }, 'obtained'],
  ['Finalize: 500 after the effect', { status: 500, after: true }, 'obtained'],
  ['Finalize: 503', { status: 503, headers: HOUR }, 'until: unavailable'],
  ['Finalize: badCSR', says(400, 'badCSR'), 'next CA: ca-rejected'],
  ['Finalize: badPublicKey', says(400, 'badPublicKey'), 'next CA: ca-rejected'],
  ['Finalize: caa', says(403, 'caa'), 'next CA: ca-rejected'],
  ['Finalize: rateLimited', says(429, 'rateLimited', { headers: HOUR }), 'until: rate-limited'],
  ['Certificate: 404, the order is dead', says(404, 'malformed'), 'later: order-failed'],
  ['Certificate: 503', { status: 503, headers: HOUR }, 'until: unavailable'],
  ['Certificate: no PEM', { status: 200, body: '{}' }, 'later: unavailable'],
]

/** After each, whatever it was, the next run obtains the certificate: nothing is left that stops it. */
async function check([what, answer, wanted]: Line, isNew: boolean): Promise<void> {
  const bench = await startBench({ authorizationReuse: false })
  if (!isNew) await run(bench)
  bench.faults.add({ operations: [`acme.${what.split(':')[0]}`], ...answer })
  const { error, journal } = await run(bench)
  expect(comesTo(error), error?.message).toBe(wanted)
  if (wanted.startsWith('until')) expect(error?.retryAt).toBe(bench.clock.now + 3_600_000)
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
      const journal = createJournal()
      const http = losing(bench, undefined, text =>
        text.replace(/error:(dns|unauthorized)"/g, `error:${type}"`),
      )
      const error = await failureOf(attempt(bench, { journal, http }))
      expect(error).toMatchObject({ code: 'validation-failed', retry: 'later' })
      expect(problemOf(error)).toMatchObject({ type })
      expect(error.hint).not.toBeNull()
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
    expect(comesTo(error)).toBe('later: unreachable')
    expect(error?.hint).toContain('sources.ca.directory')
  })

  it('has a certificate that is not trusted: later, and the settings are named', async () => {
    const { error } = await run(await startBench({ tls: true }))
    expect(comesTo(error)).toBe('later: unreachable')
    expect(error?.hint).toContain('sources.ca.caCertificates')
  })
})
