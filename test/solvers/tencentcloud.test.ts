import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { secret } from '../../lib/base/secret.ts'
import tencentcloud, { signTc3 } from '../../lib/solvers/tencentcloud.ts'
import { createTencentCloud, type TencentCloudOptions } from '../../sandbox/dns/vendors/tencentcloud.ts'
import { solverContract } from '../contract/solver.ts'
import { createVendorRig } from './vendor-rig.ts'

const NAME = '_acme-challenge.example.com.'
const ID = 'AKID-secret-id-1'
const KEY = 'tencent-secret-1'
const WRONG = 'tencent-secret-2'
const answer = (Code: string, Message = 'no') =>
  JSON.stringify({ Response: { Error: { Code, Message }, RequestId: 'r' } })

const make = (
  switches: Partial<TencentCloudOptions> = {},
  settings: object = {},
  token: string | null = null,
) =>
  createVendorRig({
    service: 'dnspod',
    operations: ['DescribeDomainList', 'DescribeRecordList', 'CreateRecord', 'DeleteRecord'],
    writes: ['CreateRecord'],
    removals: ['DeleteRecord'],
    answers: {
      unauthorizedStatus: 200,
      forbidden: { status: 200, body: answer('AuthFailure.UnauthorizedOperation') },
      throttled: { status: 200, body: answer('RequestLimitExceeded') },
    },
    secrets: [ID, KEY, WRONG],
    serve: (dns, faults, { now }) =>
      createTencentCloud({ dns, faults, secretId: ID, secretKey: KEY, now, ...switches }),
    solver: (endpoint, context, isStranger) => {
      const keys = { secretId: 'env:A', secretKey: 'env:B' }
      const parsed = v.parse(tencentcloud.settings, { ...keys, endpoint, ...settings })
      const secretKey = secret(isStranger ? WRONG : KEY)
      const own = { ...parsed, secretId: secret(ID), secretKey, token: token === null ? null : secret(token) }
      return tencentcloud.create(own, context)
    },
  })

solverContract('tencentcloud', make)

