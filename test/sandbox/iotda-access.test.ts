import { describe, expect, test } from 'vitest'
import type { Iotda } from '../../sandbox/iotda/iotda.ts'
import { canonicalRequest, signatureOf } from '../../sandbox/iotda/signature.ts'
import { code, project, type Reply, start } from './iotda-rig.ts'

describe('who may call', () => {
  const keys = new Map([
    ['AK', { secretKey: 'SK' }],
    ['TEMP', { secretKey: 'SK', securityToken: 'SECURITY' }],
  ])
  const now = Date.parse('2025-12-01T08:00:00Z')
  const target = `/v5/iot/${project}/server-certificates`

  const sign = (
    iotda: Iotda,
    change: {
      accessKey?: string
      date?: string
      algorithm?: 'SDK-HMAC-SHA256' | 'V11-HMAC-SHA256'
      token?: string
    } = {},
  ): Record<string, string> => {
    const { accessKey = 'AK', date = '20251201T080000Z', algorithm = 'V11-HMAC-SHA256', token } = change
    const headers: Record<string, string> = {
      host: new URL(iotda.url).host,
      'x-sdk-date': date,
      ...(token === undefined ? {} : { 'x-security-token': token }),
    }
    const signed = Object.keys(headers).sort()
    const canonical = canonicalRequest({ method: 'GET', target, headers, body: '' }, signed)
    const scope = `${date.slice(0, 8)}/cn-north-4/iotdm`
    const signature = signatureOf(algorithm, canonical, { accessKey, secretKey: 'SK', date, scope })
    const credential =
      algorithm === 'V11-HMAC-SHA256' ? `Credential=${accessKey}/${scope}` : `Access=${accessKey}`
    const { host: _, ...sent } = headers
    return {
      ...sent,
      authorization: `${algorithm} ${credential}, SignedHeaders=${signed.join(';')}, Signature=${signature}`,
    }
  }
  const call = async (iotda: Iotda, headers: Record<string, string>): Promise<Reply> => {
    const response = await fetch(iotda.url + target, { headers })
    return {
      status: response.status,
      requestId: response.headers.get('x-request-id'),
      body: await response.json(),
    }
  }

  test('a signed request passes, a tampered one does not', async () => {
    const { iotda } = await start({ keys, now: () => now })
    expect((await call(iotda, sign(iotda))).status).toBe(201)
    expect((await call(iotda, sign(iotda, { accessKey: 'TEMP', token: 'SECURITY' }))).status).toBe(201)
    const headers = sign(iotda)
    const tampered = {
      ...headers,
      authorization: (headers.authorization ?? '').replace(/.$/, c => (c === '0' ? '1' : '0')),
    }
    const reply = await call(iotda, tampered)
    expect(reply.body).toEqual({
      error_code: 'APIGW.0301',
      error_msg: expect.stringContaining('verify aksk signature fail'),
      request_id: reply.requestId,
    })
    expect(reply.status).toBe(401)
  })

  test('every other reason for a 401 has its code', async () => {
    const { iotda } = await start({ keys, now: () => now })
    const replies = [
      await call(iotda, sign(iotda, { algorithm: 'SDK-HMAC-SHA256' })),
      await call(iotda, sign(iotda, { date: '20251201T074459Z' })),
      await call(iotda, sign(iotda, { accessKey: 'NOBODY' })),
      await call(iotda, sign(iotda, { accessKey: 'TEMP' })),
      await call(iotda, {}),
      await call(iotda, { 'x-auth-token': 'STALE' }),
    ]
    expect(replies.map(code)).toEqual([
      [401, 'IOTDA.000002'],
      [401, 'APIGW.0303'],
      [401, 'APIGW.0301'],
      [401, 'APIGW.0301'],
      [401, 'APIGW.0301'],
      [401, 'APIGW.0301'],
    ])
  })

  test('a generic host wants the other algorithm', async () => {
    const { iotda } = await start({ keys, now: () => now, algorithm: 'SDK-HMAC-SHA256' })
    expect((await call(iotda, sign(iotda, { algorithm: 'SDK-HMAC-SHA256' }))).status).toBe(201)
    expect(code(await call(iotda, sign(iotda)))).toEqual([401, 'IOTDA.000002'])
  })

  test('the project and the instance must be right', async () => {
    const { request } = await start()
    expect(code(await request('GET', '/v5/iot/other/server-certificates'))).toEqual([403, 'APIGW.0310'])
    const instance = (id: string) => request('GET', 'server-certificates', undefined, { 'instance-id': id })
    expect(code(await instance('instance-2'))).toEqual([403, 'IOTDA.000021'])
    expect((await instance('instance-1')).status).toBe(201)
    expect(code(await request('GET', `/v5/${project}/server-certificates`))).toEqual([404, 'IOTDA.000029'])
  })
})
