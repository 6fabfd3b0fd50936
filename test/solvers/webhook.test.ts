import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { secret } from '../../lib/base/secret.ts'
import webhook from '../../lib/solvers/webhook.ts'
import { createHttpreq } from '../../sandbox/dns/httpreq.ts'
import { createDns } from '../../sandbox/dns/server.ts'
import { createFaults } from '../../sandbox/kit/faults.ts'
import { type SolverRig, solverContract } from '../contract/solver.ts'
import { cleanups } from '../support/cleanups.ts'
import { createContext, createRun, createTestClock, createTestLog, textsIn, zones } from './rig.ts'

const NAME = '_acme-challenge.example.com.'
const PASSWORD = 'pass word:with "signs"'
const TOKEN = 'query-token-1'
const ENCODED = Buffer.from(`acme:${PASSWORD}`).toString('base64')

const make = async (auth = true): Promise<SolverRig & { readonly url: string }> => {
  const clock = createTestClock()
  const { log, entries } = createTestLog()
  const dns = await createDns({ zones })
  const faults = createFaults()
  const account = { username: 'acme', password: PASSWORD }
  const server = await createHttpreq({ dns, faults, ...(auth ? { auth: account } : {}) })
  const stop = server.dispose
  cleanups.push(dns.dispose, stop)
  const context = createContext(clock, log, () => Promise.reject(new Error('webhook wants no Huawei keys')))
  const solverOf = (password: string) =>
    webhook.create(
      {
        ...v.parse(webhook.settings, { url: `${server.url}/?token=${TOKEN}` }),
        ...(auth ? { username: 'acme', password: secret(password) } : {}),
      },
      context,
    )
  const operations = ['httpreq.Present', 'httpreq.Cleanup']
  return {
    url: server.url,
    solver: solverOf(PASSWORD),
    stranger: solverOf('wrong-password'),
    clock,
    run: over => createRun(clock, log, over),
    faults,
    operations,
    writes: ['httpreq.Present'],
    removals: ['httpreq.Cleanup'],
    answers: {
      forbidden: { status: 403, body: 'not your zone' },
      throttled: { status: 429, body: 'slow down', headers: { 'retry-after': '120' } },
    },
    unknownZone: 'service-refused',
    inDns: name => textsIn(dns, name),
    otherWrites: (name, value) => dns.zones.add(name, 'TXT', value),
    stop,
    secrets: [PASSWORD, TOKEN, ENCODED, 'wrong-password'],
    logged: () => JSON.stringify(entries),
  }
}

solverContract('webhook', make)

describe('webhook', () => {
  it('works without credentials', async () => {
    const { solver, run, inDns } = await make(false)
    await solver.present(NAME, 'v', run())
    expect(await inDns(NAME)).toEqual(['v'])
  })

  it('keeps the path and the query of the URL, and sends what lego sends', async () => {
    const { solver, run, faults } = await make()
    await solver.present(NAME, 'v', run())
    expect(faults.calls).toMatchObject([
      {
        method: 'POST',
        path: `/present?token=${TOKEN}`,
        body: '{"fqdn":"_acme-challenge.example.com.","value":"v"}',
      },
    ])
  })

  it('prepares without a request', async () => {
    const { solver, run, faults } = await make()
    await solver.prepare(NAME, run())
    expect(faults.calls).toEqual([])
  })

  it('shows nothing secret that the service repeats', async () => {
    const { solver, run, faults, secrets, logged } = await make()
    const body = `bad: ${ENCODED} of ${PASSWORD}, token=${TOKEN}`
    faults.add({ operations: ['httpreq.*'], status: 500, body, times: 3 })
    const error = await solver.present(NAME, 'v', run()).catch(thrown => thrown as Error)
    expect(error?.message).toBe(
      'solver dns (webhook): POST /present for _acme-challenge.example.com. answered 500: bad: [secret] of [secret], [secret]',
    )
    for (const hidden of secrets) expect(logged()).not.toContain(hidden)
  })

  it('passes on when the service wants the next call', async () => {
    const { solver, run, faults, clock } = await make()
    faults.add({ operations: ['httpreq.*'], status: 429, headers: { 'retry-after': '120' } })
    const at = clock.now() + 120_000
    await expect(solver.present(NAME, 'v', run())).rejects.toMatchObject({ code: 'throttled', retryAt: at })
    faults.add({ operations: ['httpreq.*'], status: 503, headers: { 'retry-after': '120' } })
    await expect(solver.present(NAME, 'v', run())).rejects.toMatchObject({ code: 'unavailable', retryAt: at })
    expect(clock.waits).toEqual([])
  })

  it.each([301, 404, 409])('refuses an answer of %s', async status => {
    const { solver, run, faults } = await make()
    faults.add({ operations: ['httpreq.*'], status, headers: { location: 'http://127.0.0.1/elsewhere' } })
    await expect(solver.present(NAME, 'v', run())).rejects.toMatchObject({ code: 'service-refused' })
    expect(faults.calls).toHaveLength(1)
  })

  it('stops trying at the deadline', async () => {
    const { solver, run, faults, clock } = await make()
    faults.add({ operations: ['httpreq.*'], status: 503, times: 9 })
    const deadline = clock.now() + 1_500
    await expect(solver.present(NAME, 'v', run({ deadline }))).rejects.toMatchObject({ code: 'unavailable' })
    expect(clock.waits).toEqual([1_000])
  })
})

describe('webhook settings', () => {
  const issues = (input: unknown): readonly string[] =>
    (v.safeParse(webhook.settings, input).issues ?? []).map(({ message }) => message)

  it('needs nothing but a URL', () => {
    expect(v.parse(webhook.settings, { url: 'https://dns.example.com/api' })).toMatchObject({
      username: null,
      password: null,
      caCertificates: null,
      propagation: { withinMs: 180_000, everyMs: 2_000, settleMs: 0, port: 53 },
    })
  })

  it.each([
    [{ url: 'http://dns.example.com' }, 'must be https (http is allowed to loopback only)'],
    [{ url: 'https://user:pass@dns.example.com' }, 'must not carry credentials'],
    [{ url: 'https://dns.example.com', username: '' }, 'must not be empty'],
  ])('refuses %j', (input, message) => {
    expect(issues(input)).toEqual([message])
  })

  it('refuses unknown keys', () => {
    expect(issues({ url: 'https://dns.example.com', usrname: 'x' })).toHaveLength(1)
  })
})
