import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { secret } from '../../lib/base/secret.ts'
import alidns, { signAcs } from '../../lib/solvers/alidns.ts'
import { type AlidnsOptions, createAlidns } from '../../sandbox/dns/vendors/alidns.ts'
import { solverContract } from '../contract/solver.ts'
import { recordServiceTests } from './record-service.ts'
import { createVendorRig } from './vendor-rig.ts'

const NAME = '_acme-challenge.example.com.'
const ID = 'LTAI-access-key-1'
const SECRET = 'alibaba-secret-1'
const WRONG = 'alibaba-secret-2'
const answer = (Code: string, Message = 'no') =>
  JSON.stringify({ RequestId: 'r', HostId: 'h', Code, Message })

const make = (switches: Partial<AlidnsOptions> = {}, settings: object = {}, token: string | null = null) =>
  createVendorRig({
    service: 'alidns',
    operations: ['DescribeDomains', 'DescribeSubDomainRecords', 'AddDomainRecord', 'DeleteDomainRecord'],
    writes: ['AddDomainRecord'],
    removals: ['DeleteDomainRecord'],
    answers: {
      unauthorizedStatus: 400,
      forbidden: { status: 403, body: answer('Forbidden.RAM', 'User not authorized to operate on it.') },
      throttled: {
        status: 400,
        body: answer('Throttling.User', 'Request was denied due to user flow control.'),
      },
    },
    secrets: [ID, SECRET, WRONG],
    serve: (dns, faults, { now }) =>
      createAlidns({ dns, faults, accessKeyId: ID, accessKeySecret: SECRET, now, ...switches }),
    solver: (endpoint, context, isStranger) => {
      const keys = { accessKeyId: 'env:A', accessKeySecret: 'env:B' }
      const parsed = v.parse(alidns.settings, { ...keys, endpoint, ...settings })
      const accessKeySecret = secret(isStranger ? WRONG : SECRET)
      const securityToken = token === null ? null : secret(token)
      return alidns.create({ ...parsed, accessKeyId: secret(ID), accessKeySecret, securityToken }, context)
    },
  })

solverContract('alidns', make)

recordServiceTests({
  driver: 'alidns',
  service: 'alidns',
  make,
  list: 'DescribeSubDomainRecords',
  add: 'AddDomainRecord',
  remove: 'DeleteDomainRecord',
  answer,
  done: {
    added: { status: 400, code: 'DomainRecordDuplicate' },
    removed: { status: 400, code: 'DomainRecordNotBelongToUser' },
  },
  asked: 'AddDomainRecord',
  codes: [
    [404, 'InvalidAccessKeyId.NotFound', 'no', 'unauthorized'],
    [403, 'InvalidAccessKeyId.Inactive', 'no', 'unauthorized'],
    [400, 'InvalidTimeStamp.Expired', 'no', 'unauthorized'],
    [403, 'NoPermission', 'no', 'forbidden'],
    [400, 'Throttling', 'no', 'throttled'],
    [400, 'LastOperationNotFinished', 'no', 'unavailable'],
    [400, 'IncorrectDomainUser', 'no', 'solver-zone-missing'],
    [400, 'InvalidTTL', 'no', 'service-refused'],
    [400, 'DomainRecordConflict', 'no', 'service-refused'],
  ],
  quota: { message: 'QuotaExceeded.Record', hint: 'edition' },
  knowsAliases: false,
})

describe('alidns', () => {
  // The example of https://www.alibabacloud.com/help/en/sdk/product-overview/v3-request-structure-and-signature
  it('signs as the vendor does', () => {
    const headers = signAcs(
      {
        action: 'RunInstances',
        version: '2014-05-26',
        host: 'ecs.cn-shanghai.aliyuncs.com',
        query: {
          RegionId: 'cn-shanghai',
          ImageId: 'win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd',
        },
        at: Date.UTC(2023, 9, 26, 10, 22, 32, 789),
        nonce: '3156853299f313e23d1673dc12e1703d',
      },
      {
        accessKeyId: secret('YourAccessKeyId'),
        accessKeySecret: secret('YourAccessKeySecret'),
        securityToken: null,
      },
    )
    expect(headers.authorization).toBe(
      'ACS3-HMAC-SHA256 Credential=YourAccessKeyId,' +
        'SignedHeaders=host;x-acs-action;x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version,' +
        'Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0',
    )
  })

  it('proves the zone with reads alone', async () => {
    const { solver, run, made } = await make()
    const zone = await solver.prepare('_acme-challenge.a.sub.example.com.', run())
    expect(zone).toEqual({ name: 'sub.example.com', nameServers: [] })
    expect(made()).toEqual(['DescribeDomains', 'DescribeDomains', 'DescribeDomains'])
  })

  it('writes one record for each value, with its name relative to the zone', async () => {
    const { solver, run, calls } = await make({}, { ttl: 900 })
    await solver.present('_acme-challenge.iot.example.com.', 'a+b/c=', run())
    const { searchParams } = new URL(calls('AddDomainRecord')[0]?.path ?? '', 'http://x')
    expect(Object.fromEntries(searchParams)).toEqual({
      DomainName: 'example.com',
      RR: '_acme-challenge.iot',
      Type: 'TXT',
      Value: 'a+b/c=',
      TTL: '900',
    })
  })

  it('sends a security token, signed', async () => {
    const { solver, run, inDns, logged } = await make({ securityToken: 'sts-1' }, {}, 'sts-1')
    await solver.present(NAME, 'v', run())
    expect(await inDns(NAME)).toEqual(['v'])
    expect(logged()).not.toContain('sts-1')
  })

  it('says that the edition wants a longer ttl', async () => {
    const { solver, run } = await make({}, { ttl: 60 })
    await expect(solver.present(NAME, 'v', run())).rejects.toMatchObject({
      hint: expect.stringContaining('600'),
    })
  })
})
