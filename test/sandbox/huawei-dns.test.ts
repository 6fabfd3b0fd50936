import { describe, expect, it } from 'vitest'
import { signHuawei } from '../support/huawei-sign.ts'
import { NAME, names, open, PROJECT, txt } from '../support/sandbox-huawei-dns.ts'

describe('signHuawei', () => {
  const at = new Date('2025-12-01T08:00:00Z')
  const key = { accessKey: 'AKEXAMPLE0000000001', secretKey: 'SKexample/Secret+Key0000000000000000001' }

  it('gives the published signature of a query with characters to escape', () => {
    const query = { name: 'example.com.', search_mode: 'equal', type: 'public', tags: 'a,b|c d*~(x)' }
    const url = 'https://dns.cn-north-4.myhuaweicloud.com/v2/zones'
    const signed = signHuawei({ method: 'GET', url, query, at }, key)
    expect(signed.url).toBe(
      `${url}?name=example.com.&search_mode=equal&tags=a%2Cb%7Cc%20d%2A~%28x%29&type=public`,
    )
    expect(signed.signature).toBe('5740cb765a925faa7a01487c49e65d9dc1cf0a75c4b09c7711c5dc26c90b7a38')
  })

  it('gives the published signature of a path with colons and a body', () => {
    const path = '/v2/0123456789abcdef0123456789abcdef/notifications/topics/urn:smn:cn-north-4:'
    const url = `https://smn.cn-north-4.myhuaweicloud.com${path}0123456789abcdef0123456789abcdef:iotda-cert/publish`
    const headers = { 'content-type': 'application/json' }
    const body = '{"subject":"hi","message":"hello"}'
    const signed = signHuawei({ method: 'POST', url, headers, body, at }, key)
    expect(signed.signature).toBe('197a535a3419dc3e0ce75a42c699bf57f404f68e247601b8c781bab5afd4d905')
    expect(signed.headers.authorization).toContain('SignedHeaders=content-type;host;x-sdk-date,')
  })
})

describe('ListZones', () => {
  it('matches the name loosely unless told otherwise', async () => {
    const { call, faults } = await open()
    const list = async (query: Record<string, string>) =>
      names((await call('GET', '/v2/zones', undefined, { query })).body.zones)
    expect(await list({ type: 'public', name: 'example.com' })).toEqual([
      'example.com.',
      'example.com.cn.',
      'my-example.com.',
    ])
    expect(await list({ name: 'EXAMPLE.com', search_mode: 'equal' })).toEqual(['example.com.'])
    expect(await list({ name: 'example.com.', search_mode: 'equal' })).toEqual(['example.com.'])
    expect(await list({ name: 'sub.example.com.', search_mode: 'equal' })).toEqual([])
    expect(await list({ type: 'private' })).toEqual([])
    expect(new Set(faults.calls.map(logged => logged.operation))).toEqual(new Set(['huaweidns.ListZones']))
  })

  it('describes a zone', async () => {
    const { call } = await open()
    const { body } = await call('GET', '/v2/zones', undefined, { query: { name: 'other.test.' } })
    expect(body.zones).toEqual([
      expect.objectContaining({
        id: expect.stringMatching(/^[0-9a-f]{32}$/),
        name: 'other.test.',
        zone_type: 'public',
        status: 'ACTIVE',
        record_num: 3,
        project_id: PROJECT,
        created_at: expect.any(String),
      }),
    ])
  })

  it('gives pages linked by next', async () => {
    const { call, server } = await open({ switches: { pageSize: 3 } })
    const first = await call('GET', '/v2/zones', undefined, { query: { type: 'public', limit: '500' } })
    expect(names(first.body.zones)).toEqual(['example.com.', 'example.com.cn.', 'my-example.com.'])
    expect(first.body.metadata.total_count).toBe(4)
    const next = new URL(first.body.links.next ?? '')
    expect(next.origin).toBe(server.url)
    const query = Object.fromEntries(next.searchParams)
    expect(query).toEqual({ type: 'public', limit: '500', marker: first.body.zones[2]?.id })
    const second = await call('GET', next.pathname, undefined, { query })
    expect(names(second.body.zones)).toEqual(['other.test.'])
    expect(second.body.links.next).toBeUndefined()
    const offset = await call('GET', '/v2/zones', undefined, { query: { offset: '1', limit: '2' } })
    expect(names(offset.body.zones)).toEqual(['example.com.cn.', 'my-example.com.'])
    expect(offset.body.links.next).toMatch(/\?limit=2&marker=[0-9a-f]{32}$/)
  })

  it.each([
    [{ limit: '501' }, 'DNS.0006'],
    [{ marker: 'nobody' }, 'DNS.0007'],
    [{ offset: '-1' }, 'DNS.0017'],
  ])('refuses %j', async (query, code) => {
    const { call } = await open()
    const reply = await call('GET', '/v2/zones', undefined, { query })
    expect([reply.status, reply.body.code]).toEqual([400, code])
  })
})

