import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { secret } from '../../lib/base/secret.ts'
import tencentcloud, { signTc3 } from '../../lib/solvers/tencentcloud.ts'
import { createTencentCloud, type TencentCloudOptions } from '../../sandbox/dns/vendors/tencentcloud.ts'
import { solverContract } from '../contract/solver.ts'
import { recordServiceTests } from './record-service.ts'
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

recordServiceTests({
  driver: 'tencentcloud',
  service: 'dnspod',
  make,
  list: 'DescribeRecordList',
  add: 'CreateRecord',
  remove: 'DeleteRecord',
  answer,
  done: {
    added: { status: 200, code: 'InvalidParameter.DomainRecordExist' },
    removed: { status: 200, code: 'InvalidParameter.RecordIdInvalid' },
  },
  asked: 'CreateRecord',
  codes: [
    [200, 'AuthFailure.SignatureExpire', 'no', 'unauthorized'],
    [200, 'AuthFailure.TokenFailure', 'no', 'unauthorized'],
    [200, 'UnauthorizedOperation', 'no', 'forbidden'],
    [200, 'FailedOperation.NotDomainOwner', 'no', 'forbidden'],
    [200, 'RequestLimitExceeded.UinLimitExceeded', 'no', 'throttled'],
    [200, 'InternalError', 'no', 'unavailable'],
    [200, 'InvalidParameterValue.DomainNotExists', 'no', 'solver-zone-missing'],
    [200, 'LimitExceeded.RecordTtlLimit', 'no', 'service-refused'],
    [200, 'InvalidParameter.SubdomainInvalid', 'no', 'service-refused'],
  ],
  quota: { message: 'LimitExceeded', hint: 'plan' },
  knowsAliases: true,
})

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
})
