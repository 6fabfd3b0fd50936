/** A CA that answers what no CA should: a run says so, and nothing of it stops the runs after it. */
import { describe, expect, it } from 'vitest'
import { DAY_MS, HOUR_MS } from '../../lib/base/time.ts'
import type { Http } from '../../lib/http/http.ts'
import { generateKey } from '../../lib/x509/key.ts'
import { createJournal, type MemoryJournal } from '../support/memory.ts'
import { attempt, type Bench, failureOf, obtained, problem, specOf, startBench } from './rig.ts'

const ALWAYS = 1_000

/** The bench with another body for each answer that holds a `status`. */
const withOrders = (bench: Bench, change: (order: Record<string, unknown>) => void): Http => ({
  ...bench.outside.http,
  request: async given => {
    const answer = await bench.outside.http.request(given)
    if (!/\/(new-)?orders?(\/|$)/.test(new URL(given.url).pathname) || answer.status >= 300) return answer
    const order = JSON.parse(answer.text) as Record<string, unknown>
    change(order)
    return { ...answer, text: JSON.stringify(order) }
  },
})

const obtainBy = async (bench: Bench, http: Http, journal = createJournal(), leftMs?: number) =>
  (await attempt(bench, { http, journal, ...(leftMs && { leftMs }) })).result

describe('a certificate that nobody can use is no reason to ask for it for ever', () => {
  const JUNK = `-----BEGIN CERTIFICATE-----\n${Buffer.from('junk').toString('base64')}\n-----END CERTIFICATE-----\n`

  /** A certificate for other names, for the key that the journal has. */
  const ofOthers = async (bench: Bench, journal: MemoryJournal): Promise<string> => {
    const other = createJournal(journal)
    await other.write({})
    return (await obtained(bench, other, specOf(['other.example.com']))).chainPem
  }

  it('other names than were asked for: the next run orders anew', async () => {
    const bench = await startBench()
    const journal = createJournal()
    await journal.privateKey(() => generateKey('ec-256'))
    const body = await ofOthers(bench, journal)
    bench.faults.add({ operations: ['acme.Certificate'], status: 200, body, times: 1 })
    expect(await failureOf(obtained(bench, journal))).toMatchObject({
      code: 'order-failed',
      message: 'sources.ca: certificate: it was issued for other.example.com, and not for iot.example.com',
    })
    expect(journal.notes).toEqual({})
    await obtained(bench, journal)
  })

  it('a chain of more certificates than anybody takes is not verified', async () => {
    const bench = await startBench()
    const body = bench.ca.rootPem.repeat(21)
    bench.faults.add({ operations: ['acme.Certificate'], status: 200, body, times: 1 })
    const journal = createJournal()
    expect(await failureOf(obtained(bench, journal))).toMatchObject({
      code: 'certificate-invalid',
      message: expect.stringContaining('the chain has 21 certificates, more than 20'),
    })
    await obtained(bench, journal)
  })

  it('none, of an order that is valid: the next run orders anew', async () => {
    const bench = await startBench()
    const journal = createJournal()
    const http = withOrders(bench, order => delete order.certificate)
    expect(await failureOf(obtainBy(bench, http, journal))).toMatchObject({
      code: 'order-failed',
      message: 'sources.ca: certificate: the order names none',
    })
    await obtained(bench, journal)
    expect(bench.ca.orders).toHaveLength(2)
  })

  it.each([
    ['no PEM', '{}', 'unavailable'],
    ['junk', JUNK, 'certificate-invalid'],
  ])('%s, whatever the run: another order when this one has been over for a day', async (_, body, code) => {
    const bench = await startBench()
    const journal = createJournal()
    bench.faults.add({ operations: ['acme.Certificate'], status: 200, body, times: ALWAYS })
    for (const days of [0, 6, 1.5]) {
      bench.clock.now += days * DAY_MS
      expect(await failureOf(obtained(bench, journal))).toMatchObject({ code })
    }
    expect(bench.ca.orders).toHaveLength(1)
    bench.clock.now += DAY_MS
    bench.faults.clear()
    await obtained(bench, journal)
    expect(bench.ca.orders).toHaveLength(2)
  })
})

