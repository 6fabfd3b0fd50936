import * as v from 'valibot'
import { afterEach, describe, expect, it } from 'vitest'
import { secret } from '../../lib/base/secret.ts'
import route53 from '../../lib/solvers/route53.ts'
import { createRoute53, type Route53Options, zoneIdOf } from '../../sandbox/dns/vendors/route53.ts'
import { solverContract } from '../contract/solver.ts'
import { createVendorRig } from './vendor-rig.ts'

const NAME = '_acme-challenge.example.com.'
const ID = 'AKIAROUTE53EXAMPLE01'
const KEY = 'route53-secret-key-1'
const WRONG = 'route53-secret-key-2'
const CHANGE = 'route53.ChangeResourceRecordSets'

const answer = (code: string, message: string) =>
  `<?xml version="1.0"?><ErrorResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error><RequestId>r</RequestId></ErrorResponse>`

const make = (
  switches: Partial<Route53Options> = {},
  settings: object = {},
  keys: 'settings' | 'environment' = 'settings',
) =>
  createVendorRig({
    service: 'route53',
    operations: ['ListHostedZonesByName', 'ListResourceRecordSets', 'ChangeResourceRecordSets', 'GetChange'],
    writes: ['ChangeResourceRecordSets'],
    removals: ['ChangeResourceRecordSets'],
    answers: {
      unauthorizedStatus: 403,
      forbidden: { status: 403, body: answer('AccessDenied', 'not authorized to perform it') },
      throttled: {
        status: 400,
        body: answer('Throttling', 'Rate exceeded'),
        // Without a time the driver waits by itself, see below.
        headers: { 'retry-after': '120' },
      },
    },
    secrets: [KEY, WRONG],
    serve: (dns, faults, { now }) =>
      createRoute53({ dns, faults, key: { accessKeyId: ID, secretAccessKey: KEY }, now, ...switches }),
    solver: (endpoint, context, isStranger) => {
      const given = { accessKeyId: secret(ID), secretAccessKey: secret(isStranger ? WRONG : KEY) }
      const parsed = v.parse(route53.settings, { endpoint, ...settings })
      return route53.create({ ...parsed, ...(keys === 'settings' && given) }, context)
    },
  })

solverContract('route53', make)

