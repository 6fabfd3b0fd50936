/**
 * The table of RUNBOOK.md is the test: every line is played by the sandbox CA, and comes to what it says. So are answers
 * that need no line of their own.
 */
import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { problemOf } from '../../lib/acme/protocol/problem.ts'
import type { RotationError } from '../../lib/base/rotation-error.ts'
import type { Journal } from '../../lib/contracts.ts'
import type { Fault } from '../../sandbox/kit/faults.ts'
import { createJournal } from '../support/memory.ts'
import { attempt, type Bench, failureOf, losing, obtained, problem, specOf, startBench } from './rig.ts'

const text = await readFile(new URL('../../RUNBOOK.md', import.meta.url), 'utf8')
const [, section = ''] = text.split('# What a CA answers\n')
const rows = section
  .split('\n')
  .filter(line => line.startsWith('| ') && !line.startsWith('| answer'))
  .map(line => line.split('|').map(cell => cell.trim()) as [string, string, string, string, string])
  .map(([, answer, to, happens, remark]) => [answer, to, happens, remark] as const)

/** Other places of the same answers, and rarer ones. */
const BESIDE = [
  ['`externalAccountRequired`', 'newOrder', 'next CA'],
  ['`invalidContact`', 'newOrder', 'next CA'],
  ['`badCSR`', 'newOrder', 'next CA'],
  ['HTTP 302 always', 'newOrder', 'later'],
  ['HTTP 405', 'newOrder', 'now'],
  ['a connection broken before', 'newOrder', 'later'],
  ['`rateLimited`, Retry-After', 'newAccount', 'until'],
  ['a broken connection', 'newAccount', 'later'],
  ['HTTP 500', 'directory', 'later'],
  ['another JSON', 'directory', 'later'],
  ['HTTP 503, Retry-After', 'newNonce', 'until'],
  ['HTTP 404', 'authorization', 'later'],
  ['`unauthorized`', 'authorization', 'next CA'],
  ['HTTP 503, Retry-After', 'authorization', 'until'],
  ['a broken connection', 'challenge', 'later'],
  ['`malformed`', 'challenge', 'next CA'],
  ['another JSON', 'order', 'later'],
  ['HTTP 500', 'order', 'later'],
  ['a connection broken before', 'finalize', 'now'],
  ['`orderNotReady` twice', 'finalize', 'later'],
  ['HTTP 503, Retry-After', 'finalize', 'until'],
  ['`rateLimited`, Retry-After', 'finalize', 'until'],
  ['HTTP 503, Retry-After', 'certificate', 'until'],
  ['another JSON', 'certificate', 'later'],
  ['`rejectedIdentifier`', 'issuance', 'later'],
  ['`badCSR`', 'issuance', 'later'],
] as const

/** RFC 8555 section 6.7, RFC 9773 section 7.4, draft-ietf-acme-profiles section 6.2. */
const TYPES =
  `accountDoesNotExist alreadyRevoked badCSR badNonce badPublicKey badRevocationReason badSignatureAlgorithm
  caa compound connection dns externalAccountRequired incorrectResponse invalidContact malformed orderNotReady
  rateLimited rejectedIdentifier serverInternal tls unauthorized unsupportedContact unsupportedIdentifier
  userActionRequired alreadyReplaced invalidProfile`.split(/\s+/)

const STATUS: Readonly<Record<string, number>> = {
  rateLimited: 429,
  serverInternal: 500,
  unauthorized: 403,
  userActionRequired: 403,
  caa: 403,
  alreadyReplaced: 409,
  orderNotReady: 403,
  externalAccountRequired: 403,
  rejectedIdentifier: 403,
}
const PREFIX = 'urn:ietf:params:acme:error:'
const PAGE = 'https://ca.test/terms/v2'
const RETRY_AFTER_MS = 3_600_000

type Answer = Omit<Fault, 'operations'>

const problemAnswer = (answer: string): Answer => {
  const [type = 'neverHeardOf', part] = [...answer.matchAll(/`(\w+)`/g)].map(([, name]) => name)
  const detail = answer.endsWith('a link') ? 'paused, visit https://ca.test/unpause' : `it is ${type}`
  const subproblems = part ? [{ type: `${PREFIX}${part}`, detail: 'a part' }] : undefined
  const instance = type === 'userActionRequired' ? PAGE : undefined
  return {
    status: STATUS[type] ?? 400,
    body: problem(type, detail, { subproblems, instance }),
  }
}

const httpAnswer = (answer: string, status: number): Answer => ({
  status,
  body: '<html>busy</html>',
  ...(answer.includes('after it had issued') ? { after: true } : {}),
})

const BROKEN: Readonly<Record<string, Answer>> = {
  'a page instead of an answer': { status: 200, body: '<html>welcome</html>' },
  'another JSON': { status: 200, body: '{"status":"odd"}' },
  'half an answer': { cut: 20 },
  'a broken connection': { drop: 'after' },
  'a connection broken before': { drop: 'before' },
}

const answerOf = (answer: string, target: string): Answer => {
  const [, status] = /^HTTP (\d+)/.exec(answer) ?? []
  const plain = BROKEN[answer] ?? (status ? httpAnswer(answer, Number(status)) : problemAnswer(answer))
  return {
    ...plain,
    ...(answer.includes('Retry-After') ? { headers: { 'retry-after': '3600' } } : {}),
    ...(status === '308' ? { headers: { location: target } } : {}),
    ...(answer.endsWith('always') ? { times: 100 } : {}),
    ...(answer.endsWith('twice') ? { times: 2 } : {}),
  }
}

