import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { secret } from '../../lib/base/secret.ts'
import cloudflare from '../../lib/solvers/cloudflare.ts'
import { type CloudflareOptions, createCloudflare } from '../../sandbox/dns/vendors/cloudflare.ts'
import { solverContract } from '../contract/solver.ts'
import { recordServiceTests } from './record-service.ts'
import { createVendorRig } from './vendor-rig.ts'

const NAME = '_acme-challenge.example.com.'
const TOKEN = 'cloudflare-token-1'
const WRONG = 'cloudflare-token-2'

const make = (switches: Partial<CloudflareOptions> = {}, settings: object = {}) =>
  createVendorRig({
    service: 'cloudflare',
    operations: ['ListZones', 'ListDnsRecords', 'CreateDnsRecord', 'DeleteDnsRecord'],
    writes: ['CreateDnsRecord'],
    removals: ['DeleteDnsRecord'],
    answers: {
      unauthorizedStatus: 403,
      forbidden: {
        status: 403,
        body: '{"success":false,"errors":[{"code":9109,"message":"Unauthorized to access requested resource"}]}',
      },
      throttled: {
        status: 429,
        body: '{"success":false,"errors":[{"code":971,"message":"Please wait and consider throttling your request speed"}]}',
        headers: { 'retry-after': '120' },
      },
    },
    secrets: [TOKEN, WRONG],
    serve: (dns, faults) => createCloudflare({ dns, faults, token: TOKEN, ...switches }),
    solver: (url, context, isStranger) =>
      cloudflare.create(
        {
          ...v.parse(cloudflare.settings, { apiToken: 'env:T', endpoint: `${url}/client/v4`, ...settings }),
          apiToken: secret(isStranger ? WRONG : TOKEN),
        },
        context,
      ),
  })

solverContract('cloudflare', make)

const answer = (code: string, message = 'no') =>
  JSON.stringify({ success: false, errors: [{ code: Number(code), message }], messages: [], result: null })

recordServiceTests({
  driver: 'cloudflare',
  service: 'cloudflare',
  make,
  list: 'ListDnsRecords',
  add: 'CreateDnsRecord',
  remove: 'DeleteDnsRecord',
  answer,
  done: { added: { status: 400, code: '81058' }, removed: { status: 404, code: '81044' } },
  asked: 'ListZones',
  codes: [
    [400, '6003', 'Invalid request headers', 'unauthorized'],
    [401, '10000', 'Authentication error', 'unauthorized'],
    [403, '10000', 'Authentication error', 'forbidden'],
    [403, '9109', 'Unauthorized to access requested resource', 'forbidden'],
    [403, '10502', 'Too many authentication failures. Please try again later.', 'throttled'],
    [400, '1004', 'DNS Validation Error', 'service-refused'],
    [200, '7003', 'Could not route to that path', 'unavailable'],
  ],
  quota: {
    message: 'solver dns (cloudflare): CreateDnsRecord answered HTTP 400 81045: Record quota exceeded.',
    hint: 'plan',
  },
  knowsAliases: true,
})

describe('cloudflare', () => {
  it('proves the zone with reads alone', async () => {
    const { solver, run, faults } = await make()
    const zone = await solver.prepare('_acme-challenge.a.sub.example.com.', run())
    expect(zone).toEqual({ name: 'sub.example.com', nameServers: [] })
    expect(faults.calls.map(({ path }) => new URL(path, 'http://x').searchParams.get('name'))).toEqual([
      '_acme-challenge.a.sub.example.com',
      'a.sub.example.com',
      'sub.example.com',
    ])
  })

  it('writes one record for each value, and deletes exactly that', async () => {
    const { solver, run, calls, bodies, dns } = await make({}, { ttl: 60 })
    dns.zones.set({ name: NAME, type: 'TXT', values: ['theirs'], ttl: 60 })
    await solver.present(NAME, 'ours', run())
    const written = { type: 'TXT', name: '_acme-challenge.example.com', content: '"ours"', ttl: 60 }
    expect(bodies('CreateDnsRecord')).toEqual([{ ...written, comment: 'ACME challenge' }])
    await solver.cleanUp(NAME, 'ours', run())
    expect(calls('DeleteDnsRecord')).toHaveLength(1)
    expect(dns.zones.all(dns.zones.find(NAME) as never).filter(({ type }) => type === 'TXT')).toMatchObject([
      { values: ['v=spf1 -all'] },
      { values: ['theirs'] },
    ])
  })

  it('compares the names itself, should the service not know the filter', async () => {
    const { solver, run, faults, calls } = await make()
    const record = { id: 'i', type: 'TXT', name: 'other.example.com', content: '"ours"' }
    const body = JSON.stringify({ success: true, result: [record], result_info: { total_pages: 1 } })
    faults.add({ operations: ['cloudflare.ListDnsRecords'], status: 200, body })
    await solver.present(NAME, 'ours', run())
    expect(calls('CreateDnsRecord')).toHaveLength(1)
  })

  it('takes the active one of several zones of a name', async () => {
    const { solver, run, faults, calls } = await make()
    const zone = (id: string, status: string) => ({ id, name: 'example.com', status })
    const body = JSON.stringify({ success: true, result: [zone('old', 'moved'), zone('new', 'active')] })
    faults.add({ operations: ['cloudflare.ListZones'], skip: 1, status: 200, body })
    await expect(solver.present(NAME, 'v', run())).rejects.toMatchObject({ code: 'service-refused' })
    expect(calls('ListDnsRecords')[0]?.path).toContain('/zones/new/')
  })

  it('tells the name servers of a zone that is not active', async () => {
    const { solver, run, faults } = await make()
    const zone = { id: 'z', name: 'example.com', status: 'moved', name_servers: ['ada.ns.test'] }
    const body = JSON.stringify({
      success: true,
      errors: [],
      result: [{ ...zone, vanity_name_servers: null }],
    })
    faults.add({ operations: ['cloudflare.ListZones'], status: 200, body, times: 9 })
    expect(await solver.prepare(NAME, run())).toEqual({ name: 'example.com', nameServers: ['ada.ns.test'] })
  })

  it('shows no token that the service repeats', async () => {
    const { solver, run, faults } = await make()
    const body = answer('1004', `no such token: ${TOKEN}`)
    faults.add({ operations: ['cloudflare.ListZones'], status: 400, body })
    await expect(solver.prepare(NAME, run())).rejects.toThrow('no such token: [secret]')
  })

  it('says when the service wants the next call', async () => {
    const { solver, run, faults, clock } = await make()
    faults.add({ operations: ['cloudflare.ListZones'], status: 429, headers: { 'retry-after': '120' } })
    const retryAt = clock.now() + 120_000
    await expect(solver.prepare(NAME, run())).rejects.toMatchObject({ code: 'throttled', retryAt })
  })

  it('reports an answer of an unknown shape', async () => {
    const { solver, run, faults } = await make()
    faults.add({ operations: ['cloudflare.ListZones'], status: 200, body: '{"result":"none"}' })
    await expect(solver.prepare(NAME, run())).rejects.toMatchObject({ code: 'unavailable' })
  })
})
