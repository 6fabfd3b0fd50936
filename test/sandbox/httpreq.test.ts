import { describe, expect, it } from 'vitest'
import { createHttpreq, type HttpreqOptions } from '../../sandbox/dns/httpreq.ts'
import { createFaults } from '../../sandbox/kit/faults.ts'
import { cleanups } from '../support/cleanups.ts'
import { A, failure, resolverAt, start } from '../support/sandbox-dns.ts'

describe('httpreq', () => {
  const open = async (auth?: HttpreqOptions['auth']) => {
    const dns = await start()
    const faults = createFaults()
    const server = await createHttpreq({ dns, faults, ...(auth ? { auth } : {}) })
    cleanups.push(server.dispose)
    const post = (path: string, body: object, headers: Record<string, string> = {}) =>
      fetch(`${server.url}${path}`, { method: 'POST', body: JSON.stringify(body), headers })
    return { dns, faults, server, post }
  }
  const fqdn = 'x.acme.test.'

  it('presents values side by side and cleans up exactly the given one', async () => {
    const { dns, faults, post } = await open()
    const resolver = resolverAt(dns, A)
    for (const value of ['a', 'b', 'c']) expect((await post('/present', { fqdn, value })).status).toBe(200)
    expect(await resolver.resolveTxt('x.acme.test')).toEqual([['a'], ['b'], ['c']])
    expect((await post('/cleanup', { fqdn, value: 'b' })).status).toBe(200)
    expect((await post('/cleanup', { fqdn, value: 'b' })).status).toBe(200)
    expect(await resolver.resolveTxt('x.acme.test')).toEqual([['a'], ['c']])
    expect(faults.calls.map(call => call.operation)).toEqual([
      ...Array(3).fill('httpreq.Present'),
      ...Array(2).fill('httpreq.Cleanup'),
    ])
  })

  it.each([
    ['unknown zone', { fqdn: '_acme-challenge.foreign.invalid.', value: 'v' }, 404, /no zone/],
    ['name that is an alias', { fqdn: '_acme-challenge.example.com.', value: 'v' }, 409, /CNAME/],
    ['no final dot', { fqdn: 'x.acme.test', value: 'v' }, 400, /final dot/],
    ['no value', { fqdn }, 400, /value/],
  ])('refuses: %s', async (_why, body, status, text) => {
    const { post } = await open()
    const answer = await post('/present', body)
    expect(answer.status).toBe(status)
    expect(await answer.text()).toMatch(text)
  })

  it('asks for basic authentication when told to', async () => {
    const { dns, post } = await open({ username: 'u', password: 'p:w' })
    expect((await post('/present', { fqdn, value: 'v' })).status).toBe(401)
    const wrong = { authorization: `Basic ${btoa('u:wrong')}` }
    expect((await post('/present', { fqdn, value: 'v' }, wrong)).status).toBe(401)
    expect(await failure(resolverAt(dns, A).resolveTxt('x.acme.test'))).toBe('ENOTFOUND')
    const right = { authorization: `Basic ${btoa('u:p:w')}` }
    expect((await post('/present', { fqdn, value: 'v' }, right)).status).toBe(200)
    expect(await resolverAt(dns, A).resolveTxt('x.acme.test')).toEqual([['v']])
  })

  it('can be hit by faults, after the effect too', async () => {
    const { dns, faults, post } = await open()
    faults.add({ operations: ['httpreq.Present'], status: 503, after: true })
    expect((await post('/present', { fqdn, value: 'v' })).status).toBe(503)
    expect(await resolverAt(dns, A).resolveTxt('x.acme.test')).toEqual([['v']])
  })

  it('carries the switches of the DNS', async () => {
    const { dns, faults, post, server } = await open()
    const name = 'admin.example.com'
    const records = (action: string, values: string[]) =>
      post('/_sandbox/dns/records', { action, name, type: 'TXT', values })
    expect((await records('set', ['a', 'b'])).status).toBe(204)
    await records('add', ['c'])
    await records('remove', ['a'])
    expect(await resolverAt(dns, A).resolveTxt(name)).toEqual([['b'], ['c']])
    const listed = await (await fetch(`${server.url}/_sandbox/dns/records`)).json()
    expect(listed).toContainEqual(expect.objectContaining({ zone: 'acme.test' }))
    await post('/_sandbox/dns/nodes', { address: A, servfail: true })
    expect(await failure(resolverAt(dns, A).resolveTxt(name))).toBe('ESERVFAIL')
    const queries = await (await fetch(`${server.url}/_sandbox/dns/queries`)).json()
    expect(queries).toMatchObject([
      { address: A, name, type: 'TXT' },
      { address: A, name, type: 'TXT' },
    ])
    await fetch(`${server.url}/_sandbox/dns/queries`, { method: 'DELETE' })
    expect(dns.queries).toEqual([])
    expect(faults.calls).toEqual([])
  })
})