describe('tencentcloud', () => {
  // The example of https://cloud.tencent.com/document/api/1427/56189, with its masked keys.
  it('signs as the vendor does', () => {
    const request = {
      service: 'cvm',
      host: 'cvm.tencentcloudapi.com',
      action: 'DescribeInstances',
      body: '{"Limit": 1, "Filters": [{"Values": ["\\u672a\\u547d\\u540d"], "Name": "instance-name"}]}',
      at: 1_551_113_065_000,
    }
    expect(signTc3(request, secret(`AKID${'*'.repeat(32)}`), secret('*'.repeat(32)))).toBe(
      `TC3-HMAC-SHA256 Credential=AKID${'*'.repeat(32)}/2019-02-25/cvm/tc3_request, ` +
        'SignedHeaders=content-type;host;x-tc-action, ' +
        'Signature=10b1a37a7301a02ca19a647ad722d5e43b4b3cff309d421d85b46093f6ab6c4f',
    )
  })

  it('proves the zone with reads alone, and compares the names itself', async () => {
    const { solver, run, calls } = await make()
    const zone = await solver.prepare('_acme-challenge.a.example.com.', run())
    expect(zone).toEqual({ name: 'example.com', nameServers: [] })
    const keywords = calls('DescribeDomainList').map(({ body }) => JSON.parse(body).Keyword)
    expect(keywords).toEqual(['_acme-challenge.a.example.com', 'a.example.com', 'example.com'])
  })

  it('writes one record for each value, on the default line', async () => {
    const { solver, run, calls } = await make({}, { ttl: 900 })
    await solver.present('_acme-challenge.iot.example.com.', 'v', run())
    expect(JSON.parse(calls('CreateRecord')[0]?.body ?? '')).toEqual({
      Domain: 'example.com',
      DomainId: expect.any(Number),
      SubDomain: '_acme-challenge.iot',
      RecordType: 'TXT',
      RecordLine: '默认',
      RecordLineId: '0',
      Value: 'v',
      TTL: 900,
    })
  })

  it('reads every page', async () => {
    const { solver, run, inDns, otherWrites, calls } = await make({ pageSize: 2 })
    for (const value of ['a', 'b', 'c', 'd', 'e']) await otherWrites(NAME, value)
    await solver.present(NAME, 'e', run())
    expect([calls('DescribeRecordList').length, calls('CreateRecord').length]).toEqual([3, 0])
    await solver.cleanUp(NAME, 'e', run())
    expect(await inDns(NAME)).toEqual(['a', 'b', 'c', 'd'])
  })

  it('takes the error for an empty list as one', async () => {
    const { solver, run, faults, inDns } = await make()
    const body = answer('ResourceNotFound.NoDataOfRecord')
    faults.add({ operations: ['dnspod.DescribeRecordList'], status: 200, body })
    await solver.present(NAME, 'v', run())
    expect(await inDns(NAME)).toEqual(['v'])
  })

  it('removes what the service does not list yet', async () => {
    const { solver, run, inDns } = await make({ indexLagMs: 30_000 })
    await solver.present(NAME, 'v', run())
    await solver.present(NAME, 'v', run())
    await solver.cleanUp(NAME, 'v', run())
    expect(await inDns(NAME)).toEqual([])
  })

  it('sends a token', async () => {
    const { solver, run, inDns } = await make({ token: 'sts-1' }, {}, 'sts-1')
    await solver.present(NAME, 'v', run())
    expect(await inDns(NAME)).toEqual(['v'])
  })

  it('succeeds when somebody wrote or deleted the same meanwhile', async () => {
    const { solver, run, faults, inDns } = await make()
    const after = { status: 200, after: true }
    const duplicate = answer('InvalidParameter.DomainRecordExist')
    faults.add({ ...after, operations: ['dnspod.CreateRecord'], body: duplicate })
    await solver.present(NAME, 'v', run())
    const gone = answer('InvalidParameter.RecordIdInvalid')
    faults.add({ ...after, operations: ['dnspod.DeleteRecord'], body: gone })
    await solver.cleanUp(NAME, 'v', run())
    expect(await inDns(NAME)).toEqual([])
  })

  it.each([
    ['AuthFailure.SignatureExpire', 'unauthorized'],
    ['AuthFailure.TokenFailure', 'unauthorized'],
    ['UnauthorizedOperation', 'forbidden'],
    ['FailedOperation.NotDomainOwner', 'forbidden'],
    ['RequestLimitExceeded.UinLimitExceeded', 'throttled'],
    ['InternalError', 'unavailable'],
    ['InvalidParameterValue.DomainNotExists', 'solver-zone-missing'],
    ['LimitExceeded.RecordTtlLimit', 'service-refused'],
    ['InvalidParameter.SubdomainInvalid', 'service-refused'],
  ])('tells %s as %s', async (code, expected) => {
    const { solver, run, faults } = await make()
    faults.add({ operations: ['dnspod.CreateRecord'], status: 200, body: answer(code), times: 3 })
    const thrown = await solver.present(NAME, 'v', run()).catch(it => it as Error)
    expect(thrown).toMatchObject({ code: expected })
    expect(thrown?.message).toContain(`solver dns (tencentcloud): CreateRecord answered HTTP 200 ${code}: no`)
  })

  it('says that the quota is used up', async () => {
    const { solver, run } = await make({ quota: 4 })
    await expect(solver.present(NAME, 'v', run())).rejects.toMatchObject({
      code: 'service-refused',
      message: expect.stringContaining('LimitExceeded'),
      hint: expect.stringContaining('plan'),
    })
  })

  it('says that the name is an alias', async () => {
    const { solver, run, dns } = await make()
    dns.zones.set({ name: NAME, type: 'CNAME', values: ['x.my-example.com'] })
    await expect(solver.present(NAME, 'v', run())).rejects.toMatchObject({
      hint: expect.stringContaining('CNAME'),
    })
  })
})

describe('tencentcloud settings', () => {
  const keys = { secretId: 'env:A', secretKey: 'env:B' }

  it('needs nothing but a key', () => {
    expect(v.parse(tencentcloud.settings, keys)).toMatchObject({
      endpoint: 'https://dnspod.tencentcloudapi.com',
      ttl: 600,
      token: null,
      caCertificates: null,
    })
  })

  it.each([[{ secretId: 'env:A' }], [{ ...keys, ttl: 0 }], [{ ...keys, zone: 'x' }]])('refuses %j', input => {
    expect(v.safeParse(tencentcloud.settings, input).issues).toHaveLength(1)
  })
})
