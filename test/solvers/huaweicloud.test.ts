import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { secret } from '../../lib/base/secret.ts'
import type { Http } from '../../lib/http/http.ts'
import huaweicloud from '../../lib/solvers/huaweicloud.ts'
import { zoneIdOf } from '../../sandbox/dns/huawei-recordsets.ts'
import { createHuaweiDns, type HuaweiDnsOptions } from '../../sandbox/dns/huaweicloud.ts'
import { solverContract } from '../contract/solver.ts'
import { createVendorRig } from './vendor-rig.ts'

const NAME = '_acme-challenge.example.com.'
const PROJECT = '0123456789abcdef0123456789abcdef'
const ACCESS_KEY = 'HUAWEIACCESSKEY01'
const SECRET_KEY = 'huawei-secret-key-1'
const WRONG = 'wrong-secret-key'
const CREATE = 'CreateRecordSet'
const UPDATE = 'UpdateRecordSet'
const REMOVE = 'DeleteRecordSet'
const LIST = 'ListRecordSets'
const on = (operation: string): readonly string[] => [`huaweidns.${operation}`]

const make = (switches: HuaweiDnsOptions['switches'] = {}, settings: object = {}) =>
  createVendorRig({
    service: 'huaweidns',
    operations: ['ListZones', LIST, CREATE, UPDATE, REMOVE],
    writes: [CREATE, UPDATE],
    removals: [UPDATE, REMOVE],
    answers: {
      forbidden: { status: 403, body: '{"code":"DNS.0030","message":"Policy does not allow it."}' },
      throttled: { status: 403, body: '{"code":"DNS.0014","message":"Too many requests."}' },
    },
    secrets: [SECRET_KEY, WRONG],
    serve: (dns, faults, { now }) => {
      const keys = new Map([[ACCESS_KEY, { secretKey: SECRET_KEY }]])
      return createHuaweiDns({ dns, faults, keys, projectId: PROJECT, switches, now })
    },
    solver: (endpoint, context, isStranger) => {
      const secretKey = secret(isStranger ? WRONG : SECRET_KEY)
      const keys = { accessKey: secret(ACCESS_KEY), secretKey, securityToken: null }
      const parsed = v.parse(huaweicloud.settings, { credentials: 'cn', endpoint, ...settings })
      return huaweicloud.create(parsed, { ...context, huaweiKeys: async () => keys })
    },
  })

solverContract('huaweicloud', make)