describe('route53', () => {
  const bodies = (rig: Awaited<ReturnType<typeof make>>) =>
    rig.calls('ChangeResourceRecordSets').map(({ body }) => body.replaceAll('&quot;', '"'))

  it('proves the zone with reads alone', async () => {
    const { solver, run, made } = await make()
    const zone = await solver.prepare('_acme-challenge.a.sub.example.com.', run())
    expect(zone).toEqual({ name: 'sub.example.com', nameServers: ['ns1.sub.example.com'] })
    expect(made()).toEqual([...Array(3).fill('ListHostedZonesByName'), 'ListResourceRecordSets'])
  })

  it('creates, merges, reduces and deletes one record set, in transactions', async () => {
    const rig = await make()
    const { solver, run, dns } = rig
    await solver.present(NAME, 'a', run())
    await solver.present(NAME, 'b', run())
    await solver.cleanUp(NAME, 'a', run())
    await solver.cleanUp(NAME, 'b', run())
    const actions = bodies(rig).map(body =>
      [...body.matchAll(/<Action>(\w+)<|<Value>([^<]*)</g)].map(it => it[1] ?? it[2]),
    )
    expect(actions).toEqual([
      ['CREATE', '"a"'],
      ['DELETE', '"a"', 'CREATE', '"a"', '"b"'],
      ['DELETE', '"a"', '"b"', 'CREATE', '"b"'],
      ['DELETE', '"b"'],
    ])
    expect(bodies(rig)[0]).toContain('<TTL>60</TTL>')
    expect(dns.zones.get(dns.zones.list[0] as never, NAME, 'TXT')).toBeNull()
  })

  it('leaves the lifetime of a record set that others made', async () => {
    const { solver, run, dns } = await make()
    dns.zones.set({ name: NAME, type: 'TXT', values: ['theirs'], ttl: 7 })
    await solver.present(NAME, 'ours', run())
    expect(dns.zones.get(dns.zones.list[0] as never, NAME, 'TXT')).toMatchObject({
      ttl: 7,
      values: ['theirs', 'ours'],
    })
  })

  it('waits until the change is in sync, but does not hold up the next value of the name', async () => {
    const { solver, run, clock, made, inDns } = await make({ pendingMs: 5_000 })
    await solver.present(NAME, 'a', run())
    expect(clock.waits).toEqual([3_000, 3_000])
    expect(made().filter(it => it === 'GetChange')).toHaveLength(3)
    await Promise.all(['b', 'c'].map(value => solver.present(NAME, value, run())))
    expect(await inDns(NAME)).toEqual(['a', 'b', 'c'])
  })

  it('gives up on a change that is never in sync, and sooner when the run ends', async () => {
    const { solver, run, clock } = await make({ pendingMs: 3_600_000 })
    await expect(solver.present(NAME, 'a', run())).rejects.toMatchObject({
      code: 'unavailable',
      message: 'solver dns (route53): GetChange: after 5m the change is still PENDING',
    })
    const deadline = clock.now() + 5_000
    await expect(solver.present(NAME, 'b', run({ deadline }))).rejects.toMatchObject({ code: 'out-of-time' })
    expect(clock.now()).toBeLessThan(deadline)
  })

  it.each(['Throttling', 'PriorRequestNotComplete'])('waits ever longer on %s, then goes on', async code => {
    const { solver, run, inDns, faults, clock } = await make()
    faults.add({ operations: [CHANGE], status: 400, body: answer(code, 'not now'), times: 4 })
    await solver.present(NAME, 'v', run())
    expect(await inDns(NAME)).toEqual(['v'])
    expect(clock.waits).toEqual([1_000, 2_000, 4_000, 8_000])
  })

  it('gives up on a zone that stays busy', async () => {
    const { solver, run, faults, calls } = await make()
    const body = answer('PriorRequestNotComplete', 'still processing a prior request')
    faults.add({ operations: [CHANGE], status: 400, body, times: 99 })
    await expect(solver.present(NAME, 'v', run())).rejects.toMatchObject({
      code: 'throttled',
      retry: 'later',
    })
    expect(calls('ChangeResourceRecordSets')).toHaveLength(6)
  })

  it.each([
    ['created', [] as string[]],
    ['changed', ['before']],
  ])('merges with a record set that another writer %s in between', async (_, before) => {
    const { solver, run, inDns, faults, dns, calls } = await make()
    dns.zones.set({ name: NAME, type: 'TXT', values: before })
    faults.add({ operations: [CHANGE], delayMs: 200 })
    const presented = solver.present(NAME, 'ours', run())
    await expect.poll(() => calls('ChangeResourceRecordSets').length).toBe(1)
    dns.zones.add(NAME, 'TXT', 'theirs')
    await presented
    expect(await inDns(NAME)).toEqual([...before, 'ours', 'theirs'])
    expect(calls('ChangeResourceRecordSets').map(({ status }) => status)).toEqual([400, 200])
  })

  it('passes over private zones, on every page', async () => {
    const otherZones = ['ZA', 'ZB', 'ZZZ'].map(id => ({ id, name: 'example.com', isPrivate: true }))
    const { solver, run, inDns, calls } = await make({ otherZones, pageSize: 2 })
    await solver.present(NAME, 'v', run())
    expect(await inDns(NAME)).toEqual(['v'])
    expect(calls('ListHostedZonesByName').length).toBeGreaterThan(2)
  })

  it('asks which of several public zones is meant, and takes that one', async () => {
    const otherZones = [{ id: 'ZOLD', name: 'example.com', isPrivate: false }]
    const { solver, run, dns, context, url } = await make({ otherZones })
    await expect(solver.present(NAME, 'v', run())).rejects.toMatchObject({
      code: 'settings-invalid',
      message: expect.stringContaining('ZOLD'),
      hint: expect.stringContaining('hostedZoneId'),
    })
    const hostedZoneId = zoneIdOf(dns.zones.find(NAME) as never)
    const parsed = v.parse(route53.settings, { endpoint: url, hostedZoneId })
    const chosen = route53.create(
      { ...parsed, accessKeyId: secret(ID), secretAccessKey: secret(KEY) },
      context,
    )
    expect(await chosen.prepare(NAME, run())).toBeNull()
    await chosen.present(NAME, 'v', run())
    expect(dns.zones.get(dns.zones.find(NAME) as never, NAME, 'TXT')?.values).toEqual(['v'])
  })

  it('says that the given zone is not there', async () => {
    const { solver, run } = await make({}, { hostedZoneId: 'ZNOWHERE' })
    await expect(solver.prepare(NAME, run())).rejects.toMatchObject({
      code: 'solver-zone-missing',
      hint: expect.stringContaining('hostedZoneId'),
    })
  })

  it('says that the quota is used up, and that the name is an alias', async () => {
    const full = await make({ quota: 4 })
    await expect(full.solver.present(NAME, 'v', full.run())).rejects.toMatchObject({
      code: 'service-refused',
      message: expect.stringContaining('InvalidChangeBatch: [Number of records limit of 4 exceeded.]'),
      hint: expect.stringContaining('quota'),
    })
    const { solver, run, dns } = await make()
    dns.zones.set({ name: NAME, type: 'CNAME', values: ['x.my-example.com'] })
    await expect(solver.present(NAME, 'v', run())).rejects.toMatchObject({
      code: 'service-refused',
      message: expect.stringContaining('CNAME'),
    })
  })

  it('leaves record sets that are routed by a policy', async () => {
    const { solver, run, faults, calls } = await make()
    const body = `<?xml version="1.0"?><ListResourceRecordSetsResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><ResourceRecordSets><ResourceRecordSet><Name>${NAME}</Name><Type>TXT</Type><SetIdentifier>eu</SetIdentifier><Weight>1</Weight><TTL>5</TTL><ResourceRecords><ResourceRecord><Value>"x"</Value></ResourceRecord></ResourceRecords></ResourceRecordSet></ResourceRecordSets><IsTruncated>false</IsTruncated><MaxItems>1</MaxItems></ListResourceRecordSetsResponse>`
    faults.add({ operations: ['route53.ListResourceRecordSets'], status: 200, body })
    await expect(solver.present(NAME, 'v', run())).rejects.toMatchObject({ code: 'service-refused' })
    expect(calls('ChangeResourceRecordSets')).toHaveLength(0)
  })

  it('reports an answer that is no XML', async () => {
    const { solver, run, faults } = await make()
    faults.add({ operations: ['route53.ListHostedZonesByName'], status: 200, body: '{"no":"xml"}' })
    await expect(solver.prepare(NAME, run())).rejects.toMatchObject({ code: 'unavailable' })
  })
})

