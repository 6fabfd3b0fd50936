import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { secret } from '../../lib/base/secret.ts'
import webhook from '../../lib/solvers/webhook.ts'
import { createHttpreq } from '../../sandbox/dns/httpreq.ts'
import { solverContract } from '../contract/solver.ts'
import { createVendorRig, type VendorRig } from './vendor-rig.ts'

const NAME = '_acme-challenge.example.com.'
const PASSWORD = 'pass word:with "signs"'
const TOKEN = 'query-token-1'
const ENCODED = Buffer.from(`acme:${PASSWORD}`).toString('base64')

const make = (auth = true): Promise<VendorRig> =>
  createVendorRig({
    service: 'httpreq',
    operations: ['Present', 'Cleanup'],
    writes: ['Present'],
    removals: ['Cleanup'],
    answers: {
      forbidden: { status: 403, body: 'not your zone' },
      throttled: { status: 429, body: 'slow down', headers: { 'retry-after': '120' } },
    },
    unknownZone: 'service-refused',
    secrets: [PASSWORD, TOKEN, ENCODED, 'wrong-password'],
    serve: (dns, faults) =>
      createHttpreq({ dns, faults, ...(auth ? { auth: { username: 'acme', password: PASSWORD } } : {}) }),
    solver: (url, context, isStranger) => {
      const parsed = v.parse(webhook.settings, { url: `${url}/?token=${TOKEN}` })
      const password = secret(isStranger ? 'wrong-password' : PASSWORD)
      return webhook.create({ ...parsed, ...(auth ? { username: 'acme', password } : {}) }, context)
    },
  })

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