const happened = (error: RotationError | null): string => {
  if (error === null) return 'now'
  if (error.retry === 'never') return 'next CA'
  return error.retryAt === null ? 'later' : 'until'
}

/** The error code that a person is told. */
const codeOf = (answer: string, to: string): string => {
  if (to === 'validation') return 'validation-failed'
  if (to === 'issuance' || to === 'finalize with profileFallback') return 'order-failed'
  if (answer.endsWith('twice')) return 'order-failed'
  if (answer === 'HTTP 404' && to !== 'directory') return 'order-failed'
  if (to === 'every call') return 'unreachable'
  if (/rateLimited|HTTP 429/.test(answer)) return 'rate-limited'
  const isProblem = /^(`(?!serverInternal|badNonce)|any other type|HTTP 4)/.test(answer)
  return isProblem ? 'ca-rejected' : 'unavailable'
}

const outcomeOf = (work: Promise<unknown>): Promise<RotationError | null> =>
  work.then(
    () => null,
    thrown => failureOf(Promise.reject(thrown)),
  )

/** What a run comes to when the CA's word on a challenge is another one. */
const validate = (bench: Bench, type: string, journal: Journal): Promise<unknown> => {
  const reword = (it: string) => it.replace(/error:(dns|unauthorized)"/g, `error:${type}"`)
  return attempt(bench, { journal, http: losing(bench, undefined, reword) })
}

const revoke = async (bench: Bench): Promise<unknown> => {
  const { chainPem } = await obtained(bench)
  const run = bench.newRun()
  return bench.source(run).revoke?.({ certificatePem: chainPem, reason: 'superseded', key: null }, run)
}

const isNewAccount = (to: string): boolean =>
  ['newAccount', 'newNonce', 'directory', 'every call'].includes(to)

interface Played {
  readonly bench: Bench
  readonly journal: Journal
  readonly error: RotationError | null
}

/** Plays one line; what became of the run. */
async function play(answer: string, to: string): Promise<Played> {
  const bench = await startBench({
    authorizationReuse: false,
    tls: answer === 'a certificate that is not trusted',
  })
  const predecessor = isNewAccount(to) ? null : (await obtained(bench)).chainPem
  const journal = createJournal()
  const [call = '', more] = to.split(' with ')
  const type = /`(\w+)`/.exec(answer)?.[1] ?? ''
  if (call === 'validation') return { bench, journal, error: await outcomeOf(validate(bench, type, journal)) }
  if (call === 'issuance') bench.ca.options.issuanceProblem = { type, detail: 'no' }
  else if (answer === 'no connection') await bench.ca.dispose()
  else if (call !== 'every call') {
    const operation = `acme.${call[0]?.toUpperCase()}${call.slice(1)}`
    bench.faults.add({ operations: [operation], ...answerOf(answer, bench.ca.directoryUrl) })
  }
  const spec =
    more === 'profileFallback' ? specOf(undefined, { profile: 'tlsserver', profileFallback: true }) : specOf()
  const work =
    call === 'revokeCert'
      ? revoke(bench)
      : obtained(bench, journal, spec, more === 'replaces' ? predecessor : null)
  return { bench, journal, error: await outcomeOf(work) }
}

describe('what a CA answers', () => {
  it('has a line for every registered type of problem', () => {
    const told = new Set(rows.flatMap(([answer]) => [...answer.matchAll(/`(\w+)`/g)].map(([, name]) => name)))
    expect([...told].toSorted()).toEqual(TYPES.toSorted())
    expect(new Set(rows.map(([, , happens]) => happens))).toEqual(
      new Set(['now', 'later', 'until', 'next CA']),
    )
    expect(new Set(rows.map(row => row.join())).size).toBe(rows.length)
  })

  it.each([...rows, ...BESIDE])('%s to %s: %s', async (answer, to, happens, remark = '') => {
    const { bench, journal, error } = await play(answer, to)
    expect(happened(error), error?.message).toBe(happens)
    if (error) expect(error.code).toBe(codeOf(answer, to))
    if (error?.retry === 'never') expect(error.hint).not.toBeNull()
    if (happens === 'until') expect(error?.retryAt).toBe(bench.clock.now + RETRY_AFTER_MS)
    if (answer === '`userActionRequired`') expect(error?.hint).toContain(PAGE)
    const [, type] = /^`(\w+)`$/.exec(answer) ?? []
    if (error?.code === 'ca-rejected' && type !== undefined) {
      expect(error.message).toMatch(new RegExp(`^sources\\.ca: \\S+: the CA answers ${type}: it is ${type}$`))
      expect(problemOf(error)).toMatchObject({ type, status: STATUS[type] ?? 400, detail: `it is ${type}` })
    }
    const [, setting] = /^see `(\w+)`$/.exec(remark) ?? []
    if (setting !== undefined) expect(error?.hint).toContain(`sources.ca.${setting}`)
    expect(bench.sleeps.every(ms => ms <= 30_000)).toBe(true)
    if (to === 'every call') return
    if (to === 'validation') {
      expect(problemOf(error)).toMatchObject({ type })
      expect(error?.hint).not.toBeNull()
      expect(journal.notes).toEqual({})
    }
    // Nothing is left behind that stops the next run.
    bench.faults.clear()
    bench.ca.options.issuanceProblem = null
    const before = bench.ca.orders.length
    await obtained(bench, journal)
    if (['validation', 'issuance'].includes(to)) expect(bench.ca.orders).toHaveLength(before + 1)
    expect(bench.ca.accounts).toHaveLength(1)
    expect(bench.dns.txt.size).toBe(0)
  })
})