describe('an order without an end', () => {
  it('that is never finished is given up after a week', async () => {
    const bench = await startBench({ asyncFinalizeMs: 1_000 * DAY_MS })
    const journal = createJournal()
    const http = withOrders(bench, order => delete order.expires)
    expect(await obtainBy(bench, http, journal, 60_000)).toMatchObject({ kind: 'suspended' })
    bench.clock.now += 6 * DAY_MS
    expect(await obtainBy(bench, http, journal, 60_000)).toMatchObject({ kind: 'suspended' })
    expect(bench.ca.orders).toHaveLength(1)
    bench.clock.now += DAY_MS
    bench.ca.options.asyncFinalizeMs = 0
    expect(await obtainBy(bench, http, journal)).toMatchObject({ kind: 'obtained' })
    expect(bench.ca.orders).toHaveLength(2)
  })

  it.each(['deactivated', 'VALID', '', null])('in the state %j is no order', async status => {
    const bench = await startBench()
    const http = withOrders(bench, order => Object.assign(order, { status }))
    expect(await failureOf(obtainBy(bench, http))).toMatchObject({ code: 'unavailable' })
  })

  it.each([
    ['pending', 0],
    ['processing', 1],
  ] as const)('that says %s whatever is done is waited for, not hammered', async (status, finalizes) => {
    const bench = await startBench()
    const http = withOrders(bench, order => Object.assign(order, { status }))
    const journal = createJournal()
    expect(await obtainBy(bench, http, journal, 120_000)).toMatchObject({ kind: 'suspended' })
    const calls = bench.operations()
    expect(calls.filter(call => call === 'Finalize').length).toBeLessThanOrEqual(finalizes)
    expect(calls.length).toBeLessThan(30)
    expect(journal.notes.order).toBeDefined()
  })
})

describe('a directory', () => {
  it('of URLs that are none is not kept', async () => {
    const bench = await startBench()
    const body = JSON.stringify({ newNonce: '::', newAccount: 'x', newOrder: '/o' })
    bench.faults.add({ operations: ['acme.Directory'], status: 200, body })
    const journal = createJournal()
    expect(await failureOf(obtained(bench, journal))).toMatchObject({
      code: 'unavailable',
      message: 'sources.ca: directory: the answer lacks newNonce, newAccount, newOrder',
    })
    await obtained(bench, journal)
  })

  it('that leads where nobody is any more is fetched again, once', async () => {
    const bench = await startBench()
    await obtained(bench)
    const deserted = (body: object): object =>
      JSON.parse(JSON.stringify(body).replaceAll(bench.ca.url, 'http://127.0.0.1:1'))
    const spoil = () =>
      bench.memory.update(notes => {
        const { account, directory } = notes as Record<'account' | 'directory', { body: object }>
        return {
          ...notes,
          account: { ...account, newAccount: 'http://127.0.0.1:1/new-account' },
          directory: { ...directory, body: deserted(directory.body) },
        }
      })
    await spoil()
    bench.operations()
    await obtained(bench)
    expect(bench.operations().filter(call => call === 'Directory')).toHaveLength(1)
    expect(bench.ca.accounts).toHaveLength(1)

    await spoil()
    const body = JSON.stringify((bench.memory.notes.directory as { body: object }).body)
    bench.faults.add({ operations: ['acme.Directory'], status: 200, body, times: ALWAYS })
    expect(await failureOf(obtained(bench))).toMatchObject({ code: 'unreachable' })
    // Because what is remembered leads to another host, and because nobody is there.
    expect(bench.operations().filter(call => call === 'Directory')).toHaveLength(2)
  })
})

describe('a Location', () => {
  const withLocation = (bench: Bench, change: (location: string) => string | undefined): Http => ({
    ...bench.outside.http,
    request: async given => {
      const answer = await bench.outside.http.request(given)
      const { location, ...headers } = answer.headers
      const changed = location === undefined ? undefined : change(location)
      return { ...answer, headers: changed === undefined ? headers : { ...headers, location: changed } }
    },
  })

  it('may be told from where the question went', async () => {
    const bench = await startBench({ asyncFinalizeMs: DAY_MS })
    const journal = createJournal()
    const http = withLocation(bench, location => new URL(location).pathname)
    expect(await obtainBy(bench, http, journal, 60_000)).toMatchObject({ kind: 'suspended' })
    bench.clock.now += DAY_MS
    expect(await obtainBy(bench, http, journal)).toMatchObject({ kind: 'obtained' })
    expect(bench.ca.orders).toHaveLength(1)
  })

  it.each([
    ['none', undefined],
    ['one that is no URL', 'http://['],
  ])('%s: there is no account, and it is said', async (_, location) => {
    const bench = await startBench()
    const http = withLocation(bench, () => location)
    const journal = createJournal()
    expect(await failureOf(obtainBy(bench, http, journal))).toMatchObject({ code: 'unavailable' })
    await obtained(bench, journal)
    expect(bench.ca.accounts).toHaveLength(1)
  })
})