describe('record sets', () => {
  it('live from POST over PUT to DELETE, pending in the answer and active at the next look', async () => {
    const { call, zone, inDns, faults } = await open()
    const created = await call('POST', zone, { ...txt('a'), name: NAME.toUpperCase(), description: 'd' })
    expect(created.status).toBe(202)
    expect(created.body).toMatchObject({
      ...txt('a'),
      status: 'PENDING_CREATE',
      description: 'd',
      zone_name: 'example.com.',
      default: false,
      project_id: PROJECT,
    })
    expect(await inDns()).toEqual(['a'])
    const one = `${zone}/${created.body.id}`
    expect((await call('GET', one)).body.status).toBe('ACTIVE')
    const updated = await call('PUT', one, { ...txt('a', 'b'), ttl: 120 })
    expect([updated.status, updated.body.status, updated.body.ttl]).toEqual([202, 'PENDING_UPDATE', 120])
    expect(await inDns()).toEqual(['a', 'b'])
    expect((await call('GET', one)).body).toMatchObject({ ...txt('a', 'b'), ttl: 120, status: 'ACTIVE' })
    const deleted = await call('DELETE', one)
    expect([deleted.status, deleted.body.status]).toEqual([202, 'PENDING_DELETE'])
    expect(deleted.body.records).toEqual(['"a"', '"b"'])
    expect(await inDns()).toEqual([])
    expect(await call('GET', one)).toMatchObject({ status: 404, body: { code: 'DNS.0313' } })
    expect(faults.calls.map(logged => logged.operation)).toEqual(
      ['Create', 'Show', 'Update', 'Show', 'Delete', 'Show'].map(verb => `huaweidns.${verb}RecordSet`),
    )
  })

  it('keep by PUT what it leaves out: name, type and ttl', async () => {
    const { call, zone } = await open()
    const made = await call('POST', zone, { name: NAME, type: 'TXT', ttl: 60, records: ['"a"'] })
    const changed = await call('PUT', `${zone}/${made.body.id}`, { records: ['"b"'] })
    expect(changed).toMatchObject({
      status: 202,
      body: { name: NAME, type: 'TXT', ttl: 60, records: ['"b"'] },
    })
  })

  it('stay pending, invisible and unchangeable for pendingMs', async () => {
    let clock = Date.now()
    const { call, zone, inDns } = await open({ switches: { pendingMs: 5_000 } }, () => clock)
    const { body } = await call('POST', zone, txt('a'))
    const one = `${zone}/${body.id}`
    expect((await call('GET', one)).body.status).toBe('PENDING_CREATE')
    expect(await inDns()).toEqual([])
    for (const method of ['PUT', 'DELETE']) {
      const early = await call(method, one, method === 'PUT' ? txt('b') : undefined)
      expect([early.status, early.body.code]).toEqual([400, 'DNS.0314'])
    }
    clock += 5_000
    expect((await call('GET', one)).body.status).toBe('ACTIVE')
    expect(await inDns()).toEqual(['a'])
    await call('PUT', one, txt('b'))
    expect((await call('GET', one)).body.status).toBe('PENDING_UPDATE')
    expect(await inDns()).toEqual(['a'])
    clock += 5_000
    expect(await inDns()).toEqual(['b'])
    await call('DELETE', one)
    expect((await call('GET', one)).body.status).toBe('PENDING_DELETE')
    expect((await call('POST', zone, txt('c'))).body.code).toBe('DNS.0312')
    expect(await inDns()).toEqual(['b'])
    clock += 5_000
    expect((await call('GET', one)).status).toBe(404)
    expect(await inDns()).toEqual([])
    const again = await call('POST', zone, txt('c'))
    expect([again.status, again.body.id === body.id]).toEqual([202, false])
  })

  it('hold the values others put there; POST cannot add to them, PUT replaces all', async () => {
    const { call, dns, zone, inDns } = await open()
    dns.zones.add(NAME, 'TXT', 'foreign')
    const query = { name: NAME, type: 'TXT', search_mode: 'equal' }
    const { body } = await call('GET', zone, undefined, { query })
    expect(body.recordsets).toMatchObject([{ name: NAME, records: ['"foreign"'], status: 'ACTIVE' }])
    expect((await call('POST', zone, txt('own'))).body.code).toBe('DNS.0312')
    const one = `${zone}/${body.recordsets[0]?.id}`
    await call('PUT', one, txt('foreign', 'own'))
    expect(await inDns()).toEqual(['foreign', 'own'])
    dns.zones.add(NAME, 'TXT', 'later')
    expect((await call('GET', one)).body.records).toEqual(['"foreign"', '"own"', '"later"'])
    dns.zones.set({ name: NAME, type: 'TXT', values: [] })
    expect((await call('GET', one)).body.code).toBe('DNS.0313')
  })

  it('are listed loosely, by type and in pages', async () => {
    const { call, zone, server } = await open()
    for (const name of [NAME, `x.${NAME}`, `_acme-challenge.a.example.com.`])
      await call('POST', zone, { ...txt('v'), name })
    const list = async (query: Record<string, string>) => (await call('GET', zone, undefined, { query })).body
    expect(names((await list({ name: '_acme-challenge.example.com' })).recordsets)).toEqual([
      NAME,
      `x.${NAME}`,
    ])
    expect(names((await list({ name: NAME, search_mode: 'equal' })).recordsets)).toEqual([NAME])
    expect((await list({ type: 'TXT' })).metadata.total_count).toBe(3)
    const defaults = (await list({ name: 'example.com.', search_mode: 'equal' })).recordsets
    expect(defaults.map(set => [set.type, set.default, set.records])).toEqual([
      ['NS', true, ['ns1.example.com.']],
      ['SOA', true, ['ns1.example.com. hostmaster.example.com. (1 7200 900 1209600 300)']],
    ])
    const body = JSON.stringify({ pageSize: 2 })
    await fetch(`${server.url}/_sandbox/switches`, { method: 'POST', body })
    const first = await list({ type: 'TXT' })
    const marker = new URL(first.links.next ?? '').searchParams.get('marker') ?? ''
    const second = await list({ type: 'TXT', marker })
    expect([first.recordsets.length, second.recordsets.length, second.links.next]).toEqual([2, 1, undefined])
  })

  it('take TXT values of several strings, and other types', async () => {
    const { call, dns, zone, inDns } = await open()
    const records = [`"${'a'.repeat(255)}" "${'b'.repeat(45)}"`, '"say \\"hi\\""']
    const created = await call('POST', zone, { name: NAME, type: 'TXT', records })
    expect(created.body).toMatchObject({ records, ttl: 300 })
    expect(await inDns()).toEqual(['a'.repeat(255) + 'b'.repeat(45), 'say "hi"'])
    for (const [type, record] of [
      ['A', '192.0.2.7'],
      ['AAAA', '2001:db8::7'],
      ['CAA', '0 issue "ca.test"'],
    ]) {
      const reply = await call('POST', zone, { name: 'h.example.com.', type, records: [record] })
      expect(reply.body).toMatchObject({ type, records: [record], status: 'PENDING_CREATE' })
    }
    const alias = { name: 'c.example.com.', type: 'CNAME', records: ['H.example.com.'] }
    expect((await call('POST', zone, alias)).body.records).toEqual(['h.example.com.'])
    expect(dns.zones.get(dns.zones.list[0] as never, 'c.example.com', 'CNAME')?.values).toEqual([
      'h.example.com',
    ])
  })
})
