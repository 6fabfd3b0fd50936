import { describe, expect, it } from 'vitest'
import { NAME, open, PROJECT, TEMPORARY, txt } from '../support/sandbox-huawei-dns.ts'

describe('gateway', () => {
  it.each([
    ['a wrong secret', { key: { accessKey: 'AK1', secretKey: 'wrong' } }, 401, 'APIGW.0301'],
    ['an unknown key', { key: { accessKey: 'AK9', secretKey: 'SK1' } }, 401, 'APIGW.0301'],
    ['a temporary key without its token', { key: { accessKey: 'AK2', secretKey: 'SK2' } }, 401, 'APIGW.0301'],
    ['an old date', { at: new Date(Date.now() - 16 * 60_000) }, 401, 'APIGW.0303'],
    ['a foreign project', { headers: { 'x-project-id': 'f'.repeat(32) } }, 403, 'APIGW.0310'],
  ])('refuses %s', async (_what, extra, status, code) => {
    const { call, zone, inDns } = await open()
    const reply = await call('POST', zone, txt('v'), extra)
    expect(reply.status).toBe(status)
    expect(reply.body).toMatchObject({ error_code: code, error_msg: expect.any(String) })
    expect(reply.headers.get('x-request-id')).toMatch(/^[0-9a-f]{32}$/)
    expect(await inDns()).toEqual([])
  })

  it('accepts a temporary key with its token and the own project', async () => {
    const { call } = await open()
    const headers = { 'x-project-id': PROJECT }
    const reply = await call('GET', '/v2/zones', undefined, { key: TEMPORARY, headers })
    expect(reply.status).toBe(200)
  })

  it('refuses unsigned calls and unknown paths', async () => {
    const { server, call } = await open()
    expect((await fetch(`${server.url}/v2/zones`)).status).toBe(401)
    const unknown = await call('GET', '/v2/nothing')
    expect(unknown.status).toBe(404)
    expect(unknown.body).toMatchObject({ error_code: 'APIGW.0101' })
  })
})

describe('refusals', () => {
  it.each([
    ['no quotes', { ...txt(), records: ['bare'] }, 'DNS.0308'],
    ['an open quote', { ...txt(), records: ['"open'] }, 'DNS.0308'],
    ['a string over 255 characters', txt('x'.repeat(256)), 'DNS.0308'],
    ['no records', txt(), 'DNS.0308'],
    ['the same record twice', txt('a', 'a'), 'DNS.0308'],
    ['a record that is no address', { ...txt(), type: 'A', records: ['1.2.3'] }, 'DNS.0308'],
    ['ttl 0', { ...txt('v'), ttl: 0 }, 'DNS.0303'],
    ['ttl too large', { ...txt('v'), ttl: 2_147_483_648 }, 'DNS.0303'],
    ['ttl as text', { ...txt('v'), ttl: '60' }, 'DNS.0303'],
    ['no final dot', { ...txt('v'), name: '_acme-challenge.example.com' }, 'DNS.0304'],
    ['a name outside the zone', { ...txt('v'), name: '_acme-challenge.other.test.' }, 'DNS.0304'],
    ['an empty label', { ...txt('v'), name: 'a..example.com.' }, 'DNS.0304'],
    ['an unknown type', { ...txt('v'), type: 'LOC' }, 'DNS.0307'],
    ['a long description', { ...txt('v'), description: 'x'.repeat(256) }, 'DNS.0002'],
    ['no JSON', '{', 'DNS.0002'],
  ])('of a create with %s', async (_what, body, code) => {
    const { call, zone, inDns } = await open()
    const reply = await call('POST', zone, body)
    expect(reply.status).toBe(400)
    expect(reply.body).toEqual({ code, message: expect.any(String) })
    expect(await inDns()).toEqual([])
  })

  it('of unknown zones and record sets', async () => {
    const { call, zone } = await open()
    const nowhere = `/v2/zones/${'0'.repeat(32)}/recordsets`
    expect(await call('POST', nowhere, txt('v'))).toMatchObject({ status: 404, body: { code: 'DNS.0302' } })
    expect(await call('GET', nowhere)).toMatchObject({ status: 404, body: { code: 'DNS.0302' } })
    for (const method of ['GET', 'PUT', 'DELETE']) {
      const reply = await call(method, `${zone}/nobody`, method === 'PUT' ? txt('v') : undefined)
      expect(reply).toMatchObject({ status: 404, body: { code: 'DNS.0313' } })
    }
  })

  it('of a change of name or type, and of deleting what a zone needs', async () => {
    const { call, zone } = await open()
    const { body } = await call('POST', zone, txt('v'))
    const one = `${zone}/${body.id}`
    expect((await call('PUT', one, { ...txt('v'), name: `x.${NAME}` })).body.code).toBe('DNS.0304')
    const other = { ...txt(), type: 'A', records: ['192.0.2.1'] }
    expect((await call('PUT', one, other)).body.code).toBe('DNS.0307')
    const soa = await call('GET', zone, undefined, { query: { type: 'SOA' } })
    expect((await call('DELETE', `${zone}/${soa.body.recordsets[0]?.id}`)).body.code).toBe('DNS.0317')
  })

  it('of TXT beside a CNAME', async () => {
    const { call, dns, zone } = await open()
    dns.zones.set({ name: NAME, type: 'CNAME', values: ['x.other.test'] })
    expect(await call('POST', zone, txt('v'))).toMatchObject({ status: 400, body: { code: 'DNS.0016' } })
  })

  it('of one record set too many', async () => {
    const { call, zone, inDns } = await open({ switches: { recordSetQuota: 4 } })
    expect((await call('POST', zone, { ...txt('v'), name: 'a.example.com.' })).status).toBe(202)
    expect(await call('POST', zone, txt('v'))).toMatchObject({ status: 403, body: { code: 'DNS.0403' } })
    expect(await inDns()).toEqual([])
  })

  it('by a fault, e.g. throttling, which the service reports as 403', async () => {
    const { call, faults, zone, inDns } = await open()
    const body = JSON.stringify({ code: 'DNS.0014', message: 'Request forbidden by flow control.' })
    faults.add({ operations: ['huaweidns.CreateRecordSet'], status: 403, body })
    expect(await call('POST', zone, txt('v'))).toMatchObject({ status: 403, body: { code: 'DNS.0014' } })
    expect(await inDns()).toEqual([])
    expect((await call('POST', zone, txt('v'))).status).toBe(202)
    expect(await inDns()).toEqual(['v'])
  })
})