describe('route53 keys of the standard chain', () => {
  const { env } = process
  const before = { ...env }
  afterEach(() => {
    for (const name of Object.keys(env)) if (!(name in before)) delete env[name]
    Object.assign(env, before)
  })
  const isolate = (): void => {
    for (const name of Object.keys(env)) if (name.startsWith('AWS_')) delete env[name]
    Object.assign(env, {
      AWS_EC2_METADATA_DISABLED: 'true',
      AWS_CONFIG_FILE: '/nonexistent',
      AWS_SHARED_CREDENTIALS_FILE: '/nonexistent',
    })
  }

  it('are taken from the environment, a session token included', async () => {
    isolate()
    Object.assign(env, { AWS_ACCESS_KEY_ID: ID, AWS_SECRET_ACCESS_KEY: KEY, AWS_SESSION_TOKEN: 'session-1' })
    const key = { accessKeyId: ID, secretAccessKey: KEY, sessionToken: 'session-1' }
    const { solver, run, inDns } = await make({ key }, {}, 'environment')
    await solver.present(NAME, 'v', run())
    expect(await inDns(NAME)).toEqual(['v'])
  })

  it('say so when there are none', async () => {
    isolate()
    const { solver, run, faults } = await make({}, {}, 'environment')
    await expect(solver.prepare(NAME, run())).rejects.toMatchObject({
      code: 'unauthorized',
      message: expect.stringContaining('solver dns (route53): ListHostedZonesByName could not be signed'),
      hint: expect.stringContaining('accessKeyId'),
    })
    expect(faults.calls).toEqual([])
  })
})