describe('a Retry-After without measure', () => {
  it.each([
    ['a server that is down, seconds', 503, '4000000000', 2 * DAY_MS],
    ['a server that is down, a date', 503, 'Fri, 31 Dec 2100 00:00:00 GMT', 2 * DAY_MS],
    ['a server that is down, 34 hours', 503, String(34 * 3600), 34 * HOUR_MS],
    ['a limit, seconds', 429, '4000000000', 7 * DAY_MS],
    ['a limit, 34 hours', 429, String(34 * 3600), 34 * HOUR_MS],
  ])('%s', async (_, status, value, expectedMs) => {
    const bench = await startBench()
    bench.faults.add({ operations: ['acme.NewOrder'], status, headers: { 'retry-after': value } })
    const error = await failureOf(obtained(bench))
    expect((error.retryAt ?? 0) - bench.clock.now).toBe(expectedMs)
  })

  it.each(['-5', 'soon', ''])('that is none (%j) is passed over', async value => {
    const bench = await startBench({ asyncFinalizeMs: 3_000 })
    bench.faults.add({ operations: ['acme.Order'], headers: { 'retry-after': value }, times: ALWAYS })
    await obtained(bench)
    expect(bench.sleeps.every(ms => ms >= 100 && ms <= 10_000)).toBe(true)
  })
})

describe('a problem without measure', () => {
  const TYPE = 'urn:ietf:params:acme:error:'
  const told = async (problem: string): Promise<string> => {
    const bench = await startBench()
    bench.faults.add({ operations: ['acme.NewOrder'], status: 400, body: problem })
    return (await failureOf(obtained(bench))).message
  }

  it('of many parts', async () => {
    const part = { type: `${TYPE}rejectedIdentifier`, detail: 'no', identifier: { value: 'x'.repeat(9_999) } }
    const subproblems = Array.from({ length: 300 }, () => part)
    const message = await told(JSON.stringify({ type: `${TYPE}compound`, detail: 'no', subproblems }))
    expect(message.length).toBeLessThan(10_000)
    expect(message).toContain('rejectedIdentifier: no')
  })

  it('of parts within parts', async () => {
    const deep = `${'{"subproblems":['.repeat(50_000)}${']}'.repeat(50_000)}`
    expect(await told(deep)).toBe('sources.ca: newOrder: the CA answers status 400')
  })

  it('in its names', async () => {
    const message = await told(
      JSON.stringify({
        type: `${TYPE}mal\u001b[31m\nformed${'y'.repeat(9_999)}`,
        subproblems: [{ type: `${TYPE}dns`, identifier: { value: 'a\u001b]0;x\u0007\nb' } }],
      }),
    )
    // biome-ignore lint/suspicious/noControlCharactersInRegex: none of them may be there
    expect(message).not.toMatch(/[\u0000-\u001f]/)
    expect(message.length).toBeLessThan(1_000)
  })
})

describe('authorizations without measure', () => {
  it.each([
    ['400 of them', (one: string) => Array.from({ length: 400 }, (_, i) => `${one}?${i}`)],
    ['one name twice', (one: string) => [one, `${one}?again`]],
  ])('%s: nothing is written, the next run orders anew', async (_, more) => {
    const bench = await startBench()
    const http = withOrders(bench, order => {
      order.authorizations = more(String((order.authorizations as string[])[0]))
    })
    const journal = createJournal()
    expect(await failureOf(obtainBy(bench, http, journal))).toMatchObject({
      code: 'order-failed',
      message: expect.stringMatching(/^sources.ca: order: \d+ authorizations, more than one for each name$/),
    })
    expect(bench.solverCalls.filter(it => it.includes('present'))).toEqual([])
    expect(bench.operations().filter(it => it === 'acme.Authorization').length).toBeLessThan(3)
    expect(journal.notes).toEqual({})
  })
})

describe('an answer without measure', () => {
  it.each(['Directory', 'NewOrder', 'Certificate'])('of %s is not read to its end', async operation => {
    const bench = await startBench()
    const body = 'x'.repeat(5 * 1024 * 1024)
    bench.faults.add({ operations: [`acme.${operation}`], status: 200, body, times: 3 })
    const journal = createJournal()
    const error = await failureOf(obtained(bench, journal))
    expect(error).toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('larger than 4 MiB'),
    })
    bench.faults.clear()
    await obtained(bench, journal)
  })

  it('badNonce for ever ends', async () => {
    const bench = await startBench()
    const body = problem('badNonce')
    bench.faults.add({ operations: ['acme.NewAccount'], status: 400, body, times: ALWAYS })
    expect(await failureOf(obtained(bench))).toMatchObject({ code: 'unavailable' })
    expect(bench.operations().length).toBeLessThan(30)
  })
})
