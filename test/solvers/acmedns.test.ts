/**
 * acme-dns keeps the last two values of one name, and can neither list nor remove them. So the shared suite runs
 * without what writes several names, keeps values of others, or removes; what comes instead is here.
 */
import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { secret } from '../../lib/base/secret.ts'
import acmedns from '../../lib/solvers/acmedns.ts'
import { createAcmeDns } from '../../sandbox/dns/vendors/acmedns.ts'
import { solverContract } from '../contract/solver.ts'
import { createVendorRig } from './vendor-rig.ts'

const PASSWORD = 'acme-dns-password-1'
const WRONG = 'acme-dns-password-2'
const SUBDOMAIN = 'd420c923-bbd7-4056-ab64-c3ca54c9b3cf'
const HOME = `${SUBDOMAIN}.my-example.com`
const FQDN = `${HOME}.`
const account = { username: 'eabcdb41-d89f-4580-826f-3e62e9755ef2', subdomain: SUBDOMAIN, fulldomain: HOME }

/** A value as ACME makes them: 43 characters of base64url. */
const value = (letter: string): string => letter.repeat(43)

const make = async () => ({
  ...(await createVendorRig({
    service: 'acmedns',
    operations: ['Update', 'Health'],
    writes: ['Update'],
    removals: [],
    answers: { forbidden: {}, throttled: { status: 429, body: '{}' } },
    secrets: [PASSWORD, WRONG],
    serve: (dns, faults) => createAcmeDns({ dns, faults, accounts: [{ ...account, password: PASSWORD }] }),
    solver: (endpoint, context, isStranger) => {
      const parsed = v.parse(acmedns.settings, { endpoint: `${endpoint}/`, ...account, password: 'env:P' })
      return acmedns.create({ ...parsed, password: secret(isStranger ? WRONG : PASSWORD) }, context)
    },
  })),
  only: FQDN,
  textFor: (text: string) => text.padEnd(43, '-'),
})

solverContract('acmedns', make, { shares: false, removes: false })

describe('acmedns', () => {
  it('writes a value, as the server wants it', async () => {
    const { solver, run, inDns, calls, made } = await make()
    await solver.prepare(FQDN, run())
    await solver.present(FQDN, value('a'), run())
    expect(await inDns(HOME)).toEqual([value('a')])
    expect(made()).toEqual(['Health', 'Update'])
    expect(JSON.parse(calls('Update')[0]?.body ?? '')).toEqual({ subdomain: SUBDOMAIN, txt: value('a') })
  })

  it('holds the values of a wildcard and its apex side by side, whatever the order', async () => {
    const { solver, run, inDns } = await make()
    for (const letter of ['a', 'b', 'b', 'a', 'b']) await solver.present(FQDN, value(letter), run())
    expect(await inDns(HOME)).toEqual([value('a'), value('b')])
    await Promise.all(['c', 'd'].map(letter => solver.present(FQDN, value(letter), run())))
    expect(await inDns(HOME)).toEqual([value('c'), value('d')])
  })

  it('cleans up without a call', async () => {
    const { solver, run, inDns, made } = await make()
    await solver.present(FQDN, value('a'), run())
    await solver.cleanUp(FQDN, value('a'), run())
    expect(made()).toEqual(['Update'])
    expect(await inDns(HOME)).toEqual([value('a')])
  })

  it.each(['before', 'after'] as const)(
    'loses no value when a connection breaks %s the effect',
    async drop => {
      const { solver, run, inDns, faults } = await make()
      await solver.present(FQDN, value('a'), run())
      faults.add({ operations: ['acmedns.Update'], drop })
      await solver.present(FQDN, value('b'), run())
      expect(await inDns(HOME)).toEqual([value('a'), value('b')])
    },
  )

  it('gets over passing failures, and gives up in the end', async () => {
    const { solver, run, inDns, faults, calls } = await make()
    faults.add({ operations: ['acmedns.*'], status: 502, body: '<html>' })
    await solver.present(FQDN, value('a'), run())
    expect(await inDns(HOME)).toEqual([value('a')])
    faults.clearCalls()
    faults.add({ operations: ['acmedns.*'], status: 503, body: 'busy', times: 9 })
    await expect(solver.present(FQDN, value('b'), run())).rejects.toMatchObject({
      code: 'unavailable',
      message:
        'solver dns (acmedns): POST /update answered HTTP 503: busy; it is unknown whether it took effect',
    })
    expect(calls('Update')).toHaveLength(3)
  })

  it('says which CNAME record is missing, before any call', async () => {
    const { solver, run, made } = await make()
    const name = '_acme-challenge.example.com.'
    for (const attempt of [() => solver.prepare(name, run()), () => solver.present(name, value('a'), run())])
      await expect(attempt()).rejects.toMatchObject({
        code: 'solver-zone-missing',
        message: `solver dns (acmedns): ${name} is not an alias of ${FQDN}`,
        hint: `Make this record where the domain is hosted: ${name} CNAME ${FQDN}`,
      })
    expect(made()).toEqual([])
  })

  it('says what wrong credentials may come from', async () => {
    const { stranger, run } = await make()
    await expect(stranger.present(FQDN, value('a'), run())).rejects.toMatchObject({
      code: 'unauthorized',
      hint: expect.stringContaining('allowfrom'),
    })
  })

  it('says that a value is not one of ACME', async () => {
    const { solver, run } = await make()
    await expect(solver.present(FQDN, 'short', run())).rejects.toMatchObject({
      code: 'service-refused',
      message: 'solver dns (acmedns): POST /update answered HTTP 400 bad_txt',
      hint: expect.stringContaining('43'),
    })
  })

  it('prepares with a server that has no health check, not with one that is down', async () => {
    const { solver, run, faults, stop } = await make()
    faults.add({ operations: ['acmedns.Health'], status: 404, body: '404 page not found' })
    await solver.prepare(FQDN, run())
    await stop()
    await expect(solver.prepare(FQDN, run())).rejects.toMatchObject({ code: 'unreachable' })
    await expect(solver.present(FQDN, value('a'), run())).rejects.toMatchObject({ code: 'unreachable' })
  })
})