describe('huaweicloud', () => {
  it('proves the zone with reads alone, and looks no further than it must', async () => {
    const { solver, run, made, faults } = await make()
    const zone = await solver.prepare('_acme-challenge.a.sub.example.com.', run())
    expect(zone).toEqual({ name: 'sub.example.com.', nameServers: ['ns1.sub.example.com.'] })
    expect(made()).toEqual(['ListZones', 'ListZones', 'ListZones', 'ListRecordSets'])
    expect(faults.calls.at(-2)?.path).toContain('name=sub.example.com&search_mode=equal')
    await expect(solver.prepare('_acme-challenge.elsewhere.test.', run())).rejects.toMatchObject({
      code: 'solver-zone-missing',
    })
  })

  it('creates, merges, reduces and deletes one record set', async () => {
    const { solver, run, bodies, dns } = await make({}, { ttl: 60 })
    await solver.present(NAME, 'a', run())
    await solver.present(NAME, 'b', run())
    await solver.cleanUp(NAME, 'a', run())
    await solver.cleanUp(NAME, 'b', run())
    const common = { name: NAME, type: 'TXT', ttl: 60, description: 'ACME challenge' }
    expect(bodies(CREATE)).toEqual([{ ...common, records: ['"a"'] }])
    expect(bodies(UPDATE)).toEqual([
      { ...common, records: ['"a"', '"b"'] },
      { ...common, records: ['"b"'] },
    ])
    expect(dns.count({ type: 'TXT' })).toBe(0)
  })

  it('leaves the lifetime of a record set that others made', async () => {
    const { solver, run, bodies, dns } = await make()
    dns.zones.set({ name: NAME, type: 'TXT', values: ['theirs'], ttl: 7 })
    await solver.present(NAME, 'ours', run())
    expect(bodies(UPDATE)).toEqual([{ name: NAME, type: 'TXT', ttl: 7, records: ['"theirs"', '"ours"'] }])
  })

  it('reads every page and compares the names itself', async () => {
    const { solver, run, inDns, dns, faults } = await make()
    // A service that does not know search_mode: the answer holds names that only contain the wanted one.
    for (const name of ['my-example.com', 'example.com']) {
      const id = zoneIdOf({ name, ns: [] })
      const body = JSON.stringify({ zones: [{ id, name: `${name}.` }], metadata: { total_count: 2 } })
      faults.add({ operations: on('ListZones'), skip: 1, status: 200, body })
    }
    dns.zones.add(`a${NAME}`, 'TXT', 'another name')
    await solver.present(NAME, 'v', run())
    expect(await inDns(NAME)).toEqual(['v'])
    const offsets = faults.calls.map(({ path }) => /offset=(\d+)/.exec(path)?.[1])
    expect(offsets.slice(0, 4)).toEqual(['0', '0', '1', '0'])
  })

  it('waits until a change is carried out', async () => {
    const { solver, run, inDns, clock } = await make({ pendingMs: 5_000 })
    await solver.present(NAME, 'a', run())
    expect(await inDns(NAME)).toEqual(['a'])
    expect(clock.waits).toEqual([2_000, 2_000, 2_000])
    await solver.cleanUp(NAME, 'a', run())
    expect(await inDns(NAME)).toEqual([])
  })

  it('gives up on a change that is never carried out', async () => {
    const { solver, run } = await make({ pendingMs: 3_600_000 })
    const error = await solver.present(NAME, 'a', run()).catch(thrown => thrown as Error)
    expect(error).toMatchObject({ code: 'unavailable' })
    expect(error?.message).toBe(
      `solver dns (huaweicloud): TXT record set ${NAME}: after 2m it is still PENDING_CREATE`,
    )
  })

  it('waits no longer than the run has', async () => {
    const { solver, run, clock } = await make({ pendingMs: 60_000 })
    const deadline = clock.now() + 5_000
    await expect(solver.present(NAME, 'a', run({ deadline }))).rejects.toMatchObject({ code: 'out-of-time' })
    expect(clock.now()).toBeLessThan(deadline)
  })

  it('waits for the change of another writer before its own', async () => {
    const { solver, another, run, inDns } = await make({ pendingMs: 3_000 })
    await Promise.all([solver.present(NAME, 'a', run()), another().present(NAME, 'b', run())])
    expect(await inDns(NAME)).toEqual(['a', 'b'])
  })

  it.each(['DNS.0314', 'DNS.0209', 'DNS.0021'])('waits and tries again on %s', async code => {
    const { solver, run, inDns, faults, clock, calls } = await make()
    const body = JSON.stringify({ code, message: 'not now' })
    faults.add({ operations: on(CREATE), status: code === 'DNS.0021' ? 409 : 400, body, times: 2 })
    await solver.present(NAME, 'v', run())
    expect(await inDns(NAME)).toEqual(['v'])
    expect(calls(CREATE)).toHaveLength(3)
    expect(clock.waits).toEqual([2_000, 2_000])
  })

  it('merges with a record set that another writer created in between', async () => {
    const { solver, run, inDns, faults, dns, calls } = await make()
    faults.add({ operations: on(CREATE), delayMs: 200 })
    const presented = solver.present(NAME, 'ours', run())
    await expect.poll(() => calls(CREATE).length).toBe(1)
    dns.zones.add(NAME, 'TXT', 'theirs')
    await presented
    expect(await inDns(NAME)).toEqual(['ours', 'theirs'])
    expect(calls(UPDATE)).toHaveLength(1)
  })

  it('writes again what a concurrent writer overwrote', async () => {
    const { solver, run, inDns, faults, dns, calls } = await make()
    faults.add({ operations: on(LIST), skip: 1, delayMs: 200 })
    const presented = solver.present(NAME, 'ours', run())
    await expect.poll(() => calls(LIST).length).toBe(2)
    dns.zones.set({ name: NAME, type: 'TXT', values: ['theirs'] })
    await presented
    expect(await inDns(NAME)).toEqual(['ours', 'theirs'])
    expect([calls(CREATE).length, calls(UPDATE).length]).toEqual([1, 1])
  })

  it('does not write again because of one stale reading', async () => {
    const { solver, run, inDns, faults, clock, calls } = await make()
    const stale = JSON.stringify({ recordsets: [], metadata: { total_count: 0 } })
    faults.add({ operations: on(LIST), skip: 1, status: 200, body: stale })
    await solver.present(NAME, 'v', run())
    expect(await inDns(NAME)).toEqual(['v'])
    expect(calls(CREATE)).toHaveLength(1)
    expect(clock.waits).toEqual([2_000])
  })

  it('never gets in its own way, not even through another solver of the settings', async () => {
    const { solver, another, run, inDns, faults } = await make()
    const values = ['a', 'b', 'c', 'd']
    const other = another()
    await Promise.all(values.map((value, at) => (at % 2 ? solver : other).present(NAME, value, run())))
    expect(await inDns(NAME)).toEqual(values)
    expect(faults.calls.filter(({ status }) => status === null || status >= 400)).toEqual([])
  })

  it('succeeds when the record set to reduce is gone meanwhile', async () => {
    const { solver, run, inDns, faults, dns, calls } = await make()
    await solver.present(NAME, 'ours', run())
    faults.add({ operations: on(REMOVE), delayMs: 200 })
    const removed = solver.cleanUp(NAME, 'ours', run())
    await expect.poll(() => calls(REMOVE).length).toBe(1)
    dns.zones.set({ name: NAME, type: 'TXT', values: [] })
    await removed
    expect(await inDns(NAME)).toEqual([])
    expect(calls(UPDATE)).toHaveLength(0)
  })

  it('writes a value of more than 255 characters in several strings', async () => {
    const { solver, run, bodies } = await make()
    await solver.present(NAME, `${'x'.repeat(254)}"\\${'y'.repeat(300)}`, run())
    expect(bodies(CREATE)).toMatchObject([
      { records: [`"${'x'.repeat(254)}\\"" "\\\\${'y'.repeat(254)}" "${'y'.repeat(46)}"`] },
    ])
  })

  it('says that the quota is used up', async () => {
    const { solver, run } = await make({ recordSetQuota: 3 })
    await expect(solver.present(NAME, 'v', run())).rejects.toMatchObject({
      code: 'service-refused',
      message: expect.stringMatching(
        /^solver dns \(huaweicloud\): CreateRecordSet answered HTTP 403 DNS\.0403/,
      ),
    })
  })

  it('says that the name is an alias', async () => {
    const { solver, run, dns } = await make()
    dns.zones.set({ name: NAME, type: 'CNAME', values: ['x.my-example.com'] })
    await expect(solver.present(NAME, 'v', run())).rejects.toMatchObject({ code: 'service-refused' })
  })

  it('refuses a record set that is not active', async () => {
    const { solver, run, faults } = await make()
    const sets = (status: string) =>
      JSON.stringify({
        recordsets: [{ id: 'i', name: NAME, type: 'TXT', status, ttl: 1, records: ['"v"'] }],
        metadata: { total_count: 1 },
      })
    faults.add({ operations: on(LIST), status: 200, body: sets('DISABLE') })
    await expect(solver.present(NAME, 'v', run())).rejects.toMatchObject({
      code: 'unavailable',
      message: `solver dns (huaweicloud): TXT record set ${NAME} is DISABLE, not ACTIVE`,
    })
  })

  it('reports an answer of an unknown shape', async () => {
    const { solver, run, faults } = await make()
    faults.add({ operations: on('ListZones'), status: 200, body: '{"zones":"none"}' })
    await expect(solver.present(NAME, 'v', run())).rejects.toMatchObject({ code: 'unavailable' })
  })

  it('leaves the queue of a name when its run is over', async () => {
    const { solver, run, inDns, faults, calls } = await make()
    const stop = new AbortController()
    faults.add({ operations: on(CREATE), delayMs: 300 })
    const first = solver.present(NAME, 'first', run())
    await expect.poll(() => calls(CREATE).length).toBe(1)
    const second = solver.present(NAME, 'second', run({ signal: stop.signal }))
    stop.abort()
    await expect(second).rejects.toMatchObject({ code: 'out-of-time' })
    expect(faults.calls.at(-1)?.status).toBeNull()
    await first
    expect(await inDns(NAME)).toEqual(['first'])
  })

  it('names the project it is told to', async () => {
    const { solver, run } = await make({}, { projectId: 'ffffffffffffffffffffffffffffffff' })
    await expect(solver.prepare(NAME, run())).rejects.toMatchObject({ code: 'forbidden' })
  })

  it.each([
    [{}, 'https://dns.myhuaweicloud.com/v2/zones'],
    [{ region: 'eu-west-101' }, 'https://dns.eu-west-101.myhuaweicloud.com/v2/zones'],
  ])('calls the right host with %j', async (given, url) => {
    const { context, run } = await make()
    const asked: string[] = []
    const http: Http = {
      request: async request => {
        asked.push(request.url)
        return { status: 401, headers: {}, text: '' }
      },
      close: async () => {},
    }
    const keys = { accessKey: secret('a'), secretKey: secret('s'), securityToken: null }
    const settings = v.parse(huaweicloud.settings, { credentials: 'cn', ...given })
    const solver = huaweicloud.create(settings, {
      ...context,
      http: () => http,
      huaweiKeys: async () => keys,
    })
    await expect(solver.prepare(NAME, run())).rejects.toMatchObject({ code: 'unauthorized' })
    expect(asked[0]?.split('?')[0]).toBe(url)
  })
})
